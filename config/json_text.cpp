#include "config/json_text.hpp"

#include "core/json.hpp"

namespace eventyard::config {
namespace {

void append(std::string& out, const Node& node)
{
    const char* separator = "";
    switch (node.kind) {
        case Node::Kind::null: out += "null"; return;
        case Node::Kind::boolean:
        case Node::Kind::number: out += node.text; return;
        case Node::Kind::string: json::append_quoted(out, node.text); return;
        case Node::Kind::list:
            out += '[';
            for (const Node& item : node.items) {
                out += separator;
                append(out, item);
                separator = ",";
            }
            out += ']';
            return;
        case Node::Kind::map: break;
    }
    out += '{';
    for (const Member& member : node.members) {
        out += separator;
        json::append_quoted(out, member.key);
        out += ':';
        append(out, member.value);
        separator = ",";
    }
    out += '}';
}

}  // namespace

std::string to_json(const Node& node)
{
    std::string out;
    append(out, node);
    return out;
}

}  // namespace eventyard::config
