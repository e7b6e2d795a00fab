// cli/replay.cpp — `eventyard replay`: events of the past, matched by the rules of today, delivered again.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"
#include "cli/validators.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds look_interval{100};
const std::string replays_path = "/v1/replays";

struct Options {
    std::string bus = "default", from, before, sequence, rule, target, who, why;
    double rate = 1000;
    bool dry_run = false, same_ids = false, no_wait = false, list = false;
    std::int64_t cancel = 0, follow = 0;
};

std::uint64_t count(const json& job, const char* key) { return job.value(key, std::uint64_t{0}); }

/// "A..B", "A..", "..B" or "A"; the query's part.
std::optional<std::string> sequences(const std::string& text)
{
    if (text.empty()) return "";
    const std::size_t dots = text.find("..");
    const std::string first = text.substr(0, dots);
    const std::string last = dots == std::string::npos ? text : text.substr(dots + 2);
    for (const std::string& one : {first, last})
        if (one.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    if (first.empty() && last.empty()) return std::nullopt;
    const auto number = [](const std::string& digits) { return std::strtoull(digits.c_str(), nullptr, 10); };
    if (!first.empty() && !last.empty() && number(first) > number(last)) return std::nullopt;
    return (first.empty() ? "" : "&first=" + first) + (last.empty() ? "" : "&last=" + last);
}

void print(const json& job)
{
    const bool dry = job.value("dry_run", false);
    const std::string state = job.value("state", "");
    std::cout << fmt::format("replay {} {}: events {} to {} of bus {}", job.value("id", 0), state == "failed" ? state : "is " + state,
                             grouped(count(job, "first")), grouped(count(job, "last")), job.value("bus", ""));
    if (job.contains("earliest"))
        std::cout << ", received " << job.value("earliest", "") << " to " << job.value("latest", "");
    std::cout << fmt::format("\n{}, {} of them {}, {}", counted(count(job, "read"), "event"), grouped(count(job, "events")),
                             dry ? "would be replayed" : "replayed", counted(count(job, "deliveries"), "delivery"))
              << "\n";
    if (count(job, "unreadable") > 0) std::cout << counted(count(job, "unreadable"), "event") << " could not be read; see the log\n";
    if (const std::string message = job.value("message", ""); !message.empty()) std::cout << message << "\n";
    Table table({"RULE", "TARGET", "DELIVERIES"});
    for (const json& route : job.value("routes", json::array()))
        table.add({route.value("rule", ""), route.value("target", ""), grouped(count(route, "deliveries"))});
    if (!table.empty()) std::cout << "\n" << table.text();
}

int end(const AdminOptions& admin, const json& job)
{
    if (admin.json) std::cout << job.dump(2) << "\n";
    else print(job);
    const std::string state = job.value("state", "");
    return state == "failed" || state == "cancelled" || count(job, "unreadable") > 0 ? 1 : 0;
}

int follow(const AdminOptions& admin, std::int64_t id)
{
    json job;
    {
        std::unique_ptr<Progress> progress;
        std::string told;
        for (;;) {
            int exit_code = 0;
            const auto answer = ask_or_complain(admin, "GET", replays_path + "/" + std::to_string(id), exit_code);
            if (!answer) return exit_code;
            job = answer->json();
            if (job.value("state", "") != "running") break;
            const std::uint64_t first = count(job, "first"), last = count(job, "last");
            if (!progress) progress = std::make_unique<Progress>("looked at", last >= first ? last - first + 1 : 0);
            progress->show(count(job, "at") + 1 - first);
            // What it waits for, once: the line of progress says nothing of that.
            if (const std::string message = job.value("message", ""); !message.empty() && message != told) {
                progress.reset();
                std::cerr << "replay " << id << ": " << message << "\n";
                told = message;
            }
            std::this_thread::sleep_for(look_interval);
        }
    }
    return end(admin, job);
}

int list(const AdminOptions& admin)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(admin, "GET", replays_path, exit_code);
    if (!answer) return exit_code;
    if (admin.json) {
        std::cout << answer->body;
        return 0;
    }
    Table table({"REPLAY", "CREATED", "STATE", "BUS", "FIRST", "LAST", "AT", "EVENTS", "DELIVERIES", "BY", "WHY", "MESSAGE"});
    for (const json& job : answer->json().value("replays", json::array()))
        table.add({std::to_string(job.value("id", 0)), job.value("created", "").substr(0, 19) + "Z",
                   job.value("state", "") + (job.value("dry_run", false) ? " (dry run)" : ""), job.value("bus", ""),
                   grouped(count(job, "first")), grouped(count(job, "last")), grouped(count(job, "at")),
                   grouped(count(job, "events")), grouped(count(job, "deliveries")), job.value("who", ""),
                   job.value("why", ""), job.value("message", "")});
    std::cout << (table.empty() ? "no replays\n" : table.text());
    return 0;
}

int replay(const AdminOptions& admin, const Options& options)
{
    const auto range = sequences(options.sequence);
    if (!range) {
        std::cerr << "eventyard: --sequence is a range, the lower one first, such as 100..200, 100.. or ..200\n";
        return 2;
    }
    std::string path = replays_path + "?bus=" + encode(options.bus) + *range + "&who=" + encode(options.who) +
                       "&why=" + encode(options.why) + "&per_second=" + fmt::format("{}", options.rate);
    for (const auto& [key, value] : {std::pair{"from", &options.from}, {"before", &options.before}, {"rule", &options.rule},
                                     {"target", &options.target}})
        if (!value->empty()) path += std::string("&") + key + "=" + encode(*value);
    if (options.dry_run) path += "&dry_run=true";
    if (options.same_ids) path += "&same_ids=true";
    int exit_code = 0;
    const auto answer = ask_or_complain(admin, "POST", path, exit_code);
    if (!answer) return exit_code;
    const json job = answer->json();
    if (options.no_wait) return end(admin, job);
    return follow(admin, job.value("id", std::int64_t{0}));
}

int cancel(const AdminOptions& admin, const Options& options)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(admin, "POST", replays_path + "/" + std::to_string(options.cancel) + "/cancel?who=" + encode(options.who) +
                                                        "&why=" + encode(options.why), exit_code);
    if (!answer) return exit_code;
    (void)end(admin, answer->json());
    return 0;
}

}  // namespace

std::function<int()> setup_replay(CLI::App& app)
{
    auto admin = add_admin_options(app);
    auto options = std::make_shared<Options>();
    app.add_option("--bus", options->bus, "whose events")->capture_default_str()->type_name("NAME")->check(not_empty());
    app.add_option("--from", options->from, "received at or after, as 2026-11-25T08:00:00Z")->type_name("TIME")->check(a_time());
    app.add_option("--to,--before", options->before, "received before")->type_name("TIME")->check(a_time());
    app.add_option("--sequence", options->sequence, "sequences, both included: 100..200, 100.., ..200")->type_name("A..B")->check(not_empty());
    app.add_option("--rule", options->rule, "only deliveries of this rule")->type_name("NAME")->check(not_empty());
    app.add_option("--target", options->target, "only deliveries to this target")->type_name("NAME")->check(not_empty());
    app.add_option("--rate", options->rate, "events a second; 0: as fast as they can be stored")
        ->check(CLI::Range(0.0, 1'000'000.0))
        ->capture_default_str();
    app.add_flag("--dry-run", options->dry_run, "only count what would go where");
    app.add_flag("--same-ids", options->same_ids, "deliveries keep the ids of the originals, so receivers drop what they had");
    app.add_flag("--no-wait", options->no_wait, "do not wait for its end");
    app.add_flag("--list", options->list, "list replays instead");
    app.add_option("--follow", options->follow, "wait for the end of this replay instead")->type_name("ID");
    app.add_option("--cancel", options->cancel, "end this replay instead; what it has stored is delivered")->type_name("ID");
    add_act_options(app, options->who, options->why);
    app.footer("Exit code: 0 done, 1 failed, cancelled, or not all could be read, 2 usage or no daemon.");
    return [admin, options] {
        if (options->list) return list(*admin);
        if (options->cancel > 0) return cancel(*admin, *options);
        if (options->follow > 0) return follow(*admin, options->follow);
        return replay(*admin, *options);
    };
}

}  // namespace eventyard::cli
