// rules/engine/names.hpp — all paths that any rule of a set names, as one tree.
//
// A position is a path's place in the tree: 0 is the event itself, its children are the top-level
// names, and so on. Names hold no dots: a dotted spelling leads through several positions.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard::rules {

class Names {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    Names();

    /// The child of `position` of that name, made when it is not there.
    std::uint32_t add(std::uint32_t position, std::string_view name);
    /// As add(), or none. `name` lies in a JSON text: eight bytes are readable from its start on.
    [[nodiscard]] std::uint32_t find(std::uint32_t position, std::string_view name) const noexcept
    {
        const Position& at = positions_[position];
        if ((at.sizes >> (name.size() & 63) & 1) == 0) return none;
        if (at.children > few) return find_hashed(position, name);
        std::uint64_t head;
        std::memcpy(&head, name.data(), sizeof head);
        if (name.size() < 8) head &= (std::uint64_t{1} << 8 * name.size()) - 1;
        for (std::uint32_t i = at.edges; i < at.edges + at.children; ++i) {
            const Edge& edge = edges_[i];
            if (edge.head == head && edge.size == name.size() &&
                (edge.size <= 8 || this->name(edge.child).substr(8) == name.substr(8)))
                return edge.child;
        }
        return none;
    }
    /// Once, after the last add(): lays children out for find().
    void finish();

    /// A rule's field ends here: scalars at this position are wanted.
    void mark_field(std::uint32_t position) { positions_[position].field = true; }
    [[nodiscard]] bool is_field(std::uint32_t position) const noexcept { return positions_[position].field; }
    [[nodiscard]] bool has_children(std::uint32_t position) const noexcept
    {
        return positions_[position].children != 0;
    }
    [[nodiscard]] bool has_grandchildren(std::uint32_t position) const noexcept
    {
        return positions_[position].grandchildren;
    }
    [[nodiscard]] std::uint32_t children(std::uint32_t position) const noexcept
    {
        return positions_[position].children;
    }
    [[nodiscard]] std::uint32_t parent(std::uint32_t position) const noexcept
    {
        return positions_[position].parent;
    }
    [[nodiscard]] std::uint32_t depth(std::uint32_t position) const noexcept
    {
        return positions_[position].depth;
    }
    [[nodiscard]] std::size_t size() const noexcept { return positions_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept;
    /// The whole path, names joined by dots.
    [[nodiscard]] std::string path(std::uint32_t position) const;

private:
    struct Position {
        std::uint32_t parent = none;
        std::uint32_t name = 0, name_size = 0;  // in text_
        std::uint32_t depth = 0;                // names above, itself included
        std::uint32_t children = 0;
        std::uint32_t edges = 0;                // first of its edges_, when it has few
        std::uint64_t sizes = 0;                // a bit for each size of a child's name, modulo 64
        bool field = false;
        bool grandchildren = false;             // some child has children: dotted names may lead there
    };
    /// A child as find() compares it: size and first bytes before the rest.
    struct Edge {
        std::uint64_t head;
        std::uint32_t size;
        std::uint32_t child;
    };
    /// Up to so many children are compared one by one; more are found by hash.
    static constexpr std::uint32_t few = 8;

    [[nodiscard]] std::string_view name(std::uint32_t position) const noexcept
    {
        return std::string_view(text_).substr(positions_[position].name, positions_[position].name_size);
    }
    [[nodiscard]] std::uint32_t find_hashed(std::uint32_t position, std::string_view name) const noexcept;
    void grow();

    std::vector<Position> positions_;
    std::vector<Edge> edges_;
    std::vector<std::uint32_t> slots_;  // of children by hash of parent and name; a power of two
    std::string text_;
};

}  // namespace eventyard::rules
