// rules/engine/selection.hpp — the part of one event that some rule of a set names.
//
// As rules/projection.hpp, for all rules at once: spellings are merged, arrays inside arrays laid
// flat. A node is what stands at one position below one choice of array elements, an object either
// the value of a node outside any array (direct) or one element. All memory is kept for the next event.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.hpp"
#include "core/json_tokens.hpp"
#include "rules/engine/names.hpp"

namespace eventyard::rules {

class Selection {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    struct Leaf {
        std::uint32_t value = none;  // in values()
        std::uint32_t node = none;
        std::uint32_t next = none;   // of the same node
        std::uint32_t position = 0;  // the node's
    };
    struct Node {
        std::uint32_t position = 0;
        std::uint32_t owner = none;                               // the object it is a member of
        std::uint32_t sibling = none;                             // the next node of that object
        std::uint32_t leaf_first = none, leaf_last = none, leaf_count = 0;
        std::uint32_t direct = none;                              // the object outside any array
        std::uint32_t element_first = none, element_last = none;  // the objects in the array
        std::uint32_t chosen = none;  // while a rule is verified: the only element to look at
        bool in_element = false;      // below some element of an array
    };
    struct Object {
        std::uint32_t node = none;   // whose value or element it is; the root has none
        std::uint32_t child_first = none;
        std::uint32_t next = none;   // the next element of the same array
        bool element = false;
    };

    /// Reads the event, whose root is object 0. Its values are used until the next call.
    void read(const Names& names, const json::Document& event);
    /// Reads a text known to be valid JSON, with Document::padding readable bytes after it, and stops in
    /// each object as soon as all wanted names were seen.
    void read_unchecked(const Names& names, std::string_view event);

    [[nodiscard]] const json::Value& value(const Leaf& leaf) const noexcept { return values_[leaf.value]; }
    [[nodiscard]] const std::vector<Leaf>& leaves() const noexcept { return leaves_; }
    [[nodiscard]] const Node& node(std::uint32_t i) const noexcept { return nodes_[i]; }
    [[nodiscard]] Node& node(std::uint32_t i) noexcept { return nodes_[i]; }
    [[nodiscard]] const Object& object(std::uint32_t i) const noexcept { return objects_[i]; }
    [[nodiscard]] std::size_t nodes() const noexcept { return nodes_.size(); }

    /// Whether wanted names lie in elements of an array: witnesses must then agree.
    [[nodiscard]] bool has_elements() const noexcept { return has_elements_; }
    /// Whether some path is an object and an array at once; only rules/evaluate.hpp decides such events.
    [[nodiscard]] bool mixed() const noexcept { return mixed_; }

    /// Some node at a position, or none; without elements there is one at most.
    [[nodiscard]] std::uint32_t first(std::uint32_t position) const noexcept
    {
        const At& at = at_[position];
        return at.epoch == epoch_ ? at.first : none;
    }
    /// Whether a wanted scalar stands anywhere at the position.
    [[nodiscard]] bool has_leaf(std::uint32_t position) const noexcept
    {
        const At& at = at_[position];
        return at.epoch == epoch_ && at.leaves;
    }
    /// The node below `object` at `position`, or none.
    [[nodiscard]] std::uint32_t child(std::uint32_t object, std::uint32_t position) const noexcept
    {
        const At& at = at_[position];
        if (at.epoch != epoch_) return none;
        if (nodes_[at.last].owner == object) return at.last;
        if (at.first == at.last) return none;
        std::uint32_t node = objects_[object].child_first;
        while (node != none && nodes_[node].position != position) node = nodes_[node].sibling;
        return node;
    }

private:
    struct At {
        std::uint64_t epoch = 0;
        std::uint32_t first = none, last = none;
        bool leaves = false;
    };
    class TextReader;

    void start(const Names& names);
    void read_value(std::uint32_t value, std::uint32_t position, std::uint32_t node);
    void read_array(std::uint32_t value, std::uint32_t position, std::uint32_t node);
    void read_members(std::uint32_t value, std::uint32_t position, std::uint32_t object);
    /// The node of a member's name, through the positions of its dots; none when no rule wants it.
    std::uint32_t enter(std::uint32_t object, std::uint32_t position, std::string_view key);
    std::uint32_t enter_dotted(std::uint32_t object, std::uint32_t position, std::string_view key);
    std::uint32_t make_child(std::uint32_t object, std::uint32_t position);
    std::uint32_t direct(std::uint32_t node);
    std::uint32_t open_element(std::uint32_t node);
    void close_element(std::uint32_t node, std::uint32_t element);
    void add_leaf(std::uint32_t value, std::uint32_t node);

    const Names* names_ = nullptr;
    const json::Value* values_ = nullptr;
    std::uint64_t epoch_ = 0;
    std::vector<At> at_;
    std::vector<Node> nodes_;
    std::vector<Object> objects_;
    std::vector<Leaf> leaves_;
    bool has_elements_ = false, mixed_ = false;
    json::Tokens tokens_;              // read_unchecked
    std::vector<json::Value> scalars_; // read_unchecked: the leaves' values
    std::size_t reach_ = 0;            // read_unchecked: bytes in which the last events had all that was wanted
};

}  // namespace eventyard::rules
