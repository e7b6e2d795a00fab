// cli/targets.cpp — `eventyard targets`: list, pause, drain, resume, retry-now, release, move.
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/table.hpp"
#include "cli/target_moves.hpp"
#include "cli/target_text.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string verb = "list";
    std::string target;
    std::string reason;
    std::string key;
    MoveOptions move;
};

/// What was done, for the line that says so.
std::string done_text(const std::string& verb, const nlohmann::json& answer)
{
    if (verb == "retry-now") return "what waits for a retry is due now";
    if (verb == "release") return counted(answer.value("released", std::uint64_t{0}), "order key") + " released";
    if (verb == "drain") {
        const auto left = answer.value("left", std::uint64_t{0});
        return "draining, " + counted(left, "delivery") + " left; then it is paused";
    }
    return verb + "d";
}

int list(const AdminOptions& admin)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(admin, "GET", "/v1/status", exit_code);
    if (!answer) return exit_code;
    const auto targets = answer->json().value("targets", nlohmann::json::array());
    if (admin.json) {
        std::cout << targets.dump(2) << "\n";
        return 0;
    }
    Table table({"TARGET", "KIND", "STATE", "ADDRESS", "PENDING", "FORECAST", "LAST ERROR"});
    for (const auto& target : targets) {
        table.add({target.value("name", ""), target.value("kind", ""), state_text(target),
                   target.value("address", ""),
                   grouped(target.value("pending", nlohmann::json::object())
                               .value("total", std::uint64_t{0})),
                   forecast_text(target), last_error_text(target)});
    }
    std::cout << table.text();
    return 0;
}

int act(const Options& options)
{
    if (options.target.empty()) {
        std::cerr << "eventyard: targets " << options.verb << " needs the name of a target\n";
        return 2;
    }
    std::string path = "/v1/targets/" + encode(options.target) + "/" + options.verb;
    path += "?who=" + encode(options.move.who);
    if (!options.reason.empty()) path += "&reason=" + encode(options.reason);
    if (options.verb == "release" && !options.key.empty()) path += "&key=" + encode(options.key);
    int exit_code = 0;
    const auto answer = ask_or_complain(*options.admin, "POST", path, exit_code);
    if (!answer) return exit_code;
    if (options.admin->json)
        std::cout << answer->body;
    else
        std::cout << options.target << ": " << done_text(options.verb, answer->json()) << "\n";
    return 0;
}

}  // namespace

std::function<int()> setup_targets(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    MoveOptions& move = options->move;
    app.add_option("verb", options->verb, "list, pause, drain, resume, retry-now, release or move")
        ->check(CLI::IsMember({"list", "pause", "drain", "resume", "retry-now", "release", "move"}))
        ->capture_default_str();
    app.add_option("target", options->target, "name of the target");
    app.add_option("to", move.to, "move: the target that is to get what is pending for the other");
    add_act_options(app, move.who, options->reason, "--reason");
    app.get_option("--who")->description("who does this, for the log");
    app.get_option("--reason")->description("why: shown in status while it is paused or drains; move wants it, for the log");
    app.add_option("--key", options->key, "release: only this order key, as JSON text, e.g. '\"o-17\"'");
    app.add_option("--rule", move.rule, "move: only of this rule");
    app.add_option("--id", move.id, "move: only this one (dlv_..., as in webhook-id), or those of this event");
    app.add_option("--older-than", move.older_than, "move: only accepted longer ago than this, such as 90m or 7d")->type_name("DURATION");
    app.add_flag("--yes", move.yes, "move: do not ask for the number of them first");
    app.add_flag("--dry-run", move.dry_run, "move: only count them");
    app.footer("Examples:\n"
               "  eventyard targets pause orders --reason 'INC-7: database is full'\n"
               "  eventyard targets drain orders --reason 'new database'\n"
               "  eventyard targets move old-orders orders --reason 'INC-7: the old service is gone'\n"
               "drain sends what was accepted until now and then pauses the target, over restarts; resume ends it.\n"
               "move takes what is pending for a target that is paused, or is not configured any more. Its exit code: 0 when there\n"
               "were some, 1 when none matched or the number was not typed.");
    return [options] {
        if (options->verb == "list") return list(*options->admin);
        if (options->verb != "move") return act(*options);
        options->move.from = options->target;
        options->move.why = options->reason;
        return move_deliveries(*options->admin, options->move);
    };
}

}  // namespace eventyard::cli
