// cli/serve.cpp — `eventyard serve`: the daemon's main thread.
//
// Signals become commands in one queue, which this thread works off: SIGHUP reloads, SIGTERM and
// SIGINT stop, and a second one ends the process at once. systemd is told of each step.
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.hpp"
#include "cli/table.hpp"
#include "config/load.hpp"
#include "config/rule_tests.hpp"
#include "core/log.hpp"
#include "router/router.hpp"

namespace eventyard::cli {
namespace {

using router::ReloadResult;
using router::Router;
using router::RouteTable;

constexpr int killed_by_second_signal = 130;

struct Command {
    enum class Kind { reload, stop } kind = Kind::stop;
    std::function<void(ReloadResult)> done;  // reload asked over the admin listener
    std::string why;
};

class CommandQueue {
public:
    void push(Command command)
    {
        {
            const std::lock_guard lock{mutex_};
            commands_.push_back(std::move(command));
        }
        changed_.notify_one();
    }
    Command pop()
    {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return !commands_.empty(); });
        Command command = std::move(commands_.front());
        commands_.pop_front();
        return command;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Command> commands_;
};

sigset_t handled_signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGHUP, SIGTERM, SIGINT, SIGUSR2}) sigaddset(&set, number);
    return set;
}

/// Turns signals into commands, and pings systemd's watchdog while the I/O threads answer.
class SignalThread {
public:
    SignalThread(CommandQueue& queue, Router& router) : thread_([this, &queue, &router] { run(queue, router); }) {}
    ~SignalThread()
    {
        ::pthread_kill(thread_.native_handle(), SIGUSR2);  // ends the loop
        thread_.join();
    }

private:
    static void run(CommandQueue& queue, Router& router)
    {
        const sigset_t set = handled_signals();
        std::uint64_t watchdog_us = 0;
        const bool watched = ::sd_watchdog_enabled(0, &watchdog_us) > 0;
        bool stopping = false;
        for (;;) {
            const std::uint64_t wait_us = watched ? watchdog_us / 3 : 3'600'000'000ULL;
            const timespec wait{static_cast<time_t>(wait_us / 1'000'000),
                                static_cast<long>(wait_us % 1'000'000) * 1000};
            const int number = ::sigtimedwait(&set, nullptr, &wait);
            if (watched && (stopping || router.alive())) ::sd_notify(0, "WATCHDOG=1");
            if (number == SIGUSR2) return;
            if (number == SIGHUP) queue.push({Command::Kind::reload, nullptr, "SIGHUP"});
            if (number != SIGTERM && number != SIGINT) continue;
            if (stopping) {
                log::warn("serve", "second signal: ending at once; what was in flight goes out again");
                ::_exit(killed_by_second_signal);
            }
            stopping = true;
            queue.push({Command::Kind::stop, nullptr, number == SIGTERM ? "SIGTERM" : "SIGINT"});
        }
    }
    std::thread thread_;
};

/// Reads, validates and runs the rules' own tests. Null: the report says why.
std::shared_ptr<RouteTable> read_configuration(const std::string& path, Report& report)
{
    auto table = config::load(path, report);
    if (!table) return nullptr;
    const auto tests = config::run_rule_tests(table->rules, report);
    if (!tests.failures.empty()) return nullptr;
    // Answers name paths below it, for commands that run elsewhere.
    std::error_code ec;
    const auto absolute = std::filesystem::absolute(table->process.data_dir, ec);  // a link before ".." stays what it is
    if (!ec) table->process.data_dir = absolute.string();
    return table;
}

log::Level level_of(const std::string& name)
{
    if (name == "debug") return log::Level::debug;
    if (name == "warn") return log::Level::warn;
    if (name == "error") return log::Level::error;
    return log::Level::info;
}

void configure_log(const RouteTable& table)
{
    log::configure(table.process.log.format == "json" ? log::Format::json : log::Format::text,
                   level_of(table.process.log.level));
}

/// Each error as "file:line:column: message"; from the JSON form, which shows no secrets.
std::vector<std::string> mistakes_of(const Report& report)
{
    std::vector<std::string> lines;
    for (const auto& one : nlohmann::json::parse(report.json())) {
        if (one.value("severity", "") != "error") continue;
        std::string line;
        if (one.contains("file")) line += one.value("file", "") + ":";
        if (one.contains("line")) line += fmt::format("{}:{}:", one.value("line", 0), one.value("column", 0));
        lines.push_back(line + (line.empty() ? "" : " ") + one.value("message", ""));
    }
    return lines;
}

/// Each mistake on a line of its own, without the lines it stands in: status shows the whole report.
void log_failed_reload(std::uint64_t generation, const std::vector<std::string>& mistakes)
{
    constexpr std::size_t lines_max = 20;
    log::error("serve", "reload failed, the old configuration stays",
               {{"generation", generation}, {"errors", mistakes.size()}});
    for (std::size_t i = 0; i < std::min(mistakes.size(), lines_max); ++i) log::error("config", mistakes[i]);
}

ReloadResult reload(Router& router, const std::string& path, const Clock& clock)
{
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(
        clock.steady().time_since_epoch());  // CLOCK_MONOTONIC, as systemd wants it
    ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", static_cast<long long>(us.count()));
    ReloadResult result;
    Report report;
    std::vector<std::string> mistakes;
    if (auto table = read_configuration(path, report)) {
        const auto copy = table;
        const auto replaced = router.replace(std::move(table));
        result.ok = replaced.has_value();
        if (result.ok) {
            configure_log(*copy);
            for (const std::string& key : router.waits_for_start())
                result.report += "warning: " + key + ": this change takes effect at the next start only\n";
        } else {
            mistakes.push_back(replaced.error().what);
            result.report = "error: " + replaced.error().what + "\n";
        }
    } else {
        mistakes = mistakes_of(report);
    }
    result.report = report.text() + result.report;
    result.generation = router.table()->generation;
    if (result.ok)
        log::info("serve", "reloaded", {{"generation", result.generation}, {"rules", router.table()->rules.size()}});
    else
        log_failed_reload(result.generation, mistakes);
    router.note_reload(result);
    ::sd_notifyf(0, "READY=1\nSTATUS=configuration %llu, %s",
                 static_cast<unsigned long long>(result.generation),
                 result.ok ? "serving" : "serving; the last reload FAILED");
    return result;
}

int serve(const std::string& path)
{
    const sigset_t set = handled_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // inherited by every thread started from here
    ::signal(SIGPIPE, SIG_IGN);

    Report report;
    auto table = read_configuration(path, report);
    std::cerr << report.text();
    if (!table) {
        std::cerr << "\neventyard serve: " << counted(report.errors(), "error")
                  << " in the configuration; not started\n";
        return 2;
    }
    configure_log(*table);

    PosixDisk disk;
    SystemClock clock;
    SystemRandom random;
    CommandQueue queue;
    router::RouterHooks hooks;
    hooks.request_reload = [&queue](std::function<void(ReloadResult)> done) {
        queue.push({Command::Kind::reload, std::move(done), "admin"});
    };
    auto started = Router::start(std::move(table), disk, clock, random, std::move(hooks));
    if (!started.has_value()) {
        log::error("serve", "cannot start", {{"error", started.error().what}});
        return 2;
    }
    Router& router = **started;
    log::info("serve", "ready",
              {{"http", router.http_address()}, {"admin", router.admin_address()}, {"rules", router.table()->rules.size()}});
    ::sd_notify(0, "READY=1\nSTATUS=serving");
    {
        SignalThread signals{queue, router};
        for (;;) {
            Command command = queue.pop();
            if (command.kind == Command::Kind::stop) {
                log::info("serve", "stopping", {{"why", command.why}});
                ::sd_notify(0, "STOPPING=1\nSTATUS=finishing what is in flight");
                break;
            }
            const ReloadResult result = reload(router, path, clock);
            if (command.done) command.done(result);
        }
        router.stop();
    }
    log::info("serve", "stopped");
    return 0;
}

}  // namespace

std::function<int()> setup_serve(CLI::App& app)
{
    auto path = std::make_shared<std::string>();
    app.add_option("--config,-c", *path, "the main configuration file")->required()->type_name("FILE");
    return [path] { return serve(*path); };
}

}  // namespace eventyard::cli
