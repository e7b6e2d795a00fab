#include "rules/engine/access.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "rules/engine/hash.hpp"

namespace eventyard::rules {
namespace {

using json::Kind;

enum List : std::uint8_t { prefixes, suffixes, folded_prefixes, folded_suffixes, v4_masks, v6_masks };

std::uint64_t address_hash(const Address& address, unsigned bits, std::uint64_t seed) noexcept
{
    std::array<char, 18> key{};
    key[16] = static_cast<char>(address.v4 ? 4 : 6);
    key[17] = static_cast<char>(bits);
    const unsigned whole = bits / 8;
    for (unsigned i = 0; i < whole; ++i) key[i] = static_cast<char>(address.bytes[i]);
    if (bits % 8 != 0) key[whole] = static_cast<char>(address.bytes[whole] & (0xff00U >> (bits % 8)));
    return hash_of({key.data(), key.size()}, seed);
}

std::uint64_t affix_hash(std::string_view text, bool from_end, std::uint64_t seed) noexcept
{
    RollingHash hash;
    if (from_end)
        for (auto c = text.rbegin(); c != text.rend(); ++c) hash.add(*c);
    else
        for (const char c : text) hash.add(c);
    return hash.value(seed);
}

/// Up to eight bytes as a number; `p` has them.
std::uint64_t piece_word(const char* p, std::size_t size) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, p, size);
    return word;
}

std::uint64_t piece_hash(std::uint64_t word, std::size_t size, std::uint64_t seed) noexcept
{
    return mix(word, seed << 4 | size);
}

}  // namespace

bool Access::Pending::operator<(const Pending& other) const noexcept
{
    return std::tie(path, list, length) < std::tie(other.path, other.list, other.length);
}

bool Access::Pending::operator==(const Pending& other) const noexcept
{
    return std::tie(path, list, length) == std::tie(other.path, other.list, other.length);
}

// ---- hashes of values ---------------------------------------------------------------------------

namespace {

constexpr std::uint64_t literal_seed = 1, number_seed = 2, far_number_seed = 3;

std::uint64_t number_hash(double nearest, bool decided, std::uint64_t position) noexcept
{
    // All that doubles cannot tell apart share a hash.
    if (!decided) return mix(position, far_number_seed);
    std::uint64_t bits = 0;
    if (nearest != 0) std::memcpy(&bits, &nearest, sizeof bits);  // -0 is 0
    return mix(bits ^ number_seed << 60, position);
}

std::uint64_t literal_hash(std::uint64_t which, std::uint64_t position) noexcept
{
    return mix(which ^ literal_seed << 60, position);
}

}  // namespace

std::uint64_t Access::exact_hash(std::uint32_t position, const LeafView& leaf)
{
    LeafFacts& facts = leaf.facts;
    if (facts.hashed) return facts.hash;
    facts.hashed = true;
    switch (leaf.value.kind) {
        case Kind::string: facts.hash = hash_of(leaf.value.text, position); break;
        case Kind::number: {
            const double nearest = leaf.nearest();
            facts.hash = number_hash(nearest, facts.number == LeafFacts::Number::exact, position);
            break;
        }
        case Kind::boolean: facts.hash = literal_hash(leaf.value.truth ? 1 : 2, position); break;
        default: facts.hash = literal_hash(0, position);
    }
    return facts.hash;
}

std::uint64_t Access::exact_hash(std::uint32_t position, const Predicates& predicates, std::uint32_t predicate)
{
    switch (predicates.op(predicate)) {
        case Op::string: return hash_of(predicates.text(predicate), position);
        case Op::number: {
            const Bound& number = predicates.number(predicate);
            return number_hash(number.nearest, number.decided, position);
        }
        case Op::yes: return literal_hash(1, position);
        case Op::no: return literal_hash(2, position);
        default: return literal_hash(0, position);
    }
}

// ---- building -----------------------------------------------------------------------------------

Access::Path& Access::path_at(std::uint32_t position)
{
    if (path_of_[position] == none) {
        path_of_[position] = static_cast<std::uint32_t>(paths_.size());
        paths_.emplace_back();
    }
    return paths_[path_of_[position]];
}

Ref Access::add_node(const std::vector<std::uint32_t>& programs, const std::vector<Branching>& branchings)
{
    if (programs.size() == 1 && branchings.empty()) return programs.front() | single;
    const auto ref = static_cast<Ref>(nodes_.size());
    nodes_.push_back({static_cast<std::uint32_t>(programs_.size()), static_cast<std::uint32_t>(programs.size()),
                      static_cast<std::uint32_t>(branchings_.size()), static_cast<std::uint32_t>(branchings.size())});
    programs_.insert(programs_.end(), programs.begin(), programs.end());
    branchings_.insert(branchings_.end(), branchings.begin(), branchings.end());
    return ref;
}

std::uint32_t Access::add_chain(const std::vector<std::uint32_t>& positions)
{
    const auto first = static_cast<std::uint32_t>(chains_.size());
    chains_.insert(chains_.end(), positions.begin(), positions.end());
    return first;
}

void Access::add_key(const Predicates& predicates, std::uint32_t position, const Key& key, Ref ref, bool decides)
{
    Path& path = path_at(position);
    path.kinds |= static_cast<std::uint16_t>(1U << static_cast<int>(key.kind));
    ++keys_;
    const std::uint64_t seeded = seed(position, key.kind);
    const auto affix = [&](List list, bool from_end) {
        hashed_.emplace_back(affix_hash(key.text, from_end, seeded), ref);
        pending_.push_back({path_of_[position], list, static_cast<std::uint32_t>(key.text.size())});
    };
    switch (key.kind) {
        case KeyKind::exact: hashed_.emplace_back(exact_hash(position, predicates, key.predicate), ref); break;
        case KeyKind::folded: hashed_.emplace_back(hash_of(key.text, seeded), ref); break;
        case KeyKind::prefix: affix(prefixes, false); break;
        case KeyKind::suffix: affix(suffixes, true); break;
        case KeyKind::folded_prefix: affix(folded_prefixes, false); break;
        case KeyKind::folded_suffix: affix(folded_suffixes, true); break;
        case KeyKind::piece:
            path.piece_sizes |= static_cast<std::uint8_t>(1U << (key.text.size() - 1));
            hashed_.emplace_back(piece_hash(piece_word(key.text.data(), key.text.size()), key.text.size(), seeded), ref);
            break;
        case KeyKind::range: {
            const Range& range = predicates.range(key.predicate);
            constexpr double infinite = std::numeric_limits<double>::infinity();
            if (path.intervals == none) {
                path.intervals = static_cast<std::uint32_t>(intervals_.size());
                intervals_.emplace_back();
            }
            intervals_[path.intervals].add({range.low.text_size != 0 ? range.low.nearest : -infinite,
                                            range.high.text_size != 0 ? range.high.nearest : infinite, ref, decides});
            break;
        }
        case KeyKind::cidr: {
            const Cidr& cidr = predicates.cidr(key.predicate);
            hashed_.emplace_back(address_hash(cidr.base(), cidr.bits(), seeded), ref);
            pending_.push_back({path_of_[position], cidr.v4() ? v4_masks : v6_masks, cidr.bits()});
            break;
        }
        case KeyKind::present: path.present = ref; break;
    }
}

void Access::add_branch(const Predicates& predicates, Ref node, std::uint32_t position, std::uint32_t predicate, Ref ref)
{
    hashed_.emplace_back(mix(exact_hash(position, predicates, predicate), node), ref);
}

void Access::finish()
{
    std::sort(pending_.begin(), pending_.end());
    pending_.erase(std::unique(pending_.begin(), pending_.end()), pending_.end());
    for (const Pending& one : pending_) {
        Path& path = paths_[one.path];
        Lengths* const lists[] = {&path.prefix, &path.suffix, &path.folded_prefix, &path.folded_suffix, &path.v4, &path.v6};
        Lengths& list = *lists[one.list];
        if (list.count == 0) list.first = static_cast<std::uint32_t>(lengths_.size());
        ++list.count;
        lengths_.push_back(one.length);
    }
    std::size_t size = 16;
    while (size < hashed_.size() * 3 / 2) size *= 2;
    mask_ = size - 1;
    slots_.assign(size, {});
    for (const auto& [hash, ref] : hashed_) {
        std::size_t at = hash & mask_;
        while (slots_[at].ref != none) at = (at + 1) & mask_;
        slots_[at] = {static_cast<std::uint32_t>(hash >> 32), ref};
    }
    for (IntervalIndex& index : intervals_) index.finish();
    hashed_ = {};
    pending_ = {};
    nodes_.shrink_to_fit();
    programs_.shrink_to_fit();
    branchings_.shrink_to_fit();
}

std::size_t Access::bytes() const noexcept
{
    std::size_t sum = path_of_.capacity() * 4 + paths_.capacity() * sizeof(Path) + lengths_.capacity() * 4 +
                      slots_.capacity() * sizeof(Slot) + nodes_.capacity() * sizeof(Node) + programs_.capacity() * 4 +
                      branchings_.capacity() * sizeof(Branching) + chains_.capacity() * 4 +
                      absent_.capacity() * sizeof(Absent);
    for (const IntervalIndex& index : intervals_) sum += index.bytes();
    return sum;
}

// ---- asking -------------------------------------------------------------------------------------

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
            probe(piece_hash(kept, size, seeded), found);
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
        probe(address_hash(*address, lengths_[i], seed(position, KeyKind::cidr)), found);
}

void Access::prefetch(const Verification& at, std::uint32_t leaf) const
{
    const std::uint32_t position = at.selection.node(at.selection.leaves()[leaf].node).position;
    const std::uint32_t index = path_of_[position];
    if (index == none || !has(paths_[index], KeyKind::exact)) return;
    __builtin_prefetch(&slots_[exact_hash(position, at.leaf(leaf)) & mask_]);
}

void Access::touch(const Verification& at, std::uint32_t leaf, std::vector<Touch>& out, std::vector<Touch>& decided) const
{
    const auto& node = at.selection.node(at.selection.leaves()[leaf].node);
    const std::uint32_t index = path_of_[node.position];
    if (index == none) return;
    const Path& path = paths_[index];
    const LeafView view = at.leaf(leaf);
    const auto found = [&](Ref ref) { out.push_back({ref, leaf}); };
    if (has(path, KeyKind::present) && node.leaf_first == leaf) found(path.present);
    if (has(path, KeyKind::exact)) probe(exact_hash(node.position, view), found);
    if (view.value.kind == Kind::number) {
        if (path.intervals == none) return;
        const double nearest = view.nearest();
        const bool exact = view.facts.number == LeafFacts::Number::exact;
        intervals_[path.intervals].find(nearest, [&](const IntervalIndex::Interval& interval) {
            const bool inside = exact && interval.decides && interval.low < nearest && nearest < interval.high;
            (inside ? decided : out).push_back({interval.ref, leaf});
        });
        return;
    }
    if (view.value.kind != Kind::string) return;
    if (has(path, KeyKind::folded)) probe(hash_of(view.folded(), seed(node.position, KeyKind::folded)), found);
    find_affixes(node.position, path, view, found);
    if (path.piece_sizes != 0) find_pieces(node.position, path.piece_sizes, view.value.text, found);
    if (has(path, KeyKind::cidr)) find_blocks(node.position, path, view.value.text, found);
}

void Access::touch_without_value(const Selection& selection, std::vector<Touch>& out) const
{
    if (always_ != none) out.push_back({always_, none});
    for (const Absent& one : absent_)
        if (!selection.has_leaf(one.position)) out.push_back({one.ref, none});
}

}  // namespace eventyard::rules
