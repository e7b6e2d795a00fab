// cli/match.cpp — `eventyard match`: does this pattern match that event, and why.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/input.hpp"
#include "cli/verdict.hpp"
#include "config/document.hpp"
#include "config/files.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string pattern;
    std::string pattern_file;
    std::string event;
    std::string cases;
    bool json = false;
};

/// The pattern as a tree: JSON text, or a YAML file by its name.
std::optional<Node> read_pattern(const Options& options, Report& report)
{
    const std::string ext = config::extension(options.pattern_file);
    if (ext == ".yaml" || ext == ".yml") {
        auto document = config::read_document(options.pattern_file, {}, report);
        return document ? std::optional<Node>(std::move(document->root)) : std::nullopt;
    }
    const bool inline_text = options.pattern_file.empty();
    const std::string name = inline_text ? "pattern" : options.pattern_file;
    std::string text = options.pattern;
    if (!inline_text) {
        auto read = read_input(options.pattern_file);
        if (!read.has_value()) {
            report.error({}, read.error().what);
            return std::nullopt;
        }
        text = std::move(*read);
    }
    report.add_source(name, text);
    return rules::read_pattern_text(text, {std::make_shared<const std::string>(name), 1, 1}, report);
}

int refused(const Options& options, const Report& report)
{
    if (options.json) {
        nlohmann::ordered_json out{{"valid", false},
                                   {"diagnostics", nlohmann::ordered_json::parse(report.json())}};
        std::cout << one_line(out) << "\n";
    } else {
        std::cerr << report.text();
    }
    return 2;
}

int match_one(const Options& options)
{
    Report report;
    std::optional<rules::Pattern> pattern;
    if (const auto node = read_pattern(options, report))
        pattern = rules::compile_pattern(*node, report);
    json::Document event;
    const auto text = read_input(options.event);
    if (!text.has_value()) report.error({}, text.error().what);
    else static_cast<void>(
        parse_event(*text, is_literal(options.event) ? "event" : options.event, event, report));
    if (!pattern || report.has_errors()) return refused(options, report);

    const auto explanation = rules::explain(*pattern, event);
    const bool matched = rules::matches(*pattern, event);
    if (options.json) {
        nlohmann::ordered_json out{{"valid", true}};
        out.update(verdict_json(explanation));
        out["match"] = matched;
        out["diagnostics"] = nlohmann::ordered_json::parse(report.json());
        std::cout << one_line(out) << "\n";
    } else {
        std::cerr << report.text();
        std::cout << (matched ? "match\n" : "no match\n") << verdict_text(explanation, 2);
    }
    return matched ? 0 : 1;
}

/// Every error as "line:column: message", in one line.
std::string errors_of(const Report& report)
{
    std::string all;
    for (const Diagnostic& d : report.diagnostics()) {
        if (d.severity != Severity::error) continue;
        all += all.empty() ? "" : "; ";
        if (d.place.file) all += *d.place.file + ":";
        if (d.place.line > 0)
            all += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + ": ";
        all += d.message;
    }
    return all;
}

/// The JSON text that a member of a case stands for: the text in a string, or the value itself.
std::string text_of(const json::Document& line, const json::Value& value)
{
    return std::string(value.kind == json::Kind::string ? value.text : line.source(value));
}

/// One line of --cases; `well_formed` is false when the line is no case at all.
nlohmann::ordered_json answer(const std::string& line, bool& well_formed)
{
    const auto refuse = [](std::string why) {
        return nlohmann::ordered_json{{"valid", false}, {"match", false}, {"error", std::move(why)}};
    };
    json::Document parsed;
    json::SyntaxError error;
    well_formed = false;
    if (!parsed.parse(line, {}, error))
        return refuse("this line is no JSON: " + error.message + " at byte " +
                      std::to_string(error.offset));
    const json::Value* pattern_value =
        parsed.root().kind == json::Kind::object ? parsed.member(0, "pattern") : nullptr;
    const json::Value* event_value =
        parsed.root().kind == json::Kind::object ? parsed.member(0, "event") : nullptr;
    if (pattern_value == nullptr || event_value == nullptr)
        return refuse("a case is an object with pattern and event");
    well_formed = true;

    Report report;
    const Place start{std::make_shared<const std::string>("pattern"), 1, 1};
    std::optional<rules::Pattern> pattern;
    if (const auto node = rules::read_pattern_text(text_of(parsed, *pattern_value), start, report))
        pattern = rules::compile_pattern(*node, report);
    json::Document event;
    static_cast<void>(parse_event(text_of(parsed, *event_value), "event", event, report));
    if (!pattern || report.has_errors()) return refuse(errors_of(report));
    return {{"valid", true}, {"match", rules::matches(*pattern, event)}};
}

int match_cases(const Options& options)
{
    std::ifstream file;
    if (options.cases != "-") {
        file.open(options.cases, std::ios::binary);
        if (!file) {
            std::cerr << options.cases << ": cannot open\n";
            return 2;
        }
    }
    std::istream& in = options.cases == "-" ? std::cin : file;
    bool all_cases = true;
    for (std::string line; std::getline(in, line);) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        bool well_formed = false;
        std::cout << one_line(answer(line, well_formed)) << "\n";
        all_cases = all_cases && well_formed;
    }
    std::cout.flush();
    return all_cases ? 0 : 2;
}

int usage(const char* what)
{
    std::cerr << "eventyard match: " << what << "\n";
    return 2;
}

}  // namespace

std::function<int()> setup_match(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    auto* pattern = app.add_option("--pattern,-p", options->pattern, "the pattern as JSON text");
    auto* file = app.add_option("--pattern-file", options->pattern_file,
                                "a file with the pattern: JSON, or YAML by its name (.yaml, .yml)");
    auto* cases = app.add_option("--cases", options->cases,
                                 "JSON lines {\"pattern\":..,\"event\":..} from a file or - ; each a "
                                 "value or a string of JSON text; a line each out");
    auto* event = app.add_option("event", options->event, "the event: JSON text, a file, or -");
    pattern->excludes(file);
    cases->excludes(pattern)->excludes(file)->excludes(event);
    app.add_flag("--json", options->json, "one JSON object instead of text (--cases always does)");
    app.footer("Exit status: 0 it matches, 1 it does not, 2 the pattern or the event is refused.");
    return [options, pattern, file, cases, event] {
        if (cases->count() > 0) return match_cases(*options);
        if (pattern->count() + file->count() == 0) return usage("give --pattern, --pattern-file or --cases");
        if (event->count() == 0) return usage("give the event: JSON text, a file, or -");
        return match_one(*options);
    };
}

}  // namespace eventyard::cli
