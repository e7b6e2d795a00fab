#include "config/rule_tests.hpp"

#include <algorithm>

#include "core/json.hpp"
#include "rules/explain.hpp"

namespace eventyard::config {
namespace {

constexpr std::size_t reasons_max = 3;  // a line stays a line

std::string why_not(const rules::Explanation& explanation)
{
    std::string why;
    std::size_t shown = 0;
    const auto failed = std::count_if(explanation.fields.begin(), explanation.fields.end(),
                                      [](const auto& field) { return !field.held; });
    for (const rules::FieldVerdict& field : explanation.fields) {
        if (field.held || shown == reasons_max) continue;
        why += (shown++ == 0 ? "" : "; ") + field.path + ": " + field.reason;
    }
    const auto more = static_cast<std::size_t>(failed) - shown;
    if (more > 0) why += "; and " + std::to_string(more) + " more";
    return why;
}

std::string why_matched(const rules::Explanation& explanation)
{
    std::string why;
    std::size_t shown = 0;
    for (const rules::FieldVerdict& field : explanation.fields) {
        if (shown++ == reasons_max) break;
        why += (why.empty() ? "" : "; ") +
               (field.witness.empty() ? field.path + " is absent" : field.witness) + " satisfies " +
               field.wanted;
    }
    if (explanation.fields.size() > reasons_max)
        why += "; and " + std::to_string(explanation.fields.size() - reasons_max) + " more";
    return why;
}

}  // namespace

TestSummary run_rule_tests(const std::deque<router::Rule>& rules, Report& report)
{
    TestSummary summary;
    json::Document event;
    for (const router::Rule& rule : rules) {
        if (!rule.details || rule.details->tests.empty()) {
            ++summary.rules_without_tests;
            continue;
        }
        const rules::Pattern& pattern = rule.details->pattern;
        for (const router::RuleTest& test : rule.details->tests) {
            json::SyntaxError error;
            if (!event.parse(test.event, {}, error)) {  // an event can be too deep, never unreadable
                report.error(test.place, "the event of this test is refused: " + error.message);
                summary.failures.push_back({rule.name, test.place, test.expect_match, error.message});
                continue;
            }
            if (rules::matches(pattern, event) == test.expect_match) {
                ++summary.passed;
                continue;
            }
            const auto explanation = rules::explain(pattern, event);
            TestFailure failure{rule.name, test.place, test.expect_match,
                                test.expect_match ? why_not(explanation) : why_matched(explanation)};
            report.error(test.place, "rule '" + rule.name + "' should " +
                                         (test.expect_match ? "match this event and does not: "
                                                            : "reject this event and matches it: ") +
                                         failure.why);
            summary.failures.push_back(std::move(failure));
        }
    }
    return summary;
}

}  // namespace eventyard::config
