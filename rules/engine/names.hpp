// rules/engine/names.hpp — all paths that any rule of a set names, as one tree.
//
// A position is a path's place in the tree: 0 is the event itself, its children are the top-level
// names, and so on. Names hold no dots: a dotted spelling leads through several positions.
#pragma once

#include <cstdint>
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
    /// As add(), or none.
    [[nodiscard]] std::uint32_t find(std::uint32_t position, std::string_view name) const noexcept;
    /// Once, after the last add(): lays children out for find().
    void finish();

    /// A rule's field ends here: scalars at this position are wanted.
    void mark_field(std::uint32_t position) { positions_[position].field = true; }
    [[nodiscard]] bool is_field(std::uint32_t position) const noexcept { return positions_[position].field; }
    [[nodiscard]] bool has_children(std::uint32_t position) const noexcept
    {
        return positions_[position].children != 0;
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
        bool field = false;
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
    bool finished_ = false;
};

}  // namespace eventyard::rules
