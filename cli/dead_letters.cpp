// cli/dead_letters.cpp — `eventyard dead-letters`: what could not be delivered, and what to do about it.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/pieces.hpp"
#include "cli/redrives.hpp"
#include "cli/table.hpp"
#include "core/units.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

struct Options {
    std::shared_ptr<AdminOptions> admin;
    DeadLetterOptions which;
    std::string who, why;
    bool singles = false;
    std::size_t limit = 100;
    std::int64_t after = 0;
    bool dry_run = false, yes = false;
    std::string output = "-";
    RedriveOptions redrive;
    int (*run)(const Options&) = nullptr;
};

/// What `show` tells of a letter, and how it calls it.
constexpr std::pair<const char*, const char*> letter_lines[] = {
    {"id", "id"},
    {"group", "group"},
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
    {"redrives", "redrives"},
    {"last_status", "last status"},
    {"last_detail", "last error"},
    {"last_response", "last response"},
    {"last_response_base64", "last response, base64"},
    {"forward_to", "goes also to"},
};
constexpr std::size_t label_width = 23;
constexpr std::size_t cell_max = 60;

/// 0 says that there was no answer to have one.
bool erased(const json& letter) { return letter.value("format", "") == "erased"; }

std::string status_word(int status) { return status == 0 ? "-" : std::to_string(status); }

/// One line of at most `cell_max` characters.
std::string cell(std::string text)
{
    std::replace_if(text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
    if (text.size() <= cell_max) return text;
    std::size_t end = cell_max - 3;
    while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

/// "2026-11-25T19:30:00.123Z" without what nobody compares.
std::string short_time(const json& object, const char* key) { return object.value(key, "").substr(0, 19) + "Z"; }

std::string query_of(const Options& options, const std::string& more)
{
    const std::string filter = options.which.query();
    return "?" + more + (more.empty() || filter.empty() ? "" : "&") + filter;
}

int list_groups(const Options& options)
{
    int exit_code = 0;
    const auto answer =
        ask_or_complain(*options.admin, "GET", "/v1/dead-letters/groups" + query_of(options, ""), exit_code);
    if (!answer) return exit_code;
    if (options.admin->json) {
        std::cout << answer->body;
        return 0;
    }
    Table table({"GROUP", "TARGET", "CAUSE", "COUNT", "FIRST", "LAST", "ERROR", "SAMPLE"});
    std::uint64_t letters = 0, bytes = 0;
    for (const json& group : answer->json().value("groups", json::array())) {
        const json sample = group.value("sample", json::object());
        letters += group.value("count", std::uint64_t{0});
        bytes += group.value("bytes", std::uint64_t{0});
        table.add({std::to_string(group.value("group", 0)), group.value("target", ""), group.value("cause", ""),
                   grouped(group.value("count", std::uint64_t{0})), short_time(group, "first"), short_time(group, "last"),
                   cell(group.value("fingerprint", "")), std::to_string(sample.value("id", 0))});
    }
    if (table.empty()) {
        std::cout << "no dead letters\n";
        return 0;
    }
    std::cout << table.text() << "\n" << counted(letters, "dead letter") << ", bodies of " << format_size(bytes)
              << ". 'eventyard dead-letters list --all' lists them one by one, 'eventyard dead-letters show SAMPLE' shows one whole.\n";
    return 0;
}

int list_singles(const Options& options)
{
    json letters = json::array();
    json next = options.after;
    while (!next.is_null() && letters.size() < options.limit) {
        int exit_code = 0;
        const auto answer = ask_or_complain(
            *options.admin, "GET",
            "/v1/dead-letters" + query_of(options, fmt::format("limit={}&after={}", options.limit - letters.size(),
                                                               next.get<std::int64_t>())),
            exit_code);
        if (!answer) return exit_code;
        const json page = answer->json();
        for (const json& letter : page.value("dead_letters", json::array())) letters.push_back(letter);
        next = page.value("next", json());
    }
    if (options.admin->json) {
        std::cout << json{{"dead_letters", letters}, {"next", next}}.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
        return 0;
    }
    Table table({"ID", "DEAD SINCE", "TARGET", "RULE", "REASON", "ATTEMPTS", "STATUS", "LAST ERROR"});
    for (const json& letter : letters)
        table.add({std::to_string(letter.value("id", 0)), short_time(letter, "dead"), letter.value("target", ""),
                   letter.value("rule", ""), letter.value("reason", "") + (erased(letter) ? ", erased" : ""), std::to_string(letter.value("attempts", 0)),
                   status_word(letter.value("last_status", 0)), cell(letter.value("last_detail", ""))});
    std::cout << (table.empty() ? "no dead letters\n" : table.text());
    if (!next.is_null()) std::cout << "more: --after " << next.get<std::int64_t>() << "\n";
    return 0;
}

int show(const Options& options)
{
    for (const std::int64_t id : options.which.ids) {
        int exit_code = 0;
        const auto answer =
            ask_or_complain(*options.admin, "GET", "/v1/dead-letters/" + std::to_string(id), exit_code);
        if (!answer) return exit_code;
        if (options.admin->json) {
            std::cout << answer->body;
            continue;
        }
        const json letter = answer->json();
        if (erased(letter)) std::cout << "erased: of its event and of what the target answered nothing is left\n";
        if (letter.value("redriven", false)) std::cout << "redriven: this delivery is pending again\n";
        for (const auto& [key, label] : letter_lines) {
            const auto value = letter.find(key);
            if (value == letter.end() || *value == "") continue;
            std::string text = value->is_string() ? value->get<std::string>() : value->dump();
            if (*value == 0) text = "-";
            std::cout << std::string(label).append(label_width - std::string_view(label).size(), ' ') << text << "\n";
        }
        Table table({"ATTEMPT AT", "STATUS", "CAUSE", "MS", "DETAIL", "ANSWER"});
        for (const json& attempt : letter.value("trail", json::array()))
            table.add({attempt.value("at", ""), status_word(attempt.value("status", 0)), attempt.value("cause", ""),
                       std::to_string(attempt.value("latency_ms", 0)), cell(attempt.value("detail", "")),
                       cell(attempt.value("response", attempt.value("response_base64", "")))});
        if (!table.empty()) std::cout << "\n" << table.text();
        if (const std::string input = letter.value("input", ""); !input.empty())
            std::cout << "\nsent is what this input makes of the event below:\n" << input << "\n";
        std::cout << "\n" << letter.value("body", letter.value("body_base64", "")) << "\n";
    }
    return 0;
}

int which(const Options& options, const char* verb)
{
    if (options.which.given()) return 0;
    std::cerr << "eventyard dead-letters " << verb << ": which? give ids or a filter, or --all for every one\n";
    return 2;
}

std::string act(const Options& options) { return "who=" + encode(options.who) + "&why=" + encode(options.why); }

int redrive(const Options& options)
{
    if (const int usage = which(options, "redrive"); usage != 0) return usage;
    int exit_code = 0;
    const auto answer = ask_or_complain(
        *options.admin, "POST",
        "/v1/dead-letters/redrive" + query_of(options, fmt::format("per_second={}&{}", options.redrive.per_second, act(options))),
        exit_code);
    if (!answer) return exit_code;
    return follow_redrive(*options.admin, answer->json(), options.redrive.wait);
}

int say_discarded(const Options& options, std::uint64_t letters)
{
    if (options.admin->json)
        std::cout << json{{options.dry_run ? "would_discard" : "discarded", letters}}.dump(2) << "\n";
    else
        std::cout << (options.dry_run ? "would discard " : "discarded ") << counted(letters, "dead letter") << "\n";
    return letters > 0 ? 0 : 1;
}

int discard(const Options& options)
{
    if (const int usage = which(options, "discard"); usage != 0) return usage;
    int exit_code = 0;
    const auto ask = [&](bool dry_run) {
        return ask_or_complain(*options.admin, "POST",
                               "/v1/dead-letters/discard" + query_of(options, act(options) + (dry_run ? "&dry_run=true" : "")),
                               exit_code);
    };
    if (!options.dry_run && !options.yes && options.which.ids.empty()) {  // what has been named one by one is known
        const auto counted_first = ask(true);
        if (!counted_first) return exit_code;
        const auto count = counted_first->json().value("would_discard", std::uint64_t{0});
        if (count == 0) return say_discarded(options, 0);
        if (!confirmed("this ends " + counted(count, "dead letter") + " for good", count)) {
            std::cerr << "nothing was discarded\n";
            return 1;
        }
    }
    const auto answer = ask(options.dry_run);
    if (!answer) return exit_code;
    const json told = answer->json();
    return say_discarded(options, told.value("discarded", told.value("would_discard", std::uint64_t{0})));
}

int export_letters(const Options& options)
{
    std::ofstream file;
    if (options.output != "-") {
        file.open(options.output, std::ios::binary | std::ios::trunc);
        if (!file) {
            std::cerr << "eventyard: cannot write '" << options.output << "'\n";
            return 2;
        }
    }
    std::ostream& out = options.output == "-" ? std::cout : file;
    std::uint64_t letters = 0;
    for (json next = options.after; !next.is_null();) {
        int exit_code = 0;
        const auto answer = ask_or_complain(
            *options.admin, "GET",
            "/v1/dead-letters" + query_of(options, fmt::format("whole=true&limit=1000&after={}", next.get<std::int64_t>())),
            exit_code);
        if (!answer) return exit_code;
        const json page = answer->json();
        for (const json& letter : page.value("dead_letters", json::array())) {
            out << letter.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
            ++letters;
        }
        next = page.value("next", json());
    }
    out.flush();
    if (!out) {
        std::cerr << "eventyard: '" << options.output << "' could not be written to its end\n";
        return 1;
    }
    std::cerr << counted(letters, "dead letter") << " exported\n";
    return 0;
}

}  // namespace

std::function<int()> setup_dead_letters(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    Options& o = *options;
    app.footer("Examples:\n"
               "  eventyard dead-letters                                  groups by target, cause and error\n"
               "  eventyard dead-letters list --all --target orders       one by one\n"
               "  eventyard dead-letters redrive --group 3 --why 'fixed'  gives a group another chance\n"
               "  eventyard dead-letters export --output dead.jsonl       everything, as JSON lines\n"
               "eventyard dead-letters VERB --help shows the options of a verb.");
    const auto verb = [&](const char* name, const char* summary, int (*run)(const Options&)) {
        CLI::App* sub = app.add_subcommand(name, summary)->fallthrough();
        sub->callback([&o, run] { o.run = run; });
        return sub;
    };
    app.require_subcommand(0, 1);

    CLI::App* sub = verb("list", "groups of dead letters, or with --all each of them; the groups when no verb is given",
                         [](const Options& given) { return given.singles ? list_singles(given) : list_groups(given); });
    add_filter_options(*sub, o.which);
    sub->add_flag("--all", o.singles, "one by one, oldest first");
    sub->add_option("--limit", o.limit, "with --all: at most this many")->check(CLI::Range(1, 1000))->capture_default_str();
    sub->add_option("--after", o.after, "with --all: only ids above this one");

    sub = verb("show", "one whole: body, rule, target and every kept attempt", show);
    sub->add_option("id", o.which.ids, "the dead letters to show")->required();

    sub = verb("redrive", "give them another chance", redrive);
    sub->add_option("id", o.which.ids, "these dead letters");
    add_filter_options(*sub, o.which);
    sub->add_flag("--all", o.which.all, "every dead letter");
    sub->add_option("--per-second", o.redrive.per_second, "deliveries handed over a second; 0: no limit")
        ->check(CLI::Range(0.0, 100'000.0))
        ->capture_default_str();
    sub->add_flag_callback("--no-wait", [&o] { o.redrive.wait = false; },
                           "only start it; 'dead-letters redrives' tells how far it is");
    add_act_options(*sub, o.who, o.why);
    sub->footer("The first ten go out as a trial: when one of them fails, the redrive stops and the rest stays dead.\n"
                "A redrive goes on over restarts of the daemon. Deliveries keep their ids.\n"
                "Exit code: 0 when it is done, 1 when it stopped, was cancelled, or redrove none.\n"
                "Examples:\n"
                "  eventyard dead-letters redrive 17 18\n"
                "  eventyard dead-letters redrive --target orders --newer-than 6h --per-second 20 --why 'INC-7 is over'");

    sub = verb("discard", "remove them for good; the ledger counts them as discarded_operator", discard);
    sub->add_option("id", o.which.ids, "these dead letters");
    add_filter_options(*sub, o.which);
    sub->add_flag("--all", o.which.all, "every dead letter");
    sub->add_flag("--yes", o.yes, "do not ask for the number of them first");
    sub->add_flag("--dry-run", o.dry_run, "only count them");
    add_act_options(*sub, o.who, o.why);
    sub->footer("Without ids and --yes it counts them and wants the number typed.\n"
                "Examples:\n"
                "  eventyard dead-letters discard --group 3 --dry-run\n"
                "  eventyard dead-letters discard --older-than 30d --why 'nobody wants them any more'\n"
                "Exit code: 0 when there were some, 1 when none matched or the number was not typed.");

    sub = verb("export", "all of each as JSON lines, bodies and attempts included", export_letters);
    sub->add_option("id", o.which.ids, "these dead letters");
    add_filter_options(*sub, o.which);
    sub->add_option("--output", o.output, "file to write; -: standard output")->capture_default_str();
    sub->add_option("--after", o.after, "only ids above this one");
    sub->footer("Bodies and answers that are not UTF-8 stand in body_base64 and response_base64.\n"
                "Example:\n"
                "  eventyard dead-letters export --target orders | jq -r .body");

    sub = verb("redrives", "redrives under way and past ones", [](const Options& given) { return list_redrives(*given.admin); });
    sub = verb("follow", "show how a redrive goes until it ends",
               [](const Options& given) { return follow_redrive(*given.admin, given.redrive.id); });
    sub->add_option("redrive", o.redrive.id, "its id")->required();
    sub = verb("cancel", "end a redrive; what was handed over stays so", [](const Options& given) {
        return cancel_redrive(*given.admin, given.redrive.id, act(given));
    });
    sub->add_option("redrive", o.redrive.id, "its id")->required();
    add_act_options(*sub, o.who, o.why);

    return [options] { return options->run != nullptr ? options->run(*options) : list_groups(*options); };
}

}  // namespace eventyard::cli
