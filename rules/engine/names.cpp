#include "rules/engine/names.hpp"

#include <algorithm>
#include <cstring>

#include "rules/engine/hash.hpp"

namespace eventyard::rules {
namespace {

/// The first up to eight bytes as find() reads them.
std::uint64_t head_of(std::string_view text) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), std::min<std::size_t>(8, text.size()));
    return word;
}

std::uint64_t name_hash(std::uint32_t parent, std::string_view name) noexcept { return hash_of(name, parent); }

}  // namespace

Names::Names() : positions_(1), slots_(64, none) {}

std::uint32_t Names::find_hashed(std::uint32_t position, std::string_view wanted) const noexcept
{
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = name_hash(position, wanted) & mask; slots_[at] != none; at = (at + 1) & mask)
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
    if (position != 0) positions_[positions_[position].parent].grandchildren = true;
    positions_[position].sizes |= std::uint64_t{1} << (wanted.size() & 63);
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = name_hash(position, wanted) & mask;
    while (slots_[at] != none) at = (at + 1) & mask;
    slots_[at] = child;
    return child;
}

void Names::grow()
{
    slots_.assign(slots_.size() * 2, none);
    const std::size_t mask = slots_.size() - 1;
    for (std::uint32_t child = 1; child < positions_.size(); ++child) {
        std::size_t at = name_hash(positions_[child].parent, name(child)) & mask;
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
