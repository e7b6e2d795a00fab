// cli/bench.cpp — `eventyard bench match`: how fast rules answer events, users' own or made up.
#include <fstream>
#include <iostream>

#include "cli/bench_report.hpp"
#include "cli/bench_rules.hpp"
#include "cli/bench_run.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "cli/verdict.hpp"
#include "config/files.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string rules;
    std::string events;
    std::uint64_t generate = 0;
    std::string family = "mixed";
    std::uint64_t events_count = 0;
    std::uint64_t seed = 1;
    std::string save_rules;
    std::string save_events;
    unsigned threads = 1;
    double seconds = 3;
    bool json = false;
    bool unchecked = false;
    bool rule_counts = false;
    bool list = false;
};

int complain(const std::string& what)
{
    std::cerr << "bench match: " << what << "\n";
    return 2;
}

int list_families()
{
    Table table({"FAMILY", "GROUP", "EVENTS", "WHAT"});
    for (const Family& family : families())
        table.add({family.name, word_of(family.group), grouped(family.events), family.summary});
    std::cout << table.text();
    return 0;
}

bool save(const std::string& path, std::uint64_t count, const Scale& scale,
          void (*write)(const Scale&, std::uint64_t, std::string&))
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    std::string text;
    for (std::uint64_t i = 0; i < count && file; ++i) {
        text.clear();
        write(scale, i, text);
        file << text << '\n';
    }
    file.flush();
    if (!file) std::cerr << "bench match: " << path << ": cannot write\n";
    return static_cast<bool>(file);
}

int save_both(const Options& options, const Family& family, const Scale& scale, std::uint64_t events)
{
    if (!options.save_rules.empty() && !save(options.save_rules, scale.rules, scale, family.rule)) return 2;
    if (!options.save_events.empty() && !save(options.save_events, events, scale, family.event)) return 2;
    return 0;
}

bool is_rule_document(const std::string& path)
{
    const std::string ext = config::extension(path);
    return ext == ".yaml" || ext == ".yml" || ext == ".json";
}

int measure(const Options& options, BenchSubject subject, const CompiledRules& rules, EventSource& source)
{
    BenchOptions how;
    how.threads = options.threads;
    how.seconds = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds));
    how.unchecked = options.unchecked;
    subject.events = source.name();
    subject.threads = options.threads;
    subject.rule_counts = options.rule_counts;
    const auto result = run_bench(rules.set, source, how);
    if (!result.has_value()) return complain(result.error().what);
    if (options.json) std::cout << one_line(bench_json(subject, rules, *result)) << "\n";
    else std::cout << bench_text(subject, rules, *result);
    return 0;
}

int bench_generated(const Options& options)
{
    const Family* family = find_family(options.family);
    if (family == nullptr) {
        std::vector<std::string> names;
        for (const Family& one : families()) names.emplace_back(one.name);
        return complain("unknown family '" + options.family + "'" + did_you_mean(options.family, names) +
                        "; --list shows all");
    }
    const Scale scale{std::max<std::uint64_t>(1, options.generate / family->per_rule), options.seed};
    const std::uint64_t events = options.events_count > 0 ? options.events_count : family->events;
    if (!options.save_rules.empty() || !options.save_events.empty())
        return save_both(options, *family, scale, events);
    Report report;
    const auto texts = generate_patterns(*family, scale);
    const CompiledRules rules = compile(*texts, report);
    if (report.has_errors()) {
        std::cerr << report.text();
        return 2;
    }
    const auto source = generated_events(*family, scale, events);
    return measure(options, {texts->name, {}, 1, false}, rules, *source);
}

int bench_files(const Options& options)
{
    Report report;
    std::unique_ptr<PatternTexts> texts;
    CompiledRules rules;
    if (is_rule_document(options.rules)) {
        rules = compile_rule_file(options.rules, report);
    } else {
        texts = read_pattern_lines(options.rules, report);
        if (!report.has_errors()) rules = compile(*texts, report);
    }
    if (report.has_errors()) {
        std::cerr << report.text();
        return 2;
    }
    const auto source = open_events(options.events);
    if (!source.has_value()) return complain(source.error().what);
    return measure(options, {options.rules, {}, 1, false}, rules, **source);
}

std::function<int()> setup_bench_match(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    auto* rules = app.add_option("--rules", options->rules,
                                 "a rule file (.yaml, .yml, .json), or JSON lines: each a pattern, or an "
                                 "object with pattern");
    auto* events = app.add_option("--events", options->events, "events as JSON lines; - for standard input");
    auto* generate = app.add_option("--generate", options->generate, "make up that many rules, and events")
                         ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}));
    auto* family = app.add_option("--family", options->family, "which kind of rules to make up")->capture_default_str();
    auto* count = app.add_option("--events-count", options->events_count, "how many events to make up")
                      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
    auto* seed = app.add_option("--seed", options->seed, "of the events that are made up")->capture_default_str();
    auto* save_rules = app.add_option("--save-rules", options->save_rules, "write the rules to a file; measure nothing");
    auto* save_events = app.add_option("--save-events", options->save_events, "write the events to a file; measure nothing");
    app.add_option("--threads", options->threads, "threads that match at once")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    app.add_option("--seconds", options->seconds, "for each column; up to three times as long with slow sets")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    app.add_flag("--json", options->json, "one JSON object instead of text");
    app.add_flag("--unchecked", options->unchecked,
                 "skip the check of all events, the comparison of answers and simdjson (for profilers)");
    app.add_flag("--rule-counts", options->rule_counts, "with --json: [rule, matches] of every rule that matched");
    auto* list = app.add_flag("--list", options->list, "show the families");
    for (CLI::Option* made_up : {family, count, seed, save_rules, save_events}) made_up->needs(generate);
    generate->excludes(rules)->excludes(events);
    app.footer("Exit status: 0 measured, 2 usage, or rules or events are refused.");
    return [options, rules, events, generate, list] {
        if (list->count() > 0) return list_families();
        if (generate->count() > 0) return bench_generated(*options);
        if (rules->count() == 0 || events->count() == 0)
            return complain("give --rules and --events, or --generate");
        return bench_files(*options);
    };
}

}  // namespace

std::function<int()> setup_bench(CLI::App& app)
{
    app.require_subcommand(1);
    auto chosen = std::make_shared<std::function<int()>>();
    CLI::App* match = app.add_subcommand("match", "events per second of a set of rules, and what its answers cost");
    match->callback([chosen, action = setup_bench_match(*match)] { *chosen = action; });
    return [chosen] { return *chosen ? (*chosen)() : 2; };
}

}  // namespace eventyard::cli
