// rules/engine/access_find.hpp — asking rules/engine/access.hpp: inlined into the engine's loop.
#pragma once

#include "rules/engine/access.hpp"
#include "rules/engine/access_hashes.hpp"

namespace eventyard::rules {

inline std::uint64_t Access::exact_hash(std::uint32_t position, const LeafView& leaf)
{
    LeafFacts& facts = leaf.facts;
    if (facts.hashed) return facts.hash;
    facts.hashed = true;
    switch (leaf.value.kind) {
        case json::Kind::string: facts.hash = hash_of(leaf.value.text, position); break;
        case json::Kind::number: facts.hash = number_hash(leaf.number(), position); break;
        case json::Kind::boolean: facts.hash = literal_hash(leaf.value.truth ? 1 : 2, position); break;
        default: facts.hash = literal_hash(0, position);
    }
    return facts.hash;
}

template <class Found>
void Access::find_affixes(std::uint32_t position, const Path& path, const LeafView& leaf, const Found& found) const
{
    const auto look = [&](const Lengths& lengths, KeyKind kind, std::string_view text, bool from_end) {
        const std::uint64_t seeded = seed(position, kind);
        RollingHash hash;
        std::size_t done = 0;
        for (std::uint32_t i = lengths.first; i < lengths.first + lengths.count; ++i) {
            const std::size_t length = lengths_[i];
            if (length > text.size()) break;
            for (; done < length; ++done) hash.add(from_end ? text[text.size() - 1 - done] : text[done]);
            probe(hash.value(seeded), found);
        }
    };
    if (has(path, KeyKind::prefix)) look(path.prefix, KeyKind::prefix, leaf.value.text, false);
    if (has(path, KeyKind::suffix)) look(path.suffix, KeyKind::suffix, leaf.value.text, true);
    if (has(path, KeyKind::folded_prefix)) look(path.folded_prefix, KeyKind::folded_prefix, leaf.folded(), false);
    if (has(path, KeyKind::folded_suffix)) look(path.folded_suffix, KeyKind::folded_suffix, leaf.folded(), true);
}

template <class Found>
void Access::find_pieces(std::uint32_t position, std::uint8_t sizes, std::string_view text, const Found& found) const
{
    const std::uint64_t seeded = seed(position, KeyKind::piece);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::size_t left = std::min<std::size_t>(8, text.size() - i);
        const std::uint64_t word = piece_word(text.data() + i, left);
        for (std::size_t size = 1; size <= left; ++size) {
            if ((sizes >> (size - 1) & 1) == 0) continue;
            const std::uint64_t kept = size == 8 ? word : word & ((std::uint64_t{1} << 8 * size) - 1);
            const std::uint64_t hash = piece_hash(kept, size, seeded);
            const std::size_t bit = hash >> 24 & pieces_mask_;
            if ((pieces_[bit / 64] >> bit % 64 & 1) != 0) probe(hash, found);
        }
    }
}

template <class Found>
void Access::find_blocks(std::uint32_t position, const Path& path, std::string_view text, const Found& found) const
{
    const auto address = Address::read(text);
    if (!address) return;
    const Lengths& masks = address->v4 ? path.v4 : path.v6;
    for (std::uint32_t i = masks.first; i < masks.first + masks.count; ++i)
        probe(block_hash(*address, lengths_[i], seed(position, KeyKind::cidr)), found);
}

inline void Access::prefetch(const Verification& at, std::uint32_t leaf) const
{
    const std::uint32_t position = at.selection.leaves()[leaf].position;
    const std::uint32_t index = path_of_[position];
    if (index == none || !has(paths_[index], KeyKind::exact)) return;
    __builtin_prefetch(&slots_[exact_hash(position, at.leaf(leaf)) & mask_]);
}

template <class Visitor>
void Access::touch(const Verification& at, std::uint32_t leaf, Visitor& visitor) const
{
    const Selection::Leaf& of = at.selection.leaves()[leaf];
    const std::uint32_t index = path_of_[of.position];
    if (index == none) return;
    const Path& path = paths_[index];
    const bool first = at.selection.node(of.node).leaf_first == leaf;
    if (first && path.present != none) visitor.found(path.present, leaf);
    touch_keys(at, leaf, path, visitor);
    if (first && path.negatives.count != 0) visitor.negatives(&negatives_[path.negatives.first], path.negatives.count);
}

template <class Visitor>
void Access::touch_keys(const Verification& at, std::uint32_t leaf, const Path& path, Visitor& visitor) const
{
    const std::uint32_t position = at.selection.leaves()[leaf].position;
    const LeafView view = at.leaf(leaf);
    const auto found = [&visitor, leaf](Ref ref) { visitor.found(ref, leaf); };
    if (view.value.kind == json::Kind::number && path.intervals != none) {
        const Approximate& number = view.number();
        const double margin = std::abs(number.value) * 2 * approximate_slack;
        const double below = number.value - margin, above = number.value + margin;
        intervals_[path.intervals].find(number.value, [&](const IntervalIndex::Interval& interval) {
            // Well inside, nothing else needs to be looked at.
            if (interval.only != none && number.in_range && interval.low < below && above < interval.high)
                visitor.decided(interval.only);
            else
                found(interval.ref);
        });
        return;
    }
    if (has(path, KeyKind::exact)) probe(exact_hash(position, view), found);
    if (view.value.kind != json::Kind::string) return;
    if (has(path, KeyKind::folded)) probe(hash_of(view.folded(), seed(position, KeyKind::folded)), found);
    if ((path.kinds & affix_kinds) != 0) find_affixes(position, path, view, found);
    if (path.piece_sizes != 0) find_pieces(position, path.piece_sizes, view.value.text, found);
    if (has(path, KeyKind::cidr)) find_blocks(position, path, view.value.text, found);
}

}  // namespace eventyard::rules
