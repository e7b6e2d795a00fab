// cli/bench_rules.hpp — the rules of a benchmark, and what compiling them cost.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/generate.hpp"
#include "core/report.hpp"
#include "core/time.hpp"
#include "rules/rule_set.hpp"

namespace eventyard::cli {

/// One pattern's JSON text and where it stands in its file.
struct PatternText {
    std::string_view text;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// Patterns before they are compiled; views look into the object, so it stays where it is.
struct PatternTexts {
    std::string name;  // of the file, for reports
    std::string content;
    std::deque<std::string> decoded;  // patterns that stood inside a JSON string
    std::vector<PatternText> patterns;
};

/// Lines of JSON, each a bare pattern or an object with `pattern` (an object, or a string of JSON
/// text) beside what else rule files and collections of rules say of it.
[[nodiscard]] std::unique_ptr<PatternTexts> read_pattern_lines(const std::string& path, Report& report);
[[nodiscard]] std::unique_ptr<PatternTexts> generate_patterns(const Family& family, const Scale& scale);

struct CompiledRules {
    rules::RuleSet set;
    bool from_texts = true;           // false: time and memory include reading the rule file
    Duration compile{};               // from texts in memory to a set that answers
    std::int64_t resident_growth = 0; // bytes of the process, patterns' texts not counted
};

/// Compiles on the calling thread. The set is empty when the report has errors.
[[nodiscard]] CompiledRules compile(const PatternTexts& texts, Report& report);
/// An ordinary rule file, read as the configuration does; rules that are switched off are left out.
[[nodiscard]] CompiledRules compile_rule_file(const std::string& path, Report& report);

/// What the set says of itself, in the order it is shown.
[[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> figures_of(const rules::RuleSet& set);

/// Resident bytes of this process now, and the most there ever were.
struct Resident {
    std::int64_t now = 0;
    std::int64_t peak = 0;
};
[[nodiscard]] Resident resident();

}  // namespace eventyard::cli
