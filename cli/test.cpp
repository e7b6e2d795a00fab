// cli/test.cpp — `eventyard test`: runs the tests that rules carry.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/table.hpp"
#include "cli/verdict.hpp"
#include "config/load.hpp"
#include "config/rule_tests.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string config;
    std::vector<std::string> files;
    bool json = false;
};

std::string summary_line(const config::TestSummary& summary, std::size_t rules)
{
    const std::size_t failed = summary.failures.size();
    const std::size_t all = summary.passed + failed;
    std::string line = failed == 0 ? "ok: " + counted(all, "test") + " passed"
                                   : "failed: " + grouped(failed) + " of " + counted(all, "test");
    line += ", " + counted(rules, "rule");
    if (summary.rules_without_tests > 0)
        line += " (" + grouped(summary.rules_without_tests) + " without tests)";
    return line;
}

nlohmann::ordered_json failures_json(const config::TestSummary& summary)
{
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const config::TestFailure& failure : summary.failures) {
        nlohmann::ordered_json one{{"rule", failure.rule}};
        if (failure.place.file) one["file"] = *failure.place.file;
        one["line"] = failure.place.line;
        one["column"] = failure.place.column;
        one["expected"] = failure.expect_match ? "match" : "reject";
        one["why"] = failure.why;
        list.push_back(std::move(one));
    }
    return list;
}

int test(const Options& options)
{
    Report report;
    std::deque<router::Rule> rules;
    if (options.files.empty()) {
        if (const auto table = config::load(options.config, report)) rules = table->rules;
    } else {
        rules = config::load_rules(options.files, report);
    }
    const bool readable = !report.has_errors();
    config::TestSummary summary;
    if (readable) summary = config::run_rule_tests(rules, report);
    if (options.json) {
        nlohmann::ordered_json out{{"ok", readable && summary.failures.empty()},
                                   {"rules", rules.size()},
                                   {"passed", summary.passed},
                                   {"failed", summary.failures.size()},
                                   {"rules_without_tests", summary.rules_without_tests},
                                   {"failures", failures_json(summary)},
                                   {"diagnostics", nlohmann::ordered_json::parse(report.json())}};
        std::cout << one_line(out) << "\n";
    } else {
        std::cerr << report.text();
        if (readable) std::cout << summary_line(summary, rules.size()) << "\n";
        else std::cerr << "\n" << counted(report.errors(), "error") << "; no test was run\n";
    }
    if (!readable) return 2;
    return summary.failures.empty() ? 0 : 1;
}

}  // namespace

std::function<int()> setup_test(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    auto* config = app.add_option("--config,-c", options->config,
                                  "test all rules of this configuration")
                       ->type_name("FILE");
    auto* files = app.add_option("files", options->files,
                                 "rule files to test alone; their targets need not exist");
    config->excludes(files);
    app.add_flag("--json", options->json, "one JSON object instead of text");
    return [options] {
        if (options->config.empty() && options->files.empty()) {
            std::cerr << "test: give --config FILE or rule files\n";
            return 2;
        }
        return test(*options);
    };
}

}  // namespace eventyard::cli
