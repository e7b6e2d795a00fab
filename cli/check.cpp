// cli/check.cpp — `eventyard check`: every mistake for which a start or a reload would refuse a configuration, or what
// it holds.
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.hpp"
#include "cli/table.hpp"
#include "cli/verdict.hpp"
#include "config/load.hpp"
#include "config/rule_tests.hpp"
#include "rules/portable.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string config;
    bool json = false;
    bool portable = false;
};

struct RuleNote {
    std::string rule;
    rules::PortabilityNote note;
};

std::vector<RuleNote> notes_of(const router::RouteTable& table)
{
    std::vector<RuleNote> notes;
    for (const router::Rule& rule : table.rules)
        for (rules::PortabilityNote& note : rules::portability(*table.details(rule)->source))
            notes.push_back({rule.name, std::move(note)});
    return notes;
}

std::size_t rules_that_compare_numbers(const router::RouteTable& table)
{
    std::size_t count = 0;
    for (const router::Rule& rule : table.rules) count += rules::compares_numbers(*table.details(rule)->source);
    return count;
}

const char* word_of(router::Durability durability)
{
    switch (durability) {
        case router::Durability::fsync: return "fsync";
        case router::Durability::os: return "os";
        case router::Durability::memory: break;
    }
    return "memory";
}

const char* word_of(router::Unmatched unmatched)
{
    switch (unmatched) {
        case router::Unmatched::drop: return "drop";
        case router::Unmatched::store: return "store";
        case router::Unmatched::refuse: break;
    }
    return "refuse";
}

void print_table(const router::RouteTable& table, std::size_t tests, std::size_t warnings)
{
    std::cout << "ok: " << counted(table.rules.size(), "rule") << ", "
              << counted(table.targets.size(), "target") << ", " << counted(table.buses.size(), "bus");
    if (tests > 0) std::cout << ", " << counted(tests, "test") << " passed";
    if (warnings > 0) std::cout << "; " << counted(warnings, "warning");
    std::cout << "\n\n";
    std::map<std::string, std::size_t> off;
    std::map<std::string, std::size_t> uses;
    for (const router::Rule& rule : table.rules) {
        if (!rule.enabled) ++off[*rule.bus];
        for (const std::string& target : *rule.targets) uses[target] += rule.enabled;
    }
    Table buses({"BUS", "RULES", "OFF", "DURABILITY", "UNMATCHED"});
    for (const auto& [name, bus] : table.buses)
        buses.add({name, grouped(bus.rules.size()), grouped(off[name]), word_of(bus.durability),
                   word_of(bus.unmatched)});
    std::cout << buses.text(2);
    if (table.targets.empty()) return;
    Table targets({"TARGET", "KIND", "RULES", "ADDRESS", "DEAD LETTERS ALSO TO"});
    for (const auto& [name, target] : table.targets)
        targets.add({name, target.kind, grouped(uses[name]), target.blueprint->address(),
                     target.dead_letter_target.empty() ? "-" : target.dead_letter_target});
    std::cout << "\n" << targets.text(2);
}

/// What depends on the events that will come, so it is said once and is no fault of a rule.
void print_number_note(std::size_t rules)
{
    if (rules == 0) return;
    std::cout << "\n" << counted(rules, "rule") << (rules == 1 ? " compares" : " compare")
              << " numbers: AWS never matches a number of an event there that does not survive a double, "
                 "such as most of 20 digits (row 3)\n";
}

void print_notes(const std::vector<RuleNote>& notes)
{
    if (notes.empty()) {
        std::cout << "\nportable: AWS EventBridge takes every rule and answers alike\n";
        return;
    }
    Table table({"RULE", "AT", "AWS", "WHY", "WHAT"});
    for (const auto& [rule, note] : notes) {
        const std::string at = (note.place.file ? *note.place.file + ":" : std::string()) +
                               std::to_string(note.place.line) + ":" +
                               std::to_string(note.place.column);
        table.add({rule, at, note.refused ? "refuses it" : "may differ", note.row, note.message});
    }
    std::cout << "\nnot portable to AWS EventBridge (rows of the table in docs/patterns.md):\n"
              << table.text(2);
}

nlohmann::ordered_json rule_sets_json(const router::RouteTable& table)
{
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& [name, bus] : table.buses) {
        const rules::RuleSetFigures figures = bus.rules.figures();
        list.push_back({{"bus", name},
                        {"rules", figures.rules},
                        {"predicates", figures.predicates},
                        {"keys", figures.keys},
                        {"bytes", figures.bytes},
                        {"compile_seconds", std::chrono::duration<double>(bus.rules_built).count()}});
    }
    return list;
}

nlohmann::ordered_json notes_json(const std::vector<RuleNote>& notes)
{
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& [rule, note] : notes) {
        nlohmann::ordered_json one{{"rule", rule}};
        if (note.place.file) one["file"] = *note.place.file;
        one["line"] = note.place.line;
        one["column"] = note.place.column;
        one["row"] = note.row;
        one["refused"] = note.refused;
        one["message"] = note.message;
        list.push_back(std::move(one));
    }
    return list;
}

/// How many files the diagnostics stand in.
std::size_t files_of(const Report& report)
{
    std::set<std::string> files;
    for (const Diagnostic& one : report.diagnostics())
        if (one.place.file) files.insert(*one.place.file);
    return std::max<std::size_t>(files.size(), 1);
}

int check(const Options& options)
{
    Report report;
    const auto table = config::load(options.config, report);
    config::TestSummary tests;
    if (table) tests = config::run_rule_tests(table->rules, report);
    const bool good = table && tests.failures.empty();
    const std::size_t warnings = report.diagnostics().size() - report.errors();
    std::vector<RuleNote> notes;
    if (good && options.portable) notes = notes_of(*table);
    if (options.json) {
        nlohmann::ordered_json out{{"ok", good},
                                   {"errors", report.errors()},
                                   {"warnings", warnings}};
        if (table) {
            out["rules"] = table->rules.size();
            out["targets"] = table->targets.size();
            out["buses"] = table->buses.size();
            out["tests"] = {{"passed", tests.passed}, {"failed", tests.failures.size()}};
            out["rule_sets"] = rule_sets_json(*table);
        }
        out["diagnostics"] = nlohmann::ordered_json::parse(report.json());
        if (good && options.portable) {
            out["portability"] = notes_json(notes);
            out["compare_numbers"] = rules_that_compare_numbers(*table);
        }
        std::cout << one_line(out) << "\n";
    } else {
        std::cerr << report.text();
        if (good) {
            print_table(*table, tests.passed, warnings);
            if (options.portable) {
                print_notes(notes);
                print_number_note(rules_that_compare_numbers(*table));
            }
        } else if (table) {
            std::cerr << "\nfailed: " << grouped(tests.failures.size()) << " of "
                      << counted(tests.passed + tests.failures.size(), "test")
                      << " of the rules; neither a start nor a reload takes this configuration\n";
        } else {
            std::cerr << "\n" << counted(report.errors(), "error");
            if (warnings > 0) std::cerr << ", " << counted(warnings, "warning");
            std::cerr << " in " << counted(files_of(report), "file") << "\n";
        }
    }
    if (!table) return 2;
    return good && notes.empty() ? 0 : 1;
}

}  // namespace

std::function<int()> setup_check(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    app.add_option("--config,-c", options->config, "the main configuration file")
        ->required()
        ->type_name("FILE");
    app.add_flag("--json", options->json, "one JSON object instead of text");
    app.add_flag("--portable", options->portable,
                 "name every rule that AWS EventBridge would refuse or answer differently; exit 1 if any");
    return [options] { return check(*options); };
}

}  // namespace eventyard::cli
