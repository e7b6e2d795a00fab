#include "core/node.hpp"

namespace eventyard {

const Node* Node::find(std::string_view key) const noexcept
{
    for (const Member& member : members)
        if (member.key == key) return &member.value;
    return nullptr;
}

const char* kind_name(Node::Kind kind) noexcept
{
    switch (kind) {
        case Node::Kind::null: return "null";
        case Node::Kind::boolean: return "true or false";
        case Node::Kind::number: return "a number";
        case Node::Kind::string: return "a string";
        case Node::Kind::list: return "a list";
        case Node::Kind::map: break;
    }
    return "a map";
}

}  // namespace eventyard
