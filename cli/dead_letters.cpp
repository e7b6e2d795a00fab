// cli/dead_letters.cpp — `eventyard dead-letters`: list and show what could not be delivered.
#include <iostream>
#include <string_view>
#include <utility>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string verb = "list";
    std::int64_t id = 0;  // 0: not given
    std::string target, rule;
    std::size_t limit = 100;
    std::int64_t after = 0;
};

/// What `show` tells of a letter, and how it calls it.
constexpr std::pair<const char*, const char*> letter_lines[] = {
    {"id", "id"},
    {"delivery_id", "delivery id"},
    {"event", "event"},
    {"sequence", "sequence"},
    {"bus", "bus"},
    {"rule", "rule"},
    {"target", "target"},
    {"received", "received"},
    {"dead", "dead since"},
    {"reason", "reason"},
    {"attempts", "attempts"},
    {"last_status", "last status"},
    {"last_detail", "last error"},
    {"last_response", "last response"},
    {"forward_to", "goes also to"},
};

/// 0 says that there was no answer to have one.
std::string status_word(int status) { return status == 0 ? "-" : std::to_string(status); }

int list(const Options& options)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(
        *options.admin, "GET",
        "/v1/dead-letters?limit=" + std::to_string(options.limit) + "&after=" +
            std::to_string(options.after) + "&target=" + encode(options.target) + "&rule=" +
            encode(options.rule),
        exit_code);
    if (!answer) return exit_code;
    if (options.admin->json) {
        std::cout << answer->body;
        return 0;
    }
    const json letters = answer->json().value("dead_letters", json::array());
    Table table({"ID", "DEAD SINCE", "TARGET", "RULE", "REASON", "ATTEMPTS", "STATUS", "LAST ERROR"});
    for (const json& letter : letters)
        table.add({std::to_string(letter.value("id", 0)), letter.value("dead", ""),
                   letter.value("target", ""), letter.value("rule", ""), letter.value("reason", ""),
                   std::to_string(letter.value("attempts", 0)),
                   status_word(letter.value("last_status", 0)), letter.value("last_detail", "")});
    if (table.empty())
        std::cout << "no dead letters\n";
    else
        std::cout << table.text();
    if (letters.size() == options.limit)
        std::cout << "more: --after " << letters.back().value("id", 0) << "\n";
    return 0;
}

int show(const Options& options)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(*options.admin, "GET",
                                        "/v1/dead-letters/" + std::to_string(options.id), exit_code);
    if (!answer) return exit_code;
    if (options.admin->json) {
        std::cout << answer->body;
        return 0;
    }
    const json letter = answer->json();
    for (const auto& [key, label] : letter_lines) {
        const auto value = letter.find(key);
        if (value == letter.end() || *value == "") continue;
        std::string text = value->is_string() ? value->get<std::string>() : value->dump();
        if (*value == 0) text = "-";
        std::cout << std::string(label).append(15 - std::string_view(label).size(), ' ') << text << "\n";
    }
    Table table({"ATTEMPT AT", "STATUS", "CAUSE", "MS", "DETAIL"});
    for (const json& attempt : letter.value("trail", json::array()))
        table.add({attempt.value("at", ""), status_word(attempt.value("status", 0)),
                   attempt.value("cause", ""), std::to_string(attempt.value("latency_ms", 0)),
                   attempt.value("detail", "")});
    if (!table.empty()) std::cout << "\n" << table.text();
    std::cout << "\n" << letter.value("body", "") << "\n";
    return 0;
}

}  // namespace

std::function<int()> setup_dead_letters(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    app.add_option("verb", options->verb, "list or show")
        ->check(CLI::IsMember({"list", "show"}))
        ->capture_default_str();
    app.add_option("id", options->id, "the dead letter to show");
    app.add_option("--target", options->target, "only of this target");
    app.add_option("--rule", options->rule, "only of this rule");
    app.add_option("--limit", options->limit, "at most this many")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--after", options->after, "only ids above this one");
    return [options] {
        if (options->verb == "list") return list(*options);
        if (options->id > 0) return show(*options);
        std::cerr << "eventyard dead-letters: show which? give its id; 'eventyard dead-letters' lists them\n";
        return 2;
    };
}

}  // namespace eventyard::cli
