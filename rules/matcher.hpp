// rules/matcher.hpp — one item of a leaf list as a test of one scalar.
#pragma once

#include <memory>
#include <optional>
#include <re2/re2.h>
#include <string>
#include <variant>
#include <vector>

#include "core/json.hpp"
#include "rules/cidr.hpp"
#include "rules/decimal.hpp"
#include "rules/fold.hpp"
#include "rules/wildcard.hpp"

namespace eventyard::rules {

struct Matcher;

struct AnyValue {};  // {"exists": true}
struct EqualsLiteral {
    json::Kind kind = json::Kind::null;
    bool truth = false;
};
struct EqualsString { std::string text; };
struct EqualsNumber { Number number; };
struct Prefix { std::string text; };
struct Suffix { std::string text; };
struct EqualsFolded { Folded folded; };
struct PrefixFolded { Folded folded; };
struct SuffixFolded { Folded folded; };
struct NumericRange {
    std::optional<Number> low, high;
    bool low_included = false, high_included = false;
};
struct NumericNot { Number number; };
/// RE2, the whole string. Never undecided: when its automaton outgrows the memory bound, RE2 goes
/// on with its simulation, which needs none (tests/rules/regex_test.cpp holds it to that).
struct Regex { std::shared_ptr<const re2::RE2> expression; };
struct AnythingBut { std::vector<Matcher> items; };

struct Matcher {
    std::variant<AnyValue, EqualsLiteral, EqualsString, EqualsNumber, Prefix, Suffix, EqualsFolded,
                 PrefixFolded, SuffixFolded, Wildcard, NumericRange, NumericNot, Cidr, Regex,
                 AnythingBut>
        test;
    std::string text;  // as JSON, e.g. {"prefix":"a"}

    [[nodiscard]] bool matches(const json::Value& leaf) const;
};

/// Why `leaf` fails `matcher`, e.g. `99 is not >= 100`; `shown` is the leaf as people see it.
[[nodiscard]] std::string why_not(const Matcher& matcher, const std::string& shown,
                                  const json::Value& leaf);

}  // namespace eventyard::rules
