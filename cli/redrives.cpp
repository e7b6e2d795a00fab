#include "cli/redrives.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "cli/progress.hpp"
#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds look_interval{200};

bool active(const json& job)
{
    const std::string state = job.value("state", "");
    return state == "trial" || state == "running";
}

std::uint64_t count(const json& job, const char* key) { return job.value(key, std::uint64_t{0}); }

std::string in_words(const json& job)
{
    const std::string state = job.value("state", "");
    std::string text = fmt::format("redrive {} is {}: {} of {} redriven", job.value("id", 0), state == "trial" ? "in its trial" : state,
                                   grouped(count(job, "redriven")), counted(count(job, "total"), "dead letter"));
    // Of one that is done the message says what stays dead, and why.
    if (state != "done" && count(job, "skipped") > 0) text += ", " + grouped(count(job, "skipped")) + " skipped";
    if (state != "done" && count(job, "erased") > 0) text += ", " + grouped(count(job, "erased")) + " erased";
    const std::string message = job.value("message", "");
    return message.empty() ? text : text + "; " + message;
}

int end(const AdminOptions& admin, const json& job)
{
    if (admin.json)
        std::cout << job.dump(2) << "\n";
    else
        std::cout << in_words(job) << "\n";
    const std::string state = job.value("state", "");
    return state == "stopped" || state == "cancelled" || (state == "done" && count(job, "redriven") == 0) ? 1 : 0;
}

}  // namespace

int follow_redrive(const AdminOptions& admin, const json& job, bool wait)
{
    return wait ? follow_redrive(admin, job.value("id", std::int64_t{0})) : end(admin, job);
}

int follow_redrive(const AdminOptions& admin, std::int64_t id)
{
    json job;
    {
        std::unique_ptr<Progress> progress;
        std::string told;
        for (;;) {
            int exit_code = 0;
            const auto answer = ask_or_complain(admin, "GET", "/v1/redrives/" + std::to_string(id), exit_code);
            if (!answer) return exit_code;
            job = answer->json();
            if (!active(job)) break;
            if (!progress) progress = std::make_unique<Progress>("redriven", count(job, "total"));
            progress->show(count(job, "redriven"));
            // What it waits for, once: the line of progress says nothing of that.
            if (const std::string message = job.value("message", ""); !message.empty() && message != told) {
                progress.reset();
                std::cerr << "redrive " << id << ": " << message << "\n";
                told = message;
            }
            std::this_thread::sleep_for(look_interval);
        }
    }
    return end(admin, job);
}

int list_redrives(const AdminOptions& admin)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(admin, "GET", "/v1/redrives", exit_code);
    if (!answer) return exit_code;
    if (admin.json) {
        std::cout << answer->body;
        return 0;
    }
    Table table({"REDRIVE", "CREATED", "STATE", "REDRIVEN", "OF", "PER SECOND", "BY", "WHY", "WHICH", "MESSAGE"});
    for (const json& job : answer->json().value("redrives", json::array())) {
        std::string which;
        const json filter = job.value("filter", json::object());
        for (const auto& [key, value] : filter.items())
            which += (which.empty() ? "" : " ") + key + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
        const double rate = job.value("per_second", 0.0);
        table.add({std::to_string(job.value("id", 0)), job.value("created", "").substr(0, 19) + "Z", job.value("state", ""),
                   grouped(count(job, "redriven")), grouped(count(job, "total")), rate > 0 ? fmt::format("{}", rate) : "-",
                   job.value("who", ""), job.value("why", ""), which.empty() ? "all" : which, job.value("message", "")});
    }
    std::cout << (table.empty() ? "no redrives\n" : table.text());
    return 0;
}

int cancel_redrive(const AdminOptions& admin, std::int64_t id, const std::string& act)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(
        admin, "POST", "/v1/redrives/" + std::to_string(id) + "/cancel?" + act, exit_code);
    if (!answer) return exit_code;
    end(admin, answer->json());
    return 0;
}

}  // namespace eventyard::cli
