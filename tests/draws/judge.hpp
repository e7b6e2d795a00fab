// tests/draws/judge.hpp — a rule set and an event, asked of RuleSet and of the reference evaluator.
//
// Whatever RuleSet promises is asked for at once: the answer of each rule, ascending and unique ids,
// the same answer with memory used before and with fresh memory, for a rule alone and among others,
// and from match_unchecked() where it applies.
#pragma once

#include <optional>
#include <string>

#include "rules/rule_set.hpp"
#include "tests/draws/tree.hpp"

namespace eventyard::draws {

/// Compiled rules. Patterns that the language refuses are left out.
class Rules {
public:
    explicit Rules(const std::vector<Tree>& patterns, std::size_t alone = 2);

    std::vector<Tree> texts;                // of the rules that compiled
    std::vector<rules::Pattern> patterns;   // likewise
    std::vector<std::string> refused;

    /// Empty, or what was wrong. `expected` receives the reference's answers, by rule.
    /// @param every  ask all questions, not a sample of them
    [[nodiscard]] std::string compare(const Tree& event, rules::Matching& used, std::vector<bool>& expected, bool every);

private:
    rules::RuleSet all_;
    rules::RuleSet backwards_;
    std::vector<std::pair<std::uint32_t, rules::RuleSet>> alone_;
    std::uint64_t asked_ = 0;
    json::Document event_;
    std::string padded_;
    std::vector<std::uint32_t> out_, wanted_;
};

/// The smallest rules and event, found by leaving things out, that still go wrong; as text for people.
[[nodiscard]] std::string shrink(std::vector<Tree> patterns, Tree event);

}  // namespace eventyard::draws
