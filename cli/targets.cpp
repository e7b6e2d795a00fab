// cli/targets.cpp — `eventyard targets`: list, pause, resume, retry-now, release.
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "cli/target_text.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string verb = "list";
    std::string target;
    std::string reason;
    std::string key;
};

/// What was done, for the line that says so.
std::string done_text(const std::string& verb, const nlohmann::json& answer)
{
    if (verb == "retry-now") return "what waits for a retry is due now";
    if (verb == "release") return counted(answer.value("released", std::uint64_t{0}), "order key") + " released";
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
    if (options.verb == "pause" && !options.reason.empty()) path += "?reason=" + encode(options.reason);
    if (options.verb == "release" && !options.key.empty()) path += "?key=" + encode(options.key);
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
    app.add_option("verb", options->verb, "list, pause, resume, retry-now or release")
        ->check(CLI::IsMember({"list", "pause", "resume", "retry-now", "release"}))
        ->capture_default_str();
    app.add_option("target", options->target, "name of the target");
    app.add_option("--reason", options->reason, "why, shown in status and kept over restarts");
    app.add_option("--key", options->key, "release: only this order key, as JSON text, e.g. '\"o-17\"'");
    return [options] { return options->verb == "list" ? list(*options->admin) : act(*options); };
}

}  // namespace eventyard::cli
