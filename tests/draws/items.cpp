#include "tests/draws/items.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <map>

#include "tests/draws/pools.hpp"

namespace eventyard::draws {
namespace {

using Kind = Tree::Kind;

constexpr const char* names[] = {
    "string", "number", "literal", "exactly", "prefix", "prefix ignoring case", "suffix", "suffix ignoring case",
    "equals-ignore-case", "wildcard", "numeric =", "numeric !=", "numeric < <=", "numeric > >=", "numeric range",
    "cidr v4", "cidr v6", "cidr mapped", "regex", "exists true", "exists false",
    "anything-but string", "anything-but strings", "anything-but number", "anything-but numbers", "anything-but prefix",
    "anything-but suffix", "anything-but ignoring case", "anything-but wildcard", "anything-but numeric",
    "anything-but cidr", "anything-but regex", "all-of", "none-of"};
static_assert(std::size(names) == form_count);

const std::vector<Form> simple_forms = {
    Form::string, Form::number, Form::literal, Form::exactly, Form::prefix, Form::prefix_ignoring_case, Form::suffix,
    Form::suffix_ignoring_case, Form::equals_ignore_case, Form::wildcard, Form::numeric_equal, Form::numeric_not,
    Form::numeric_less, Form::numeric_greater, Form::numeric_between, Form::cidr_v4, Form::cidr_v6,
    Form::cidr_mapped, Form::regex, Form::but_string, Form::but_strings, Form::but_number, Form::but_numbers,
    Form::but_prefix, Form::but_suffix, Form::but_equals_ignore_case, Form::but_wildcard, Form::but_numeric,
    Form::but_cidr, Form::but_regex};

std::string number_text(std::size_t index, Dice& random)
{
    const auto& spellings = number_pool()[index];
    return random.chance(60) ? spellings.front() : random.pick(spellings);
}

std::size_t number_index(const Vocabulary& words, Dice& random)
{
    return random.chance(85) ? random.pick(words.numbers) : random.below(number_pool().size());
}

constexpr std::size_t not_pooled = SIZE_MAX;

std::size_t find_number(const std::string& text)
{
    static const std::map<std::string, std::size_t, std::less<>> all = [] {
        std::map<std::string, std::size_t, std::less<>> made;
        for (std::size_t i = 0; i < number_pool().size(); ++i)
            for (const auto& spelling : number_pool()[i]) made.emplace(spelling, i);
        return made;
    }();
    const auto found = all.find(text);
    return found == all.end() ? not_pooled : found->second;
}

/// The pool's entry with that spelling, or the middle.
std::size_t index_of(const std::string& text)
{
    const std::size_t found = find_number(text);
    return found == not_pooled ? number_pool().size() / 2 : found;
}

/// For a bound outside the pool: the bound, or a little more.
Tree near_bound(const std::string& text, Dice& random)
{
    if (random.chance(30) || text.find('e') != std::string::npos) return Tree::number(text);
    return Tree::number(text + (text.find('.') == std::string::npos ? ".25" : "1"));
}

std::string string_of(const Vocabulary& words, Dice& random)
{
    const std::size_t kind = random.below(20);
    if (kind < 17) return random.pick(words.strings);
    if (kind < 18) return random.pick(words.strings) + random.pick(words.strings);
    if (kind < 19) return random.pick(string_pool());
    std::string made;
    for (std::size_t n = random.below(7); n > 0; --n) made += static_cast<char>('a' + random.below(2));
    return made;
}

std::string filler(const Vocabulary& words, Dice& random)
{
    const std::size_t kind = random.below(8);
    if (kind < 3) return {};
    if (kind < 6) return random.pick(words.strings);
    return random.pick(string_pool());
}

std::string in_other_case(std::string_view text, Dice& random)
{
    static const std::map<std::string, const std::vector<std::string>*, std::less<>> groups = [] {
        std::map<std::string, const std::vector<std::string>*, std::less<>> made;
        for (const auto& group : letter_cases())
            for (const auto& letter : group) made.emplace(letter, &group);
        return made;
    }();
    std::string out;
    for (const auto& point : code_points(text)) {
        const auto found = groups.find(point);
        out += found == groups.end() || random.chance(40) ? point : random.pick(*found->second);
    }
    return out;
}

/// `text` with one code point left out, doubled, added or in the other case.
std::string misspelled(const std::string& text, const Vocabulary& words, Dice& random)
{
    auto points = code_points(text);
    const std::size_t at = points.empty() ? 0 : random.below(points.size());
    switch (random.below(7)) {
        case 0: return text + random.pick(std::vector<std::string>{"a", "b", "\u00e9", " ", "\n", "\xed\xa0\x80"});
        case 1: return random.pick(std::vector<std::string>{"a", "b", "\u00e9", "k"}) + text;
        case 2: return string_of(words, random);
        case 3: return in_other_case(text, random);
        case 4:
            if (!points.empty()) points.pop_back();
            break;
        case 5:
            if (!points.empty()) points.erase(points.begin() + static_cast<std::ptrdiff_t>(at));
            break;
        default:
            if (!points.empty()) points[at] += points[at];
            break;
    }
    std::string out;
    for (const auto& point : points) out += point;
    return out;
}

std::string wildcard_of(const Vocabulary& words, Dice& random)
{
    const std::size_t pieces = random.below(20) == 0 ? random.between(4, 12) : random.between(1, 3);
    std::string out;
    for (std::size_t i = 0; i < pieces; ++i) {
        std::string piece = string_of(words, random);
        if (piece.size() > 20 && random.chance(80)) piece.resize(code_points(piece).front().size());
        const bool middle = i > 0 && i + 1 < pieces;
        if (i > 0) out += '*';
        if (middle && piece.empty()) piece = "a";
        for (const char c : piece) {
            if (c == '*' || c == '\\') out += '\\';
            out += c;
        }
    }
    return out;
}

std::string wildcard_witness(const std::string& wildcard, const Vocabulary& words, Dice& random)
{
    std::string out;
    for (std::size_t i = 0; i < wildcard.size(); ++i) {
        if (wildcard[i] == '*') out += filler(words, random);
        else if (wildcard[i] == '\\' && i + 1 < wildcard.size()) out += wildcard[++i];
        else out += wildcard[i];
    }
    return out;
}

/// \Q..\E, ".*" and one (?:..|..) of these, so that a witness can be read off the text.
std::string regex_of(const Vocabulary& words, Dice& random)
{
    const auto piece = [&] {
        std::string text = string_of(words, random);
        // RE2 reads UTF-8 only, and no \E may end the quotation early.
        if (text.find('\xed') != std::string::npos || text.find('\\') != std::string::npos ||
            text.find('\0') != std::string::npos)
            text = "ab";
        return fmt::format("\\Q{}\\E", text);
    };
    if (random.chance(50)) return random.pick(regex_pool()).operand;
    switch (random.below(6)) {
        case 0: return fmt::format("{}.*", piece());
        case 1: return fmt::format(".*{}", piece());
        case 2: return fmt::format(".*{}.*{}.*", piece(), piece());
        case 3: return fmt::format("(?:{}|{})", piece(), piece());
        case 4: return fmt::format("(?i){}", piece());
        default: return fmt::format("(?:{}|{}).*", piece(), piece());
    }
}

std::string regex_witness(const std::string& regex, const Vocabulary& words, Dice& random)
{
    for (const Known& known : regex_pool())
        if (known.operand == regex) return random.pick(known.values);
    std::string out;
    bool skip = false;
    const bool any_case = regex.rfind("(?i)", 0) == 0;
    for (std::size_t i = any_case ? 4 : 0; i < regex.size();) {
        const std::string_view rest = std::string_view(regex).substr(i);
        if (rest.starts_with("\\Q")) {
            const auto end = rest.find("\\E");
            if (end == std::string_view::npos) break;
            if (!skip) out += rest.substr(2, end - 2);
            i += end + 2;
        } else if (rest.starts_with(".*")) {
            std::string any = filler(words, random);
            if (any.find('\n') == std::string::npos) out += any;
            i += 2;
        } else if (rest.starts_with("(?:")) {
            skip = random.chance(50);
            i += 3;
        } else {
            if (rest.front() == '|') skip = !skip;
            if (rest.front() == ')') skip = false;
            ++i;
        }
    }
    return any_case ? in_other_case(out, random) : out;
}

const std::vector<Known>& cidr_pool(Form form)
{
    return form == Form::cidr_v4 ? cidr_v4_pool() : form == Form::cidr_v6 ? cidr_v6_pool() : cidr_mapped_pool();
}

const Known* find_cidr(const std::string& operand)
{
    for (const auto* pool : {&cidr_v4_pool(), &cidr_v6_pool(), &cidr_mapped_pool()})
        for (const Known& known : *pool)
            if (known.operand == operand) return &known;
    return nullptr;
}

Tree operand(const char* name, std::string text) { return Tree::object(name, Tree::string(std::move(text))); }

Tree ignoring_case(const char* name, std::string text)
{
    return Tree::object(name, operand("equals-ignore-case", std::move(text)));
}

Tree numeric(std::vector<Tree> terms) { return Tree::object("numeric", Tree::array(std::move(terms))); }

Tree range(const Vocabulary& words, Dice& random)
{
    std::size_t low = number_index(words, random);
    std::size_t high = number_index(words, random);
    if (low > high) std::swap(low, high);
    if (low == high) {
        if (high + 1 < number_pool().size()) ++high;
        else --low;
    }
    return numeric({Tree::string(random.chance(50) ? ">" : ">="), Tree::number(number_text(low, random)),
                    Tree::string(random.chance(50) ? "<" : "<="), Tree::number(number_text(high, random))});
}

Tree one_sided(const char* plain, const char* inclusive, const Vocabulary& words, Dice& random)
{
    return numeric({Tree::string(random.chance(50) ? plain : inclusive),
                    Tree::number(number_text(number_index(words, random), random))});
}

/// An anything-but of one or more operands, none of them empty where that is an error.
Tree but(const char* name, const std::function<std::string()>& draw, bool empty_allowed, Dice& random)
{
    const auto one = [&] {
        std::string text = draw();
        if (text.empty() && !empty_allowed) text = "a";
        return Tree::string(std::move(text));
    };
    Tree inside = one();
    if (random.chance(40)) {
        inside = Tree::array({std::move(inside)});
        for (std::size_t n = random.below(3); n > 0; --n) inside.items.push_back(one());
    }
    return Tree::object("anything-but", Tree::object(name, std::move(inside)));
}

Tree list_of(const char* name, const Vocabulary& words, Dice& random)
{
    Tree list = Tree::array();
    for (std::size_t n = random.below(12) == 0 ? random.between(4, 12) : random.between(1, 3); n > 0; --n)
        list.items.push_back(draw_item(random.pick(simple_forms), words, random));
    return Tree::object(name, std::move(list));
}

}  // namespace

const char* form_name(Form form) noexcept { return names[static_cast<std::size_t>(form)]; }

Form form_of(const Tree& item)
{
    switch (item.kind) {
        case Kind::string: return Form::string;
        case Kind::number: return Form::number;
        case Kind::object: break;
        default: return Form::literal;
    }
    const Tree& inside = item.items.front();
    const std::string& name = inside.key;
    const bool nested = inside.is(Kind::object);
    if (name == "exactly") return Form::exactly;
    if (name == "prefix") return nested ? Form::prefix_ignoring_case : Form::prefix;
    if (name == "suffix") return nested ? Form::suffix_ignoring_case : Form::suffix;
    if (name == "equals-ignore-case") return Form::equals_ignore_case;
    if (name == "wildcard") return Form::wildcard;
    if (name == "regex") return Form::regex;
    if (name == "exists") return inside.text == "true" ? Form::exists_true : Form::exists_false;
    if (name == "all-of") return Form::all_of;
    if (name == "none-of") return Form::none_of;
    if (name == "numeric") {
        const std::string& op = inside.items.front().text;
        if (inside.items.size() > 2) return Form::numeric_between;
        return op == "=" ? Form::numeric_equal : op == "!=" ? Form::numeric_not
               : op.front() == '<' ? Form::numeric_less : Form::numeric_greater;
    }
    if (name == "cidr") {
        for (const auto& known : cidr_v4_pool()) if (known.operand == inside.text) return Form::cidr_v4;
        for (const auto& known : cidr_v6_pool()) if (known.operand == inside.text) return Form::cidr_v6;
        return inside.text.find("fff") != std::string::npos   ? Form::cidr_mapped
               : inside.text.find(':') != std::string::npos ? Form::cidr_v6 : Form::cidr_v4;
    }
    if (!nested) {
        const bool list = inside.is(Kind::array);
        const bool strings = (list ? inside.items.front() : inside).is(Kind::string);
        return strings ? (list ? Form::but_strings : Form::but_string) : list ? Form::but_numbers : Form::but_number;
    }
    const std::string& but_name = inside.items.front().key;
    return but_name == "prefix" ? Form::but_prefix : but_name == "suffix" ? Form::but_suffix
           : but_name == "equals-ignore-case" ? Form::but_equals_ignore_case
           : but_name == "wildcard" ? Form::but_wildcard : but_name == "numeric" ? Form::but_numeric
           : but_name == "cidr" ? Form::but_cidr : Form::but_regex;
}

Tree draw_item(Form form, const Vocabulary& words, Dice& random)
{
    const auto text = [&] { return string_of(words, random); };
    const auto number = [&] { return Tree::number(number_text(number_index(words, random), random)); };
    const auto any_cidr = [&] {
        return random.pick(cidr_pool(static_cast<Form>(static_cast<std::size_t>(Form::cidr_v4) + random.below(3)))).operand;
    };
    const auto strings = [&](auto one) {
        Tree list = Tree::array({one()});
        for (std::size_t n = random.below(4); n > 0; --n) list.items.push_back(one());
        return Tree::object("anything-but", std::move(list));
    };
    switch (form) {
        case Form::string: {
            Tree made = Tree::string(text());
            if (random.below(20) == 0) made.spelled = spell_oddly(made.text, random);
            return made;
        }
        case Form::number: return number();
        case Form::literal: return Tree::literal(random.pick(std::vector<std::string>{"true", "false", "null"}));
        case Form::exactly: return operand("exactly", text());
        case Form::prefix: return operand("prefix", text());
        case Form::prefix_ignoring_case: return ignoring_case("prefix", text());
        case Form::suffix: return operand("suffix", text());
        case Form::suffix_ignoring_case: return ignoring_case("suffix", text());
        case Form::equals_ignore_case: return operand("equals-ignore-case", text());
        case Form::wildcard: return operand("wildcard", wildcard_of(words, random));
        case Form::numeric_equal: return numeric({Tree::string("="), number()});
        case Form::numeric_not: return numeric({Tree::string("!="), number()});
        case Form::numeric_less: return one_sided("<", "<=", words, random);
        case Form::numeric_greater: return one_sided(">", ">=", words, random);
        case Form::numeric_between: return range(words, random);
        case Form::cidr_v4:
        case Form::cidr_v6:
        case Form::cidr_mapped: return operand("cidr", random.pick(cidr_pool(form)).operand);
        case Form::regex: return operand("regex", regex_of(words, random));
        case Form::exists_true: return Tree::object("exists", Tree::literal("true"));
        case Form::exists_false: return Tree::object("exists", Tree::literal("false"));
        case Form::but_string: return operand("anything-but", text());
        case Form::but_number: return Tree::object("anything-but", number());
        case Form::but_strings: return strings([&] { return Tree::string(text()); });
        case Form::but_numbers: return strings(number);
        case Form::but_prefix: return but("prefix", text, false, random);
        case Form::but_suffix: return but("suffix", text, false, random);
        case Form::but_equals_ignore_case: return but("equals-ignore-case", text, true, random);
        case Form::but_wildcard: return but("wildcard", [&] { return wildcard_of(words, random); }, true, random);
        case Form::but_cidr: return but("cidr", any_cidr, true, random);
        case Form::but_regex: return but("regex", [&] { return regex_of(words, random); }, true, random);
        case Form::but_numeric: {
            const auto inner = static_cast<Form>(static_cast<std::size_t>(Form::numeric_equal) + random.below(5));
            return Tree::object("anything-but", draw_item(inner, words, random));
        }
        case Form::all_of: return list_of("all-of", words, random);
        case Form::none_of: return list_of("none-of", words, random);
        case Form::count_: break;
    }
    return Tree::literal("null");
}

Tree draw_scalar(const Vocabulary& words, Dice& random)
{
    const std::size_t kind = random.below(20);
    if (kind < 11) return Tree::string(string_of(words, random));
    if (kind < 16) return Tree::number(number_text(number_index(words, random), random));
    if (kind < 18) return Tree::literal(random.pick(std::vector<std::string>{"true", "false", "null"}));
    if (kind < 19) return Tree::string(random.pick(random.pick(cidr_pool(static_cast<Form>(
                                           static_cast<std::size_t>(Form::cidr_v4) + random.below(3)))).values));
    return Tree::string(random.pick(no_address_pool()));
}

Tree witness(const Tree& item, const Vocabulary& words, Dice& random)
{
    const Form form = form_of(item);
    if (item.is_scalar()) {
        Tree same = item;
        if (form == Form::number && find_number(item.text) != not_pooled)
            same.text = number_text(find_number(item.text), random);
        return same;
    }
    const Tree& inside = item.items.front();
    const auto text = [](std::string made) { return Tree::string(std::move(made)); };
    const auto of_number = [&](std::size_t i) { return Tree::number(number_text(i, random)); };
    const std::size_t last = number_pool().size() - 1;
    switch (form) {
        case Form::exactly: return text(inside.text);
        case Form::prefix: return text(inside.text + filler(words, random));
        case Form::suffix: return text(filler(words, random) + inside.text);
        case Form::prefix_ignoring_case:
            return text(in_other_case(inside.items.front().text, random) + filler(words, random));
        case Form::suffix_ignoring_case:
            return text(filler(words, random) + in_other_case(inside.items.front().text, random));
        case Form::equals_ignore_case: return text(in_other_case(inside.text, random));
        case Form::wildcard: return text(wildcard_witness(inside.text, words, random));
        case Form::regex: return text(regex_witness(inside.text, words, random));
        case Form::numeric_equal:
        case Form::numeric_not: {
            const std::size_t at = index_of(inside.items[1].text);
            if (find_number(inside.items[1].text) == not_pooled && form == Form::numeric_equal)
                return Tree::number(inside.items[1].text);
            return of_number(form == Form::numeric_equal ? at : at == 0 ? last : random.chance(50) ? at - 1 : last);
        }
        case Form::numeric_less:
        case Form::numeric_greater:
        case Form::numeric_between: {
            if (find_number(inside.items[1].text) == not_pooled) return near_bound(inside.items[1].text, random);
            const bool lower = form != Form::numeric_less;
            std::size_t low = lower ? index_of(inside.items[1].text) : 0;
            std::size_t high = form == Form::numeric_greater ? last : index_of(inside.items.back().text);
            if (lower && inside.items[0].text == ">" && low < high) ++low;
            if (form != Form::numeric_greater && inside.items[inside.items.size() - 2].text == "<" && high > low) --high;
            const std::size_t kind = random.below(3);
            return of_number(kind == 0 ? low : kind == 1 || high < low ? high : random.between(low, high));
        }
        case Form::cidr_v4:
        case Form::cidr_v6:
        case Form::cidr_mapped: {
            const Known* known = find_cidr(inside.text);
            return text(known != nullptr ? random.pick(known->values) : inside.text.substr(0, inside.text.find('/')));
        }
        default: return draw_scalar(words, random);  // anything-but: nearly everything
    }
}

Tree near_miss(const Tree& item, const Vocabulary& words, Dice& random)
{
    const Form form = form_of(item);
    if (form < Form::but_string || form > Form::but_regex) {
        if (form == Form::numeric_not) return Tree::number(number_text(index_of(item.items[0].items[1].text), random));
        return changed(witness(item, words, random), words, random);
    }
    const Tree& inside = item.items.front();
    if (!inside.is(Kind::object)) return witness(inside.is(Kind::array) ? random.pick(inside.items) : inside, words, random);
    const Tree& excluded = inside.items.front();
    if (form == Form::but_numeric) return witness(Tree::object("numeric", excluded), words, random);
    return witness(Tree::object(excluded.key, excluded.is(Kind::array) ? random.pick(excluded.items) : excluded),
                   words, random);
}

Tree changed(const Tree& value, const Vocabulary& words, Dice& random)
{
    Tree made;
    if (random.below(8) == 0) {
        made = draw_scalar(words, random);
    } else if (value.is(Kind::number)) {
        const std::size_t at = index_of(value.text);
        const std::size_t last = number_pool().size() - 1;
        switch (random.below(5)) {
            case 0: made = Tree::string(value.text); break;
            case 1: made = Tree::number(number_text(at == last ? 0 : at + 1, random)); break;
            case 2: made = Tree::number(number_text(at == 0 ? last : at - 1, random)); break;
            case 3: made = Tree::number(number_text(at, random)); break;
            default: made = Tree::number(number_text(number_index(words, random), random)); break;
        }
    } else if (value.is(Kind::literal)) {
        made = random.chance(30) ? Tree::string(value.text)
                                 : Tree::literal(random.pick(std::vector<std::string>{"true", "false", "null"}));
    } else {
        made = Tree::string(misspelled(value.text, words, random));
    }
    made.key = value.key;
    made.key_spelled = value.key_spelled;
    return made;
}

}  // namespace eventyard::draws
