// rules/projection.hpp — the part of an event that one pattern looks at.
//
// One walk over the event along the pattern's names. Spellings are merged: the values of repeated
// keys, and of dotted and nested spellings of one path, meet in one node. Arrays inside arrays are
// laid flat: a choice among them is a choice of one object in the end, and scalars in arrays never
// exclude each other. Memory is kept from one event to the next.
#pragma once

#include <vector>

#include "rules/pattern_body.hpp"

namespace eventyard::rules {

class Projection {
public:
    /// What stands at one path below one choice of array elements.
    struct Node {
        std::uint32_t leaf_first = none, leaf_last = none;        // the scalars
        std::uint32_t direct = none;                              // the object outside any array
        std::uint32_t element_first = none, element_last = none;  // the objects in the array
    };
    struct Object {
        std::uint32_t child_first = none;
        std::uint32_t next = none;   // the next element of the same array
        std::uint32_t value = none;  // elements: the event's value
    };
    struct Child {
        std::uint32_t position = none;
        std::uint32_t node = none;
        std::uint32_t next = none;
    };
    struct Leaf {
        std::uint32_t value = none;  // the event's value
        std::uint32_t next = none;
    };

    /// Walks `event`, whose root is an object; object 0 is the root.
    void build(const std::vector<Position>& positions, const json::Document& event);

    [[nodiscard]] const Node& node(std::uint32_t i) const noexcept { return nodes_[i]; }
    [[nodiscard]] const Object& object(std::uint32_t i) const noexcept { return objects_[i]; }
    [[nodiscard]] const Leaf& leaf(std::uint32_t i) const noexcept { return leaves_[i]; }
    /// The node below `object` at `position`, or none.
    [[nodiscard]] std::uint32_t child(std::uint32_t object, std::uint32_t position) const noexcept
    {
        std::uint32_t at = objects_[object].child_first;
        while (at != none && children_[at].position != position) at = children_[at].next;
        return at == none ? none : children_[at].node;
    }

private:
    void value(std::uint32_t value, std::uint32_t position, std::uint32_t node);
    void array(std::uint32_t value, std::uint32_t position, std::uint32_t node);
    void members(std::uint32_t value, std::uint32_t position, std::uint32_t object);
    std::uint32_t make_object(std::uint32_t value);
    std::uint32_t make_child(std::uint32_t object, std::uint32_t position);
    std::uint32_t direct(std::uint32_t node);

    const std::vector<Position>* positions_ = nullptr;
    std::span<const json::Value> values_;
    std::vector<Node> nodes_;
    std::vector<Object> objects_;
    std::vector<Child> children_;
    std::vector<Leaf> leaves_;
};

}  // namespace eventyard::rules
