#include "rules/operators.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace eventyard::rules {
namespace {

using Kind = Node::Kind;

constexpr std::size_t nested_items_max = 1000;
constexpr std::size_t regex_bytes_max = 4096;
constexpr std::int64_t regex_memory = std::int64_t{8} << 20;

class ItemReader {
public:
    explicit ItemReader(Report& report) : report_(report) {}

    using Made = std::optional<Matcher>;

    void list(const Node& items, Field& field);
    Made matcher(const Node& item);

    Made exactly(const Node& operand);
    Made prefix(const Node& operand) { return affix<Prefix, PrefixFolded>("prefix", operand); }
    Made suffix(const Node& operand) { return affix<Suffix, SuffixFolded>("suffix", operand); }
    Made equals_ignore_case(const Node& operand);
    Made wildcard(const Node& operand);
    Made regex(const Node& operand);
    Made cidr(const Node& operand);
    Made numeric(const Node& operand);
    Made exists_true(const Node& operand);
    Made anything_but(const Node& operand);

private:
    std::nullopt_t error(const Place& place, std::string message)
    {
        report_.error(place, std::move(message));
        return std::nullopt;
    }
    bool is_string(const Node& operand, std::string_view name)
    {
        if (operand.kind == Kind::string) return true;
        error(operand.place, fmt::format("{} match pattern must be a string, not {}", name,
                                         kind_name(operand.kind)));
        return false;
    }
    template <class Plain, class Insensitive>
    Made affix(const char* name, const Node& operand);
    std::vector<Matcher> nested(const char* name, const Node& operand);
    std::optional<Number> number(const Node& node);
    Made anything_but_operator(const Node& operand);
    const Member* only_member(const Node& item);

    Report& report_;
};

/// Where an operator may stand besides a leaf list.
enum class Inside : std::uint8_t { nothing, all_and_none, anything_but };

struct Operator {
    std::string_view name;
    std::optional<Matcher> (ItemReader::*read)(const Node&);  // null: read by list()
    Inside inside;
};

constexpr Operator operators[] = {
    {"exactly", &ItemReader::exactly, Inside::all_and_none},
    {"prefix", &ItemReader::prefix, Inside::anything_but},
    {"suffix", &ItemReader::suffix, Inside::anything_but},
    {"equals-ignore-case", &ItemReader::equals_ignore_case, Inside::anything_but},
    {"wildcard", &ItemReader::wildcard, Inside::anything_but},
    {"regex", &ItemReader::regex, Inside::anything_but},
    {"cidr", &ItemReader::cidr, Inside::anything_but},
    {"numeric", &ItemReader::numeric, Inside::anything_but},
    {"anything-but", &ItemReader::anything_but, Inside::all_and_none},
    {"exists", &ItemReader::exists_true, Inside::nothing},
    {"all-of", nullptr, Inside::nothing},
    {"none-of", nullptr, Inside::nothing},
};

constexpr std::string_view reserved_in_or[] = {
    "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard",
    "numeric", "cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard",
    "not-equals-ignore-case", "date-after", "date-on-or-after", "date-before",
    "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range"};

const Operator* find_operator(std::string_view name) noexcept
{
    const auto* const found = std::find_if(std::begin(operators), std::end(operators),
                                           [&](const Operator& o) { return o.name == name; });
    return found == std::end(operators) ? nullptr : found;
}

std::string suggestion(const std::string& name)
{
    std::vector<std::string> names;
    for (const Operator& o : operators) names.emplace_back(o.name);
    std::string lower = name;
    std::replace(lower.begin(), lower.end(), '_', '-');
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return did_you_mean(lower, names);
}

const Member* ItemReader::only_member(const Node& item)
{
    if (item.members.empty()) {
        error(item.place, "Match expression name not found: an operator looks like {\"prefix\": \"x\"}");
        return nullptr;
    }
    if (item.members.size() > 1) {
        error(item.members[1].key_place,
              fmt::format("Only one key allowed in match expression, but '{}' is followed by '{}'",
                          item.members[0].key, item.members[1].key));
        return nullptr;
    }
    return &item.members.front();
}

void ItemReader::list(const Node& items, Field& field)
{
    field.place = items.place;
    field.wanted = to_json(items);
    if (items.items.empty())
        error(items.place, "Empty arrays are not allowed: list at least one value to match");
    for (const Node& item : items.items) {
        const bool single = item.kind == Kind::map && item.members.size() == 1;
        const Member* const member = single ? &item.members.front() : nullptr;
        if (member != nullptr && member->key == "exists") {
            if (member->value.kind != Kind::boolean) {
                error(member->value.place, "exists match pattern must be either true or false");
            } else if (member->value.text == "true") {
                field.any.push_back({AnyValue{}, to_json(item)});
            } else {
                field.exists_false = true;
            }
        } else if (member != nullptr && member->key == "all-of") {
            field.all_of.push_back(nested("all-of", member->value));
        } else if (member != nullptr && member->key == "none-of") {
            field.none_of.push_back(nested("none-of", member->value));
        } else if (auto made = matcher(item)) {
            field.any.push_back(std::move(*made));
        }
    }
}

std::vector<Matcher> ItemReader::nested(const char* name, const Node& operand)
{
    std::vector<Matcher> all;
    if (operand.kind != Kind::list || operand.items.empty() ||
        operand.items.size() > nested_items_max) {
        error(operand.place, fmt::format("Value of {} must be a list of 1 to {} items", name,
                                         nested_items_max));
        return all;
    }
    for (const Node& item : operand.items) {
        if (item.kind == Kind::map && item.members.size() == 1) {
            const Operator* const found = find_operator(item.members.front().key);
            if (found != nullptr && found->inside == Inside::nothing) {
                error(item.members.front().key_place,
                      fmt::format("'{}' cannot stand inside {}", found->name, name));
                continue;
            }
        }
        if (auto made = matcher(item)) all.push_back(std::move(*made));
    }
    return all;
}

ItemReader::Made ItemReader::matcher(const Node& item)
{
    const auto made = [&](auto test) { return Made(Matcher{std::move(test), to_json(item)}); };
    switch (item.kind) {
        case Kind::null: return made(EqualsLiteral{json::Kind::null, false});
        case Kind::boolean: return made(EqualsLiteral{json::Kind::boolean, item.text == "true"});
        case Kind::string: return made(EqualsString{item.text});
        case Kind::number: {
            auto value = number(item);
            return value ? made(EqualsNumber{std::move(*value)}) : std::nullopt;
        }
        case Kind::list:
            return error(item.place,
                         "Match value must be String, number, true, false, or null: a list cannot "
                         "stand inside a list of values");
        case Kind::map: break;
    }
    const Member* const member = only_member(item);
    if (member == nullptr) return std::nullopt;
    const Operator* const found = find_operator(member->key);
    if (found == nullptr)
        return error(member->key_place, "Unrecognized match type " + member->key + suggestion(member->key));
    auto read = (this->*found->read)(member->value);
    if (read) read->text = to_json(item);
    return read;
}

std::optional<Number> ItemReader::number(const Node& node)
{
    auto value = Number::read(node.text);
    if (!value) error(node.place, "a number's exponent may have at most 18 digits");
    return value;
}

ItemReader::Made ItemReader::exactly(const Node& operand)
{
    if (!is_string(operand, "exact")) return std::nullopt;
    return Matcher{EqualsString{operand.text}, {}};
}

template <class Plain, class Insensitive>
ItemReader::Made ItemReader::affix(const char* name, const Node& operand)
{
    if (operand.kind != Kind::map) {
        if (!is_string(operand, name)) return std::nullopt;
        return Matcher{Plain{operand.text}, {}};
    }
    const Member* const member = only_member(operand);
    if (member == nullptr) return std::nullopt;
    if (member->key != "equals-ignore-case")
        return error(member->key_place,
                     fmt::format("Unsupported {} pattern: {}; only equals-ignore-case may stand there",
                                 name, member->key));
    if (!is_string(member->value, "equals-ignore-case")) return std::nullopt;
    return Matcher{Insensitive{Folded(member->value.text)}, {}};
}

ItemReader::Made ItemReader::equals_ignore_case(const Node& operand)
{
    if (!is_string(operand, "equals-ignore-case")) return std::nullopt;
    return Matcher{EqualsFolded{Folded(operand.text)}, {}};
}

ItemReader::Made ItemReader::wildcard(const Node& operand)
{
    if (!is_string(operand, "wildcard")) return std::nullopt;
    auto made = Wildcard::read(operand.text);
    if (!made.has_value()) return error(operand.place, made.error().what);
    return Matcher{std::move(*made), {}};
}

ItemReader::Made ItemReader::regex(const Node& operand)
{
    if (!is_string(operand, "regex")) return std::nullopt;
    if (operand.text.size() > regex_bytes_max)
        return error(operand.place, fmt::format("a regex may have at most {} bytes", regex_bytes_max));
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(regex_memory);
    auto expression = std::make_shared<const re2::RE2>(operand.text, options);
    if (!expression->ok()) return error(operand.place, "Invalid regex: " + expression->error());
    return Matcher{Regex{std::move(expression)}, {}};
}

ItemReader::Made ItemReader::cidr(const Node& operand)
{
    if (!is_string(operand, "cidr")) return std::nullopt;
    auto made = Cidr::read(operand.text);
    if (!made.has_value()) return error(operand.place, made.error().what);
    if (made->host_bits_set())
        report_.warning(operand.place, "the address in '" + operand.text +
                                           "' has bits beyond its mask; they are ignored");
    return Matcher{std::move(*made), {}};
}

ItemReader::Made ItemReader::exists_true(const Node&)
{
    return Matcher{AnyValue{}, {}};  // list() reads `exists`; nested() refuses it
}

ItemReader::Made ItemReader::numeric(const Node& operand)
{
    if (operand.kind != Kind::list)
        return error(operand.place, "Value of numeric must be an array, such as [\">=\", 100]");
    const auto& terms = operand.items;
    if (terms.empty())
        return error(operand.place, "Invalid member in numeric match: it is empty; write [\">=\", 100]");
    struct Term {
        std::string_view op;
        std::optional<Number> value;
    };
    const auto term = [&](std::size_t i) -> std::optional<Term> {
        const Node& op = terms[i];
        if (op.kind != Kind::string)
            return error(op.place, "Invalid member in numeric match: an operator in quotes must "
                                   "stand before each number");
        constexpr std::string_view known[] = {"=", "!=", "<", "<=", ">", ">="};
        if (std::find(std::begin(known), std::end(known), op.text) == std::end(known))
            return error(op.place, "Unrecognized numeric range operator: " + op.text +
                                       "; use one of = != < <= > >=");
        if (i + 1 >= terms.size() || terms[i + 1].kind != Kind::number)
            return error((i + 1 < terms.size() ? terms[i + 1] : op).place,
                         "Value of " + op.text + " must be numeric");
        auto value = number(terms[i + 1]);
        if (!value) return std::nullopt;
        return Term{op.text, std::move(value)};
    };
    auto first = term(0);
    if (!first) return std::nullopt;
    const bool lower = first->op.front() == '>';
    if (terms.size() > 2 && !lower)
        return error(terms[2].place,
                     "Too many elements in numeric expression: only a lower bound (> or >=) may be "
                     "followed by an upper one (< or <=)");
    if (first->op == "!=") return Matcher{NumericNot{*first->value}, {}};
    NumericRange range;
    const bool included = first->op.back() == '=';
    if (first->op.front() != '<') range.low = first->value, range.low_included = included;
    if (!lower) range.high = first->value, range.high_included = included;
    if (terms.size() == 2) return Matcher{std::move(range), {}};

    auto second = term(2);
    if (!second) return std::nullopt;
    if (second->op.front() != '<')
        return error(terms[2].place, fmt::format("Bad numeric range operator: {}; after a lower bound "
                                                 "comes an upper one (< or <=)",
                                                 second->op));
    if (terms.size() > 4)
        return error(terms[4].place, "Too many terms in numeric range expression: there are two at most");
    range.high = second->value;
    range.high_included = second->op.back() == '=';
    if (!(range.low->value() < range.high->value()))
        return error(terms[3].place,
                     fmt::format("Bottom must be less than top: no number lies between {} and {}{}",
                                 range.low->text(), range.high->text(),
                                 range.low->value() == range.high->value() ? "; write [\"=\", n] for one number" : ""));
    return Matcher{std::move(range), {}};
}

ItemReader::Made ItemReader::anything_but(const Node& operand)
{
    AnythingBut but;
    if (operand.kind == Kind::map) return anything_but_operator(operand);
    if (operand.kind == Kind::null || operand.kind == Kind::boolean)
        return error(operand.place,
                     "Value of anything-but must be an array or single string/number value");
    if (operand.kind != Kind::list) {
        auto made = matcher(operand);
        if (!made) return std::nullopt;
        but.items.push_back(std::move(*made));
        return Matcher{std::move(but), {}};
    }
    if (operand.items.empty())
        return error(operand.place,
                     "Inside anything but list, either all values are number or string: it is empty");
    bool good = true;
    for (const Node& item : operand.items) {
        if (item.kind != Kind::string && item.kind != Kind::number) {
            error(item.place, fmt::format("Inside anything but list, start|null|boolean is not "
                                          "supported: {} stands there; only strings or only numbers may",
                                          kind_name(item.kind)));
            good = false;
        } else if (item.kind != operand.items.front().kind &&
                   operand.items.front().is_scalar()) {
            error(item.place, "Inside anything but list, either all values are number or string, "
                              "mixed type is not supported");
            good = false;
        } else if (auto made = matcher(item)) {
            but.items.push_back(std::move(*made));
        } else {
            good = false;
        }
    }
    return good ? Made(Matcher{std::move(but), {}}) : std::nullopt;
}

ItemReader::Made ItemReader::anything_but_operator(const Node& operand)
{
    const Member* const member = only_member(operand);
    if (member == nullptr) return std::nullopt;
    const std::string& name = member->key;
    const Node& value = member->value;
    const Operator* const found = find_operator(name);
    if (found == nullptr || found->inside != Inside::anything_but)
        return error(member->key_place, "Unsupported anything-but pattern: " + name +
                                            (found == nullptr ? suggestion(name) : ""));
    AnythingBut but;
    const auto add = [&](const Node& one) {
        auto made = (this->*found->read)(one);
        if (!made) return false;
        made->text = "{\"" + name + "\":" + to_json(one) + "}";
        but.items.push_back(std::move(*made));
        return true;
    };
    if (name == "numeric") return add(value) ? Made(Matcher{std::move(but), {}}) : std::nullopt;

    const bool affix = name == "prefix" || name == "suffix";
    if (value.kind == Kind::list && value.items.empty())
        return error(value.place, "an empty list inside anything-but excludes nothing; list at least one " + name);
    bool good = true;
    for (const Node& one : value.kind == Kind::list ? value.items : std::vector<Node>{value}) {
        if (one.kind != Kind::string) {
            error(one.place,
                  affix && one.kind == Kind::map
                      ? "Value of anything-but must be an array or single string/number value: " + name +
                            " takes strings only here"
                  : affix ? "prefix/suffix match pattern must be a string, not " + std::string(kind_name(one.kind))
                  : name == "equals-ignore-case"
                      ? "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported"
                      : name + " match pattern must be a string, not " + kind_name(one.kind));
            good = false;
        } else if (affix && one.text.empty()) {
            error(one.place, "Null prefix/suffix not allowed: every string starts and ends with \"\"");
            good = false;
        } else {
            good = add(one) && good;
        }
    }
    return good ? Made(Matcher{std::move(but), {}}) : std::nullopt;
}

}  // namespace

void read_items(const Node& items, Field& field, Report& report)
{
    ItemReader(report).list(items, field);
}

bool is_operator(std::string_view name) noexcept { return find_operator(name) != nullptr; }

bool is_reserved_in_or(std::string_view name) noexcept
{
    return std::find(std::begin(reserved_in_or), std::end(reserved_in_or), name) !=
           std::end(reserved_in_or);
}

std::string to_json(const Node& node)
{
    std::string out;
    switch (node.kind) {
        case Kind::null: return "null";
        case Kind::boolean:
        case Kind::number: return node.text;
        case Kind::string: json::append_quoted(out, node.text); return out;
        case Kind::list:
            for (const Node& item : node.items) out += (out.empty() ? "" : ",") + to_json(item);
            return "[" + out + "]";
        case Kind::map: break;
    }
    for (const Member& member : node.members) {
        if (!out.empty()) out += ',';
        json::append_quoted(out, member.key);
        out += ':' + to_json(member.value);
    }
    return "{" + out + "}";
}

}  // namespace eventyard::rules
