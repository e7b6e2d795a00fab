#include "rules/matcher.hpp"

#include <algorithm>

#include "core/result.hpp"

namespace eventyard::rules {
namespace {

using json::Kind;
using json::Value;

Decimal number_of(const Value& leaf)
{
    const auto number = Decimal::read(leaf.text);
    EVENTYARD_ASSERT(number.has_value(), "core/json refuses exponents of more than 18 digits");
    return *number;
}

/// One overload a kind of matcher; strings and numbers are checked for by the caller below.
struct Test {
    const Value& leaf;

    [[nodiscard]] bool is(Kind kind) const noexcept { return leaf.kind == kind; }

    bool operator()(const AnyValue&) const { return true; }
    bool operator()(const EqualsLiteral& m) const
    {
        return is(m.kind) && (m.kind == Kind::null || leaf.truth == m.truth);
    }
    bool operator()(const EqualsString& m) const { return is(Kind::string) && leaf.text == m.text; }
    bool operator()(const EqualsNumber& m) const
    {
        return is(Kind::number) && number_of(leaf) == m.number.value();
    }
    bool operator()(const Prefix& m) const
    {
        return is(Kind::string) && leaf.text.starts_with(m.text);
    }
    bool operator()(const Suffix& m) const { return is(Kind::string) && leaf.text.ends_with(m.text); }
    bool operator()(const EqualsFolded& m) const
    {
        return is(Kind::string) && m.folded.equals(leaf.text);
    }
    bool operator()(const PrefixFolded& m) const
    {
        return is(Kind::string) && m.folded.is_prefix_of(leaf.text);
    }
    bool operator()(const SuffixFolded& m) const
    {
        return is(Kind::string) && m.folded.is_suffix_of(leaf.text);
    }
    bool operator()(const Wildcard& m) const { return is(Kind::string) && m.matches(leaf.text); }
    bool operator()(const NumericRange& m) const
    {
        if (!is(Kind::number)) return false;
        const Decimal value = number_of(leaf);
        if (m.low) {
            const auto order = value <=> m.low->value();
            if (order < 0 || (order == 0 && !m.low_included)) return false;
        }
        if (m.high) {
            const auto order = value <=> m.high->value();
            if (order > 0 || (order == 0 && !m.high_included)) return false;
        }
        return true;
    }
    bool operator()(const NumericNot& m) const
    {
        return is(Kind::number) && !(number_of(leaf) == m.number.value());
    }
    bool operator()(const Cidr& m) const { return is(Kind::string) && m.contains(leaf.text); }
    bool operator()(const Regex& m) const
    {
        return is(Kind::string) && !leaf.lone_surrogate &&
               m.expression->Match({leaf.text.data(), leaf.text.size()}, 0, leaf.text.size(),
                                   re2::RE2::ANCHOR_BOTH, nullptr, 0);
    }
    bool operator()(const AnythingBut& m) const
    {
        return std::none_of(m.items.begin(), m.items.end(),
                            [&](const Matcher& item) { return item.matches(leaf); });
    }
};

/// What a matcher asks for, to follow "is not" or "does not"; and the kind of value it needs.
struct Describe {
    std::string needs;
    std::string failed;
};

Describe describe(const Matcher& matcher)
{
    struct Words {
        const Matcher& matcher;
        [[nodiscard]] std::string operand() const
        {
            const auto colon = matcher.text.find(':');
            return colon == std::string::npos ? matcher.text
                                              : matcher.text.substr(colon + 1, matcher.text.size() - colon - 2);
        }
        /// The innermost operand: of {"prefix":{"equals-ignore-case":"x"}}, "x".
        [[nodiscard]] std::string inner() const
        {
            std::string text = operand();
            if (!text.empty() && text.front() == '{')
                text = text.substr(text.find(':') + 1, text.size() - text.find(':') - 2);
            return text;
        }
        Describe operator()(const AnyValue&) const { return {"", "is no value"}; }
        Describe operator()(const EqualsLiteral&) const { return {"", "is not " + matcher.text}; }
        Describe operator()(const EqualsString&) const
        {
            return {"", "is not " + (matcher.text.front() == '{' ? operand() : matcher.text)};
        }
        Describe operator()(const EqualsNumber& m) const { return {"", "is not " + m.number.text()}; }
        Describe operator()(const Prefix&) const { return {"a string", "does not start with " + operand()}; }
        Describe operator()(const Suffix&) const { return {"a string", "does not end with " + operand()}; }
        Describe operator()(const EqualsFolded&) const
        {
            return {"a string", "is not " + operand() + ", whatever the case"};
        }
        Describe operator()(const PrefixFolded&) const
        {
            return {"a string", "does not start with " + inner() + ", whatever the case"};
        }
        Describe operator()(const SuffixFolded&) const
        {
            return {"a string", "does not end with " + inner() + ", whatever the case"};
        }
        Describe operator()(const Wildcard&) const { return {"a string", "does not fit the wildcard " + operand()}; }
        Describe operator()(const NumericRange& m) const
        {
            std::string text;
            if (m.low && m.high && m.low->text() == m.high->text()) text = "= " + m.low->text();
            else {
                if (m.low) text += (m.low_included ? ">= " : "> ") + m.low->text();
                if (m.low && m.high) text += " and ";
                if (m.high) text += (m.high_included ? "<= " : "< ") + m.high->text();
            }
            return {"a number", "is not " + text};
        }
        Describe operator()(const NumericNot& m) const { return {"a number", "is " + m.number.text()}; }
        Describe operator()(const Cidr&) const { return {"a string", "is no address in " + operand()}; }
        Describe operator()(const Regex&) const { return {"a string", "does not match the regex " + operand()}; }
        Describe operator()(const AnythingBut&) const { return {"", "is excluded by anything-but " + operand()}; }
    };
    return std::visit(Words{matcher}, matcher.test);
}

}  // namespace

bool Matcher::matches(const json::Value& leaf) const { return std::visit(Test{leaf}, test); }

std::string why_not(const Matcher& matcher, const std::string& shown, const json::Value& leaf)
{
    const Describe words = describe(matcher);
    const bool wrong_kind = (words.needs == "a string" && leaf.kind != Kind::string) ||
                            (words.needs == "a number" && leaf.kind != Kind::number);
    if (wrong_kind) return shown + " is not " + words.needs;
    return shown + " " + words.failed;
}

}  // namespace eventyard::rules
