// cli/targets.cpp — `eventyard targets`: list, pause, drain, resume, retry-now, release, move.
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/table.hpp"
#include "cli/target_moves.hpp"
#include "cli/target_text.hpp"
#include "cli/validators.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string target, who, why, key;
    MoveOptions move;
    int (*run)(const Options&) = nullptr;
};

int list(const Options& options)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(*options.admin, "GET", "/v1/status", exit_code);
    if (!answer) return exit_code;
    const auto targets = answer->json().value("targets", json::array());
    if (options.admin->json) {
        std::cout << targets.dump(2) << "\n";
        return 0;
    }
    Table table({"TARGET", "KIND", "STATE", "ADDRESS", "PENDING", "FORECAST", "LAST ERROR"});
    for (const auto& target : targets) {
        table.add({target.value("name", ""), target.value("kind", ""), state_text(target),
                   target.value("address", ""),
                   grouped(target.value("pending", json::object()).value("total", std::uint64_t{0})),
                   forecast_text(target), last_error_text(target)});
    }
    std::cout << (table.empty() ? "no targets\n" : table.text());
    return 0;
}

/// The answer, when the daemon did it; it has been printed then with --json.
std::optional<json> act(const Options& options, const char* verb, int& exit_code, const std::string& more = {})
{
    std::string path = "/v1/targets/" + encode(options.target) + "/" + verb + "?who=" + encode(options.who) + more;
    if (!options.why.empty()) path += "&why=" + encode(options.why);
    const auto answer = ask_or_complain(*options.admin, "POST", path, exit_code);
    if (!answer) return std::nullopt;
    if (options.admin->json) std::cout << answer->body;
    return answer->json();
}

int told(const Options& options, const std::string& what)
{
    if (!options.admin->json) std::cout << options.target << ": " << what << "\n";
    return 0;
}

int simple(const Options& options, const char* verb, const char* done)
{
    int exit_code = 0;
    return act(options, verb, exit_code) ? told(options, done) : exit_code;
}

int drain(const Options& options)
{
    int exit_code = 0;
    const auto answer = act(options, "drain", exit_code);
    if (!answer) return exit_code;
    return told(options, "draining, " + counted(answer->value("left", std::uint64_t{0}), "delivery") + " left; then it is paused");
}

int release(const Options& options)
{
    int exit_code = 0;
    const auto answer = act(options, "release", exit_code, options.key.empty() ? "" : "&key=" + encode(options.key));
    if (!answer) return exit_code;
    const auto released = answer->value("released", std::uint64_t{0});
    (void)told(options, counted(released, "order key") + " released");
    if (released == 0 && !options.key.empty() && !json::accept(options.key))
        std::cerr << "a key is the value's JSON text: a string has its quotes, as in '\"o-17\"'\n";
    return released > 0 ? 0 : 1;
}

int move(const Options& options)
{
    MoveOptions move = options.move;
    move.from = options.target;
    move.who = options.who;
    move.why = options.why;
    return move_deliveries(*options.admin, move);
}

}  // namespace

std::function<int()> setup_targets(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    Options& o = *options;
    app.footer("Examples:\n"
               "  eventyard targets pause orders --reason 'INC-7: database is full'\n"
               "  eventyard targets drain orders --reason 'new database'\n"
               "  eventyard targets move old-orders orders --reason 'INC-7: the old service is gone'\n"
               "eventyard targets VERB --help shows the options of a verb.");
    app.require_subcommand(0, 1);
    const auto verb = [&](const char* name, const char* summary, int (*run)(const Options&)) {
        CLI::App* sub = app.add_subcommand(name, summary)->fallthrough();
        sub->callback([&o, run] { o.run = run; });
        return sub;
    };
    const auto act_verb = [&](const char* name, const char* summary, int (*run)(const Options&)) {
        CLI::App* sub = verb(name, summary, run);
        sub->add_option("target", o.target, "name of the target")->required()->check(not_empty());
        add_act_options(*sub, o.who, o.why, "--reason,--why");
        return sub;
    };

    verb("list", "targets, their state and what is pending for each; what is done when no verb is given", list);
    CLI::App* sub = act_verb("pause", "send it nothing until it is resumed, over restarts",
                             [](const Options& given) { return simple(given, "pause", "paused"); });
    sub->get_option("--reason")->description("why: shown in status while it is paused");
    sub = act_verb("drain", "send what was accepted until now, then pause it; resume ends that", drain);
    sub->get_option("--reason")->description("why: shown in status while it drains and then is paused");
    act_verb("resume", "end a pause or a drain", [](const Options& given) { return simple(given, "resume", "resumed"); });
    act_verb("retry-now", "what waits for a retry is due now",
             [](const Options& given) { return simple(given, "retry-now", "what waits for a retry is due now"); });
    sub = act_verb("release", "order keys that are on hold after a dead letter go on", release);
    sub->add_option("--key", o.key, "only this order key, as JSON text, e.g. '\"o-17\"'")->check(not_empty());
    sub->footer("A target with 'order: strict' is paused instead: 'targets resume' has it go on.\n"
                "Exit code: 0 when there were some, 1 when none was on hold.");

    sub = act_verb("move", "what is pending for it goes on as deliveries of another target", move);
    sub->add_option("to", o.move.to, "the target that is to get them");
    sub->get_option("--reason")->description("why, for the log; must be given");
    sub->add_option("--rule", o.move.rule, "only of this rule")->check(not_empty());
    sub->add_option("--id", o.move.id, "only this one (dlv_..., as in webhook-id), or those of this event")->check(not_empty());
    sub->add_option("--older-than", o.move.older_than, "only accepted longer ago than this, such as 90m or 7d")
        ->type_name("DURATION")
        ->check(a_duration());
    sub->add_flag("--yes", o.move.yes, "do not ask for the number of them first");
    sub->add_flag("--dry-run", o.move.dry_run, "only count them");
    sub->footer("Of a target that is paused, or is not configured any more. Exit code: 0 when there were some, 1 when none matched or\n"
                "the number was not typed.");
    return [options] { return options->run != nullptr ? options->run(*options) : list(*options); };
}

}  // namespace eventyard::cli
