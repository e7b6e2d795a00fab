// cli/bench_report.hpp — what a benchmark found, for people and for scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench_rules.hpp"
#include "cli/bench_run.hpp"

namespace eventyard::cli {

/// What was measured, and in which process.
struct BenchSubject {
    std::string rules;   // file or family
    std::string events;
    unsigned threads = 1;
    bool rule_counts = false;  // the JSON lists the matches of each rule
};

[[nodiscard]] std::string bench_text(const BenchSubject& subject, const CompiledRules& rules,
                                     const BenchResult& result);
[[nodiscard]] nlohmann::ordered_json bench_json(const BenchSubject& subject, const CompiledRules& rules,
                                                const BenchResult& result);

}  // namespace eventyard::cli
