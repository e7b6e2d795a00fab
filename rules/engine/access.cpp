#include "rules/engine/access.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "core/huge_pages.hpp"
#include "core/result.hpp"
#include "rules/engine/access_hashes.hpp"

namespace eventyard::rules {
namespace {

using json::Kind;

enum List : std::uint8_t { prefixes, suffixes, folded_prefixes, folded_suffixes, v4_masks, v6_masks };

/// An end of a range, moved out by more than approximations may be off.
double moved(const Approximate& end, double direction) noexcept
{
    return std::isinf(end.value) ? end.value : end.value + direction * std::abs(end.value) * approximate_slack;
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

std::uint64_t Access::exact_hash(std::uint32_t position, const Predicates& predicates, std::uint32_t predicate)
{
    switch (predicates.op(predicate)) {
        case Op::string: return hash_of(predicates.text(predicate), position);
        case Op::number: return number_hash(predicates.number(predicate).number, position);
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
    EVENTYARD_ASSERT(nodes_.size() < excluding && (programs.empty() || programs.back() < excluding),
                     "refs have thirty bits: some hundred million rules");
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

void Access::add_key(const Predicates& predicates, std::uint32_t position, const Key& key, Ref ref,
                     std::uint32_t only)
{
    Path& path = path_at(position);
    ++keys_;
    if (key.kind == KeyKind::exact && predicates.op(key.predicate) == Op::number) {
        numbers_.push_back({position, predicates.number(key.predicate).number, ref});
        return;
    }
    path.kinds |= static_cast<std::uint16_t>(1U << static_cast<int>(key.kind));
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
            piece_hashes_.push_back(piece_hash(piece_word(key.text.data(), key.text.size()), key.text.size(), seeded));
            hashed_.emplace_back(piece_hashes_.back(), ref);
            break;
        case KeyKind::range: {
            const Range& range = predicates.range(key.predicate);
            if (path.intervals == none) {
                path.intervals = static_cast<std::uint32_t>(intervals_.size());
                intervals_.emplace_back();
            }
            constexpr double infinite = std::numeric_limits<double>::infinity();
            intervals_[path.intervals].add({range.low.text_size != 0 ? moved(range.low.number, -1) : -infinite,
                                            range.high.text_size != 0 ? moved(range.high.number, 1) : infinite, ref, only});
            break;
        }
        case KeyKind::cidr: {
            const Cidr& cidr = predicates.cidr(key.predicate);
            hashed_.emplace_back(block_hash(cidr.base(), cidr.bits(), seeded), ref);
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

void Access::add_negatives(std::uint32_t position, const std::vector<std::uint32_t>& rules)
{
    path_at(position).negatives = {static_cast<std::uint32_t>(negatives_.size()), static_cast<std::uint32_t>(rules.size())};
    negatives_.insert(negatives_.end(), rules.begin(), rules.end());
    ++keys_;
}

void Access::finish()
{
    std::size_t bits = 64;
    while (bits < piece_hashes_.size() * 16) bits *= 2;
    pieces_mask_ = bits - 1;
    pieces_.assign(bits / 64, 0);
    for (const std::uint64_t hash : piece_hashes_) {
        const std::size_t bit = hash >> 24 & pieces_mask_;
        pieces_[bit / 64] |= std::uint64_t{1} << bit % 64;
    }
    piece_hashes_ = {};
    for (const ExactNumber& one : numbers_) {
        Path& path = path_at(one.position);
        if (path.intervals != none) {  // one search then finds both
            intervals_[path.intervals].add({moved(one.number, -1), moved(one.number, 1), one.ref, none});
        } else {
            path.kinds |= static_cast<std::uint16_t>(1U << static_cast<int>(KeyKind::exact));
            hashed_.emplace_back(number_hash(one.number, one.position), one.ref);
        }
    }
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
    slots_.reserve(size);
    prefer_huge_pages(slots_);
    slots_.assign(size, {});
    for (std::size_t i = 0; i < hashed_.size(); ++i) {
        constexpr std::size_t ahead = 8;  // places in a table larger than the cache
        if (i + ahead < hashed_.size()) __builtin_prefetch(&slots_[hashed_[i + ahead].first & mask_], 1);
        const auto& [hash, ref] = hashed_[i];
        std::size_t at = hash & mask_;
        while (slots_[at].ref != none) at = (at + 1) & mask_;
        slots_[at] = {static_cast<std::uint32_t>(hash >> 32), ref};
    }
    for (IntervalIndex& index : intervals_) index.finish();
    hashed_ = {};
    numbers_ = {};
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
                      negatives_.capacity() * 4 + pieces_.capacity() * 8 +
                      absent_.capacity() * sizeof(Absent);
    for (const IntervalIndex& index : intervals_) sum += index.bytes();
    return sum;
}

void Access::touch_without_value(const Selection& selection, std::vector<Touch>& out) const
{
    if (always_ != none) out.push_back({always_, none});
    for (const Absent& one : absent_)
        if (!selection.has_leaf(one.position)) out.push_back({one.ref, none});
}

}  // namespace eventyard::rules
