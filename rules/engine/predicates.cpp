#include "rules/engine/predicates.hpp"

#include <algorithm>

#include "core/huge_pages.hpp"
#include "core/result.hpp"
#include "rules/engine/hash.hpp"

namespace eventyard::rules {
namespace {

using json::Kind;

std::uint64_t seed(std::uint32_t position, Op op) noexcept
{
    return std::uint64_t{position} << 8 | static_cast<std::uint64_t>(op);
}

/// The pieces of a wildcard in one text: each with its size before it.
std::string packed(const std::vector<std::string>& pieces)
{
    std::string out;
    for (const std::string& piece : pieces) {
        const auto size = static_cast<std::uint32_t>(piece.size());
        out.append(reinterpret_cast<const char*>(&size), sizeof size);
        out += piece;
    }
    return out;
}

std::string_view take_piece(std::string_view& packed) noexcept
{
    std::uint32_t size;
    std::memcpy(&size, packed.data(), sizeof size);
    const std::string_view piece = packed.substr(sizeof size, size);
    packed.remove_prefix(sizeof size + size);
    return piece;
}

/// As Wildcard::matches.
bool fits(std::string_view pieces, std::string_view text) noexcept
{
    const std::string_view first = take_piece(pieces);
    if (pieces.empty()) return text == first;
    if (!text.starts_with(first)) return false;
    text.remove_prefix(first.size());
    for (;;) {
        const std::string_view piece = take_piece(pieces);
        if (pieces.empty()) return text.ends_with(piece);
        const auto at = text.find(piece);
        if (at == std::string_view::npos) return false;
        text.remove_prefix(at + piece.size());
    }
}

Decimal exact(std::string_view text)
{
    const auto number = Decimal::read(text);
    EVENTYARD_ASSERT(number.has_value(), "core/json and rules/operators refuse exponents of more than 18 digits");
    return *number;
}

/// Numbers of so few digits are told apart by their doubles.
bool few_digits(std::string_view text) noexcept
{
    return text.size() <= 15 && text.find_first_of("eE") == std::string_view::npos;
}

}  // namespace

void LeafView::fold() const
{
    facts.folded_at = static_cast<std::uint32_t>(memory.folded.size());
    append_folded(memory.folded, value.text);
    facts.folded_size = static_cast<std::uint32_t>(memory.folded.size()) - facts.folded_at;
    facts.folded = true;
}

Predicates::Predicates() : slots_(64) {}

template <class Equal, class Make>
std::uint32_t Predicates::intern(std::uint64_t hash, const Equal& equal, const Make& make)
{
    if (all_.size() * 3 / 2 >= slots_.size()) grow();
    const std::size_t mask = slots_.size() - 1;
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t at = hash & mask;
    for (; slots_[at].predicate != none; at = (at + 1) & mask)
        if (slots_[at].tag == tag && equal(slots_[at].predicate)) return slots_[at].predicate;
    const auto made = static_cast<std::uint32_t>(all_.size());
    slots_[at] = {tag, made};
    hashes_.push_back(hash);
    make();
    return made;
}

void Predicates::grow()
{
    const std::size_t size = slots_.size() * 2;
    std::vector<Slot> larger;
    larger.reserve(size);
    prefer_huge_pages(larger);
    larger.resize(size);
    slots_ = std::move(larger);
    const std::size_t mask = slots_.size() - 1;
    for (std::uint32_t i = 0; i < all_.size(); ++i) {
        constexpr std::uint32_t ahead = 8;
        if (i + ahead < all_.size()) __builtin_prefetch(&slots_[hashes_[i + ahead] & mask], 1);
        std::size_t at = hashes_[i] & mask;
        while (slots_[at].predicate != none) at = (at + 1) & mask;
        slots_[at] = {static_cast<std::uint32_t>(hashes_[i] >> 32), i};
    }
}

std::uint32_t Predicates::add_text(std::uint32_t position, Op op, std::string_view operand, std::uint32_t pool_index)
{
    return intern(
        hash_of(operand, seed(position, op)),
        [&](std::uint32_t i) { return all_[i].op == op && positions_[i] == position && text(i) == operand; },
        [&] {
            Predicate made;
            made.op = op;
            if (operand.size() <= sizeof made.inside && pool_index == none) {
                made.size = static_cast<std::uint8_t>(operand.size());
                std::copy(operand.begin(), operand.end(), made.inside);
            } else {
                made.size = Predicate::outside;
                made.set_word(0, texts_.size());
                made.set_word(1, operand.size());
                made.set_word(2, pool_index);
                texts_ += operand;
            }
            all_.push_back(made);
            positions_.push_back(position);
        });
}

Bound Predicates::make_bound(std::string_view number)
{
    Bound bound;
    bound.number = approximate(number);
    bound.text = static_cast<std::uint32_t>(texts_.size());
    bound.text_size = static_cast<std::uint32_t>(number.size());
    texts_ += number;
    return bound;
}

std::string_view Predicates::bound_text(const Bound& bound) const noexcept
{
    return std::string_view(texts_).substr(bound.text, bound.text_size);
}

std::uint32_t Predicates::add_number(std::uint32_t position, Op op, std::string_view number)
{
    return intern(
        hash_of(number, seed(position, op)),
        [&](std::uint32_t i) {
            return all_[i].op == op && positions_[i] == position && bound_text(this->number(i)) == number;
        },
        [&] {
            Predicate made;
            made.op = op;
            made.set_word(2, bounds_.size());
            bounds_.push_back(make_bound(number));
            all_.push_back(made);
            positions_.push_back(position);
        });
}

std::uint32_t Predicates::add_range(std::uint32_t position, const Ends& ends)
{
    if (!ends.low.empty() && ends.low == ends.high && ends.low_included && ends.high_included)
        return add_number(position, Op::number, ends.low);
    const std::uint64_t flags = (ends.low_included ? 2U : 0U) | (ends.high_included ? 1U : 0U);
    return intern(
        hash_of(ends.low, hash_of(ends.high, seed(position, Op::range) << 2 | flags)),
        [&](std::uint32_t i) {
            if (all_[i].op != Op::range || positions_[i] != position) return false;
            const Range& other = range(i);
            return other.low_included == ends.low_included && other.high_included == ends.high_included &&
                   bound_text(other.low) == ends.low && bound_text(other.high) == ends.high;
        },
        [&] {
            Range made_range;
            made_range.low_included = ends.low_included;
            made_range.high_included = ends.high_included;
            if (!ends.low.empty()) made_range.low = make_bound(ends.low);
            if (!ends.high.empty()) made_range.high = make_bound(ends.high);
            Predicate made;
            made.op = Op::range;
            made.set_word(2, ranges_.size());
            ranges_.push_back(made_range);
            all_.push_back(made);
            positions_.push_back(position);
        });
}

std::uint32_t Predicates::add_none_of(std::uint32_t position, std::vector<std::uint32_t>& list)
{
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return intern(
        hash_of({reinterpret_cast<const char*>(list.data()), list.size() * sizeof list[0]},
                seed(position, Op::none_of_these)),
        [&](std::uint32_t i) {
            if (all_[i].op != Op::none_of_these || positions_[i] != position) return false;
            std::uint32_t count = 0;
            const std::uint32_t* const other = listed(i, count);
            return std::equal(list.begin(), list.end(), other, other + count);
        },
        [&] {
            Predicate made;
            made.op = Op::none_of_these;
            made.set_word(0, lists_.size());
            made.set_word(1, list.size());
            lists_.insert(lists_.end(), list.begin(), list.end());
            all_.push_back(made);
            positions_.push_back(position);
        });
}

std::uint32_t Predicates::add(std::uint32_t position, const Matcher& matcher)
{
    struct Add {
        Predicates& table;
        std::uint32_t position;
        const Matcher& matcher;

        std::uint32_t operator()(const AnyValue&) { return table.add_text(position, Op::any, {}); }
        std::uint32_t operator()(const EqualsLiteral& m)
        {
            return table.add_text(position, m.kind == Kind::null ? Op::null : m.truth ? Op::yes : Op::no, {});
        }
        std::uint32_t operator()(const EqualsString& m) { return table.add_text(position, Op::string, m.text); }
        std::uint32_t operator()(const EqualsNumber& m) { return table.add_number(position, Op::number, m.number.text()); }
        std::uint32_t operator()(const Prefix& m) { return table.add_text(position, Op::prefix, m.text); }
        std::uint32_t operator()(const Suffix& m) { return table.add_text(position, Op::suffix, m.text); }
        std::uint32_t operator()(const EqualsFolded& m)
        {
            return table.add_text(position, Op::folded, m.folded.text());
        }
        std::uint32_t operator()(const PrefixFolded& m)
        {
            return table.add_text(position, Op::folded_prefix, m.folded.text());
        }
        std::uint32_t operator()(const SuffixFolded& m)
        {
            return table.add_text(position, Op::folded_suffix, m.folded.text());
        }
        std::uint32_t operator()(const Wildcard& m)
        {
            if (m.stars() == 0) return table.add_text(position, Op::string, m.pieces().front());
            return table.add_text(position, Op::wildcard, packed(m.pieces()));
        }
        std::uint32_t operator()(const NumericRange& m)
        {
            const auto text = [](const std::optional<Number>& n) { return n ? std::string_view(n->text()) : std::string_view(); };
            return table.add_range(position, {text(m.low), text(m.high), m.low_included, m.high_included});
        }
        std::uint32_t operator()(const NumericNot& m)
        {
            return table.add_number(position, Op::number_not, m.number.text());
        }
        std::uint32_t operator()(const Cidr& m)
        {
            const std::size_t before = table.all_.size();
            const std::uint32_t i = table.add_text(position, Op::cidr, matcher.text, static_cast<std::uint32_t>(table.cidrs_.size()));
            if (table.all_.size() > before) table.cidrs_.push_back(m);
            return i;
        }
        std::uint32_t operator()(const Regex& m)
        {
            const std::size_t before = table.all_.size();
            const std::uint32_t i =
                table.add_text(position, Op::regex, m.expression->pattern(), static_cast<std::uint32_t>(table.regexes_.size()));
            if (table.all_.size() > before) table.regexes_.push_back(m.expression);
            return i;
        }
        std::uint32_t operator()(const AnythingBut& m)
        {
            std::vector<std::uint32_t> list;
            for (const Matcher& item : m.items) list.push_back(table.add(position, item));
            return table.add_none_of(position, list);
        }
    };
    return std::visit(Add{*this, position, matcher}, matcher.test);
}

void Predicates::finish()
{
    slots_ = {};
    hashes_ = {};
    all_.shrink_to_fit();
    positions_.shrink_to_fit();
    texts_.shrink_to_fit();
    bounds_.shrink_to_fit();
    ranges_.shrink_to_fit();
    lists_.shrink_to_fit();
    prefer_huge_pages(all_);
    prefer_huge_pages(bounds_);
    prefer_huge_pages(ranges_);
    prefer_huge_pages(texts_.data(), texts_.capacity());
}

const std::uint32_t* Predicates::listed(std::uint32_t i, std::uint32_t& count) const noexcept
{
    count = all_[i].word(1);
    return lists_.data() + all_[i].word(0);
}

std::string_view Predicates::piece(std::uint32_t i, Piece which) const noexcept
{
    std::string_view rest = text(i);
    std::string_view best;
    for (bool first = true; !rest.empty(); first = false) {
        const std::string_view piece = take_piece(rest);
        if (which == Piece::first && first) return piece;
        if (which == Piece::last && rest.empty()) return piece;
        if (which == Piece::longest && !first && !rest.empty() && piece.size() > best.size()) best = piece;
    }
    return best;
}

int Predicates::compare(const LeafView& leaf, const Bound& bound) const
{
    const Approximate& number = leaf.number();
    if (number.in_range && bound.number.in_range) {
        if (const int order = surely(number.value, bound.number.value); order != 0) return order;
        if (number.value == bound.number.value && few_digits(leaf.value.text) && few_digits(bound_text(bound))) return 0;
    }
    if (leaf.value.text == bound_text(bound)) return 0;
    const auto order = exact(leaf.value.text) <=> exact(bound_text(bound));
    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

bool Predicates::holds(std::uint32_t i, const LeafView& leaf) const
{
    const Predicate& predicate = all_[i];
    const json::Value& value = leaf.value;
    const auto text = [&] { return predicate.text(texts_); };
    switch (predicate.op) {
        case Op::any: return true;
        case Op::null: return value.kind == Kind::null;
        case Op::yes: return value.kind == Kind::boolean && value.truth;
        case Op::no: return value.kind == Kind::boolean && !value.truth;
        case Op::string: return value.kind == Kind::string && value.text == text();
        case Op::prefix: return value.kind == Kind::string && value.text.starts_with(text());
        case Op::suffix: return value.kind == Kind::string && value.text.ends_with(text());
        case Op::folded: return value.kind == Kind::string && leaf.folded() == text();
        case Op::folded_prefix: return value.kind == Kind::string && leaf.folded().starts_with(text());
        case Op::folded_suffix: return value.kind == Kind::string && leaf.folded().ends_with(text());
        case Op::wildcard: return value.kind == Kind::string && fits(text(), value.text);
        case Op::number: return value.kind == Kind::number && compare(leaf, bounds_[predicate.index()]) == 0;
        case Op::number_not: return value.kind == Kind::number && compare(leaf, bounds_[predicate.index()]) != 0;
        case Op::range: {
            if (value.kind != Kind::number) return false;
            const Range& range = ranges_[predicate.index()];
            if (range.low.text_size != 0) {
                const int order = compare(leaf, range.low);
                if (order < 0 || (order == 0 && !range.low_included)) return false;
            }
            if (range.high.text_size != 0) {
                const int order = compare(leaf, range.high);
                if (order > 0 || (order == 0 && !range.high_included)) return false;
            }
            return true;
        }
        case Op::cidr: return value.kind == Kind::string && cidrs_[predicate.index()].contains(value.text);
        case Op::regex:
            return value.kind == Kind::string && !value.lone_surrogate &&
                   regexes_[predicate.index()]->Match({value.text.data(), value.text.size()}, 0, value.text.size(),
                                                      re2::RE2::ANCHOR_BOTH, nullptr, 0);
        case Op::none_of_these: {
            const std::uint32_t* const list = lists_.data() + predicate.word(0);
            return std::none_of(list, list + predicate.word(1), [&](std::uint32_t item) { return holds(item, leaf); });
        }
    }
    return false;
}

std::size_t Predicates::bytes() const noexcept
{
    return all_.capacity() * sizeof(Predicate) + positions_.capacity() * sizeof(std::uint32_t) + texts_.capacity() +
           bounds_.capacity() * sizeof(Bound) + ranges_.capacity() * sizeof(Range) + cidrs_.capacity() * sizeof(Cidr) +
           lists_.capacity() * sizeof(std::uint32_t) + regexes_.size() * sizeof(re2::RE2);
}

}  // namespace eventyard::rules
