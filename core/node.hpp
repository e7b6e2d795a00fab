// core/node.hpp — a located tree: what a YAML or JSON text says, each part knowing its place.
//
// config/ builds it from YAML, rules/ from JSON pattern text; settings (core/fields.hpp) and
// patterns (rules/pattern.hpp) are read from it. Number text is kept as written and repeated
// members are kept: whether a repeated key is a mistake is for the reader to say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/report.hpp"

namespace eventyard {

struct Member;

struct Node {
    enum class Kind : std::uint8_t { null, boolean, number, string, list, map };

    Kind kind = Kind::null;
    Place place;
    std::string text;            // string: decoded; number: as written; boolean: "true" or "false"
    std::vector<Node> items;     // list
    std::vector<Member> members; // map, in order of appearance, repeated keys included

    [[nodiscard]] bool is_scalar() const noexcept { return kind < Kind::list; }
    /// The first member of that name, or null.
    [[nodiscard]] const Node* find(std::string_view key) const noexcept;
};

struct Member {
    std::string key;
    Place key_place;
    Node value;
};

/// "null", "true or false", "a number", "a string", "a list", "a map": for messages.
[[nodiscard]] const char* kind_name(Node::Kind kind) noexcept;

}  // namespace eventyard
