// cli/explain.cpp — `eventyard explain`: what every rule makes of one event, and why.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "cli/command.hpp"
#include "cli/input.hpp"
#include "cli/table.hpp"
#include "cli/verdict.hpp"
#include "config/load.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string config;
    std::string event;
    std::string bus;
    bool json = false;
    bool all = false;
};

constexpr std::size_t misses_shown = 20;  // in text, without --all

struct Verdict {
    const router::Rule* rule;
    rules::Explanation explanation;
    std::size_t failed;
};

/// Matched first, then by how little was missing; rules that are off last; else in their order.
std::vector<Verdict> judge(const router::RouteTable& table, const std::string& bus,
                           const json::Document& event)
{
    std::vector<Verdict> verdicts;
    for (const router::Rule& rule : table.rules) {
        if (!bus.empty() && *rule.bus != bus) continue;
        auto explanation = rules::explain(table.details(rule)->pattern, event);
        const std::size_t failed = failed_fields(explanation);
        verdicts.push_back({&rule, std::move(explanation), failed});
    }
    const auto key = [](const Verdict& v) {
        const auto held = static_cast<std::ptrdiff_t>(v.explanation.fields.size() - v.failed);
        return std::tuple(!v.rule->enabled, !v.explanation.matched, v.failed, -held);
    };
    std::stable_sort(verdicts.begin(), verdicts.end(),
                     [&](const Verdict& a, const Verdict& b) { return key(a) < key(b); });
    return verdicts;
}

std::string targets_of(const router::Rule& rule)
{
    std::string list;
    for (const std::string& target : *rule.targets) list += (list.empty() ? "" : ", ") + target;
    return list;
}

const rules::FieldVerdict* first_failed(const rules::Explanation& explanation)
{
    for (const rules::FieldVerdict& field : explanation.fields)
        if (!field.held) return &field;
    return nullptr;
}

std::string brief(std::string text)
{
    constexpr std::size_t max = 48;
    if (text.size() <= max) return text;
    std::size_t size = max - 3;
    while (size > 0 && (text[size] & 0xc0) == 0x80) --size;
    return text.substr(0, size) + "...";
}

void print(const std::vector<Verdict>& verdicts, bool all)
{
    const auto matched = static_cast<std::size_t>(
        std::count_if(verdicts.begin(), verdicts.end(), [](const Verdict& v) {
            return v.explanation.matched && v.rule->enabled;
        }));
    std::cout << grouped(matched) << " of " << grouped(verdicts.size())
              << (verdicts.size() == 1 ? " rule" : " rules") << (matched == 1 ? " matches" : " match")
              << " this event\n";
    Table misses({"RULE", "HELD", "FIRST THAT FAILS", "WANTED", "SEEN", "WHY"});
    std::size_t left_out = 0;
    std::size_t shown = 0;
    for (const Verdict& v : verdicts) {
        const std::string off = v.rule->enabled ? "" : " (off)";
        if (v.explanation.matched) {
            std::cout << "\n" << v.rule->name << off << "  ->  " << targets_of(*v.rule) << "\n"
                      << verdict_text(v.explanation, 2);
            continue;
        }
        if (!all && shown == misses_shown) {
            ++left_out;
            continue;
        }
        ++shown;
        const rules::FieldVerdict* field = first_failed(v.explanation);
        const std::size_t fields = v.explanation.fields.size();
        const std::string held = std::to_string(fields - v.failed) + " of " + std::to_string(fields);
        if (field == nullptr) {
            misses.add({v.rule->name + off, held, "-", "-", "-", "no array element satisfies all fields"});
            continue;
        }
        std::string seen;
        for (const std::string& value : field->seen) seen += (seen.empty() ? "" : ", ") + value;
        misses.add({v.rule->name + off, held, field->path, brief(field->wanted),
                    seen.empty() ? "nothing" : brief(seen), field->reason});
    }
    if (!misses.empty()) std::cout << "\nnot matched, nearest first:\n" << misses.text(2);
    if (left_out > 0)
        std::cout << "  and " << grouped(left_out) << " further; --all shows them\n";
}

void print_json(const std::vector<Verdict>& verdicts)
{
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Verdict& v : verdicts) {
        nlohmann::ordered_json one{{"rule", v.rule->name}, {"bus", *v.rule->bus}, {"enabled", v.rule->enabled}};
        nlohmann::ordered_json targets = nlohmann::ordered_json::array();
        for (const std::string& target : *v.rule->targets) targets.push_back(target);
        one["targets"] = std::move(targets);
        one.update(verdict_json(v.explanation));
        one["failed"] = v.failed;
        list.push_back(std::move(one));
    }
    std::cout << one_line({{"valid", true}, {"rules", std::move(list)}}) << "\n";
}

int explain(const Options& options)
{
    Report report;
    const auto table = config::load(options.config, report);
    json::Document event;
    const auto text = read_input(options.event);
    if (!text.has_value()) report.error({}, text.error().what);
    else static_cast<void>(
        parse_event(*text, is_literal(options.event) ? "event" : options.event, event, report));
    if (table && !options.bus.empty() && table->buses.find(options.bus) == table->buses.end()) {
        std::vector<std::string> names;
        for (const auto& [name, bus] : table->buses) names.push_back(name);
        report.error({}, "unknown bus '" + options.bus + "'" + did_you_mean(options.bus, names));
    }
    if (!table || report.has_errors()) {
        if (options.json)
            std::cout << one_line({{"valid", false},
                                   {"diagnostics", nlohmann::ordered_json::parse(report.json())}})
                      << "\n";
        else
            std::cerr << report.text();
        return 2;
    }
    const auto verdicts = judge(*table, options.bus, event);
    if (options.json) print_json(verdicts);
    else print(verdicts, options.all);
    const bool any = std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) {
        return v.explanation.matched && v.rule->enabled;
    });
    return any ? 0 : 1;
}

}  // namespace

std::function<int()> setup_explain(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    app.add_option("--config,-c", options->config, "the main configuration file")
        ->required()
        ->type_name("FILE");
    app.add_option("event", options->event, "the event: JSON text, a file, or -")->required();
    app.add_option("--bus", options->bus, "only the rules of this bus");
    app.add_flag("--all", options->all, "show every rule that does not match, not only the nearest");
    app.add_flag("--json", options->json, "one JSON object instead of text");
    app.footer("Exit status: 0 a rule matches, 1 none does, 2 the configuration or the event is refused.");
    return [options] { return explain(*options); };
}

}  // namespace eventyard::cli
