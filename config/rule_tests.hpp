// config/rule_tests.hpp — runs the `tests:` that rules carry.
//
// `eventyard test` shows the result; a reload takes effect only when none failed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/report.hpp"
#include "router/route_table.hpp"

namespace eventyard::config {

struct TestFailure {
    std::string rule;
    Place place;
    bool expect_match = true;
    std::string why;  // one line: the fields that decided, e.g. "detail.amount: 99 is not >= 100"
};

struct TestSummary {
    std::size_t passed = 0;
    std::size_t rules_without_tests = 0;
    std::vector<TestFailure> failures;  // in rule order
};

/// Runs every test of every rule, disabled ones included; each failure is also an error in `report`.
[[nodiscard]] TestSummary run_rule_tests(const std::deque<router::Rule>& rules, Report& report);

}  // namespace eventyard::config
