#include "rules/engine/plain_patterns.hpp"

#include <algorithm>

#include "rules/operators.hpp"
#include "rules/wildcard.hpp"

namespace eventyard::rules {

using json::Kind;

namespace {

constexpr std::uint32_t not_plain = Predicates::none;

bool is_text(const json::Value& value) noexcept { return value.kind == Kind::string && !value.lone_surrogate; }

}  // namespace

std::optional<std::uint32_t> PlainPatterns::add(std::uint32_t rule, const json::Document& text, std::uint32_t index)
{
    if (text.values()[index].kind != Kind::object) return std::nullopt;
    description_.clear();
    slots_.clear();
    open_.clear();
    if (!object(text.values(), index, 0, 0)) return std::nullopt;
    return programs_.add(rule, description_, slots_);
}

bool PlainPatterns::object(Values values, std::uint32_t at, std::uint32_t position, int depth)
{
    constexpr int depth_max = 32;
    const std::size_t count_at = description_.size();
    const std::size_t open = open_.size();  // positions of this object's members follow
    description_.push_back(0);
    for (std::uint32_t i = at + 1; i < values[at].next; i = values[i].next) {
        const json::Value& member = values[i];
        if (member.key_lone_surrogate || depth == depth_max) return false;
        if (member.key == "$or" || member.key.find('.') != std::string_view::npos) return false;
        const std::uint32_t below = names_.add(position, member.key);
        if (std::find(open_.begin() + static_cast<std::ptrdiff_t>(open), open_.end(), below) != open_.end()) return false;
        open_.push_back(below);
        if (member.kind == Kind::object) {
            // Perhaps an operator whose list was forgotten.
            if (i + 1 < member.next && values[i + 1].next == member.next && is_operator(values[i + 1].key)) return false;
            Programs::append_part(description_, below, false, false, true);
            if (!object(values, i, below, depth + 1)) return false;
        } else if (member.kind == Kind::array) {
            bool absentable = false;
            if (!list(values, i, below, absentable)) return false;
            Programs::append_part(description_, below, true, absentable, false);
        } else {
            return false;
        }
        ++description_[count_at];
    }
    open_.resize(open);
    description_.push_back(0);  // no alternatives
    return description_[count_at] > 0;
}

bool PlainPatterns::list(Values values, std::uint32_t at, std::uint32_t position, bool& absentable)
{
    ItemList many;
    std::uint32_t first = not_plain;
    std::size_t count = 0;
    const bool one_item = at + 1 < values[at].next && values[at + 1].next == values[at].next;
    for (std::uint32_t i = at + 1; i < values[at].next; i = values[i].next) {
        const bool exists = values[i].kind == Kind::object && i + 1 < values[i].next && values[i + 1].key == "exists" &&
                            values[i + 1].next == values[i].next;
        if (exists && values[i + 1].kind == Kind::boolean && !values[i + 1].truth) {
            if (absentable) return false;  // listed twice
            many.exists_false = absentable = true;
        } else {
            const std::uint32_t one = item(values, i, position);
            if (one == not_plain || (exists && !one_item)) return false;
            if (count++ == 0) first = one;
            else many.any.push_back(one);
        }
    }
    if (count == 0 && !absentable) return false;
    names_.mark_field(position);
    if (count == 1 && !absentable) {
        slots_.push_back(first);
        return true;
    }
    if (count > 0) many.any.insert(many.any.begin(), first);
    list_ = many.any;
    std::sort(list_.begin(), list_.end());
    if (std::adjacent_find(list_.begin(), list_.end()) != list_.end()) return false;  // listed twice
    slots_.push_back(programs_.add_list(many));
    return true;
}

std::uint32_t PlainPatterns::item(Values values, std::uint32_t at, std::uint32_t position)
{
    if (values[at].kind == Kind::object) return operation(values, at, position);
    if (values[at].kind == Kind::array) return not_plain;
    return value(values[at], position);
}

std::uint32_t PlainPatterns::value(const json::Value& value, std::uint32_t position)
{
    switch (value.kind) {
        case Kind::string:
            return value.lone_surrogate ? not_plain : predicates_.add_text(position, Op::string, value.text);
        case Kind::number: return predicates_.add_number(position, Op::number, value.text);
        case Kind::boolean: return predicates_.add_text(position, value.truth ? Op::yes : Op::no, {});
        case Kind::null: return predicates_.add_text(position, Op::null, {});
        default: return not_plain;
    }
}

std::uint32_t PlainPatterns::operation(Values values, std::uint32_t at, std::uint32_t position)
{
    const std::uint32_t operand = at + 1;
    if (operand >= values[at].next || values[operand].next != values[at].next) return not_plain;  // one member
    const std::string_view name = values[operand].key;
    const json::Value& of = values[operand];
    if (name == "prefix") return affix(values, operand, position, Op::prefix, Op::folded_prefix);
    if (name == "suffix") return affix(values, operand, position, Op::suffix, Op::folded_suffix);
    if (name == "numeric") return numeric(values, operand, position);
    if (name == "anything-but") return anything_but(values, operand, position);
    if (name == "equals-ignore-case") return is_text(of) ? folded(position, Op::folded, of.text) : not_plain;
    if (name == "exists")
        return of.kind == Kind::boolean && of.truth ? predicates_.add_text(position, Op::any, {}) : not_plain;
    if (name == "wildcard" && is_text(of)) {
        auto wildcard = Wildcard::read(of.text);
        if (wildcard.has_value()) return predicates_.add(position, {std::move(*wildcard), {}});
    }
    return not_plain;
}

std::uint32_t PlainPatterns::folded(std::uint32_t position, Op op, std::string_view text)
{
    scratch_.clear();
    append_folded(scratch_, text);
    return predicates_.add_text(position, op, scratch_);
}

std::uint32_t PlainPatterns::affix(Values values, std::uint32_t operand, std::uint32_t position, Op plain,
                                   Op folded_op)
{
    const json::Value& of = values[operand];
    if (is_text(of)) return predicates_.add_text(position, plain, of.text);
    const std::uint32_t inner = operand + 1;
    if (of.kind != Kind::object || inner >= of.next || values[inner].next != of.next ||
        values[inner].key != "equals-ignore-case" || !is_text(values[inner]))
        return not_plain;
    return folded(position, folded_op, values[inner].text);
}

std::uint32_t PlainPatterns::numeric(Values values, std::uint32_t operand, std::uint32_t position)
{
    const json::Value& of = values[operand];
    const std::uint32_t count = of.next - operand - 1;  // scalars take one value each
    if (of.kind != Kind::array || (count != 2 && count != 4)) return not_plain;
    const json::Value* const terms = &values[operand + 1];
    for (std::uint32_t i = 0; i < count; ++i)
        if (terms[i].kind != (i % 2 == 0 ? Kind::string : Kind::number)) return not_plain;
    const std::string_view first = terms[0].text;
    const std::string_view number = terms[1].text;
    if (count == 2) {
        if (first == "=") return predicates_.add_number(position, Op::number, number);
        if (first == "!=") return predicates_.add_number(position, Op::number_not, number);
        if (first == ">" || first == ">=") return predicates_.add_range(position, {number, {}, first.size() == 2, false});
        if (first == "<" || first == "<=") return predicates_.add_range(position, {{}, number, false, first.size() == 2});
        return not_plain;
    }
    const std::string_view second = terms[2].text;
    const std::string_view other = terms[3].text;
    if ((first != ">" && first != ">=") || (second != "<" && second != "<=")) return not_plain;
    const Approximate low = approximate(number), high = approximate(other);
    if (!low.in_range || !high.in_range || surely(low.value, high.value) >= 0) return not_plain;
    return predicates_.add_range(position, {number, other, first.size() == 2, second.size() == 2});
}

std::uint32_t PlainPatterns::anything_but(Values values, std::uint32_t operand, std::uint32_t position)
{
    const json::Value& of = values[operand];
    list_.clear();
    if (is_text(of) || of.kind == Kind::number) {
        list_.push_back(value(of, position));
        return predicates_.add_none_of(position, list_);
    }
    if (of.kind != Kind::array || of.next == operand + 1) return not_plain;
    for (std::uint32_t i = operand + 1; i < of.next; i = values[i].next) {
        const bool fits = values[i].kind == values[operand + 1].kind && (is_text(values[i]) || values[i].kind == Kind::number);
        if (!fits) return not_plain;
        list_.push_back(value(values[i], position));
    }
    return predicates_.add_none_of(position, list_);
}

}  // namespace eventyard::rules
