#include "rules/engine/names.hpp"

#include <algorithm>
#include <cstring>

#include "rules/engine/hash.hpp"

namespace eventyard::rules {
namespace {

/// The first up to eight bytes as a number; never reads outside `text`.
std::uint64_t head_of(std::string_view text) noexcept
{
    const char* const p = text.data();
    const std::size_t size = text.size();
    if (size >= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        return word;
    }
    if (size >= 4) {
        std::uint32_t first, last;
        std::memcpy(&first, p, 4);
        std::memcpy(&last, p + size - 4, 4);
        return std::uint64_t{last} << 32 | first;
    }
    if (size == 0) return 0;
    const auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
    return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
}

std::uint64_t hash(std::uint32_t parent, std::string_view name) noexcept { return hash_of(name, parent); }

}  // namespace

Names::Names() : positions_(1), slots_(64, none) {}

std::uint32_t Names::find_hashed(std::uint32_t position, std::string_view wanted) const noexcept
{
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash(position, wanted) & mask; slots_[at] != none; at = (at + 1) & mask)
        if (positions_[slots_[at]].parent == position && name(slots_[at]) == wanted) return slots_[at];
    return none;
}

std::uint32_t Names::add(std::uint32_t position, std::string_view wanted)
{
    if (const std::uint32_t found = find_hashed(position, wanted); found != none) return found;
    if (positions_.size() * 2 > slots_.size()) grow();
    Position made;
    made.parent = position;
    made.name = static_cast<std::uint32_t>(text_.size());
    made.name_size = static_cast<std::uint32_t>(wanted.size());
    made.depth = positions_[position].depth + 1;
    text_ += wanted;
    const auto child = static_cast<std::uint32_t>(positions_.size());
    positions_.push_back(made);
    ++positions_[position].children;
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash(position, wanted) & mask;
    while (slots_[at] != none) at = (at + 1) & mask;
    slots_[at] = child;
    return child;
}

void Names::grow()
{
    slots_.assign(slots_.size() * 2, none);
    const std::size_t mask = slots_.size() - 1;
    for (std::uint32_t child = 1; child < positions_.size(); ++child) {
        std::size_t at = hash(positions_[child].parent, name(child)) & mask;
        while (slots_[at] != none) at = (at + 1) & mask;
        slots_[at] = child;
    }
}

void Names::finish()
{
    std::uint32_t edges = 0;
    for (Position& position : positions_) {
        position.edges = edges;
        if (position.children <= few) edges += position.children;
    }
    edges_.resize(edges);
    std::vector<std::uint32_t> filled(positions_.size(), 0);
    for (std::uint32_t child = 1; child < positions_.size(); ++child) {
        const std::uint32_t parent = positions_[child].parent;
        if (positions_[parent].children > few) continue;
        const std::string_view text = name(child);
        edges_[positions_[parent].edges + filled[parent]++] = {
            head_of(text), static_cast<std::uint32_t>(text.size()), child};
    }
    positions_.shrink_to_fit();
    text_.shrink_to_fit();
    finished_ = true;
}

std::uint32_t Names::find(std::uint32_t position, std::string_view wanted) const noexcept
{
    const Position& at = positions_[position];
    if (!finished_ || at.children > few) return find_hashed(position, wanted);
    if (at.children == 0) return none;
    const std::uint64_t head = head_of(wanted);
    for (std::uint32_t i = at.edges; i < at.edges + at.children; ++i) {
        const Edge& edge = edges_[i];
        if (edge.head == head && edge.size == wanted.size() &&
            (edge.size <= 8 || name(edge.child).substr(8) == wanted.substr(8)))
            return edge.child;
    }
    return none;
}

std::size_t Names::bytes() const noexcept
{
    return positions_.capacity() * sizeof(Position) + edges_.capacity() * sizeof(Edge) +
           slots_.capacity() * sizeof(std::uint32_t) + text_.capacity();
}

std::string Names::path(std::uint32_t position) const
{
    if (position == 0) return {};
    const std::uint32_t above = parent(position);
    const std::string own(name(position));
    return above == 0 ? own : path(above) + "." + own;
}

}  // namespace eventyard::rules
