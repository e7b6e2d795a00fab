// tests/e2e/harness.hpp — the real binary with its configuration, its targets and its load.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/ids.hpp"
#include "tests/support/http.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace eventyard::e2e {

using namespace std::chrono_literals;
using support::Process;
using support::TempDir;

/// Asks `condition` until it is true; false when it never was within `limit`.
template <class F>
bool eventually(F condition, std::chrono::milliseconds limit = 60s,
                std::chrono::milliseconds step = 20ms)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(step);
    }
    return true;
}

/// One daemon on ports of its own below one directory, which outlives restarts.
class Daemon {
public:
    explicit Daemon(TempDir& directory)
        : directory_(directory), http_(support::free_port()), admin_(support::free_port())
    {
    }

    [[nodiscard]] std::uint16_t http() const noexcept { return http_; }
    [[nodiscard]] std::uint16_t admin() const noexcept { return admin_; }
    [[nodiscard]] std::string admin_address() const { return "127.0.0.1:" + std::to_string(admin_); }
    [[nodiscard]] Process& process() { return *process_; }
    [[nodiscard]] bool started() const noexcept { return process_ != nullptr; }

    /// Writes eventyard.yaml: listeners and data_dir, then `rest`; and rules.yaml.
    void configure(const std::string& rest, const std::string& rules, const std::string& data_dir = "data")
    {
        directory_.write("eventyard.yaml", "listen: {http: 127.0.0.1:" + std::to_string(http_) +
                                               ", admin: 127.0.0.1:" + std::to_string(admin_) +
                                               "}\ndata_dir: " + directory_.file(data_dir) +
                                               "\nrules: [rules.yaml]\n" + rest);
        directory_.write("rules.yaml", rules);
    }
    [[nodiscard]] std::string config() const { return directory_.file("eventyard.yaml"); }

    /// What stands before the binary from the next start on, e.g. SmallDisk::enter().
    void run_by(std::vector<std::string> prefix) { prefix_ = std::move(prefix); }
    /// The command that start() runs.
    [[nodiscard]] std::vector<std::string> serve() const
    {
        std::vector<std::string> command = prefix_;
        command.insert(command.end(), {EVENTYARD_BINARY, "serve", "--config", config()});
        return command;
    }

    /// Starts and waits until it is ready.
    void start() { start("/readyz"); }
    /// Starts and waits until it answers, ready or not.
    void start_unready() { start("/healthz"); }
    /// Starts and waits until it is ready or has ended.
    /// @param environment  added to ours
    void launch(std::vector<std::pair<std::string, std::string>> environment = {})
    {
        launch("/readyz", std::move(environment));
    }
    support::Exit kill() { return process_->kill(); }
    support::Exit terminate()
    {
        process_->signal(SIGTERM);
        return process_->wait(60s);
    }

    [[nodiscard]] nlohmann::json status() const
    {
        return nlohmann::json::parse(support::http_get(admin_, "/v1/status").body, nullptr, false);
    }
    /// One sample of /metrics by its whole name with labels; -1 when absent.
    [[nodiscard]] double metric(const std::string& name) const
    {
        for (const std::string& line : support::lines_of(support::http_get(admin_, "/metrics").body))
            if (line.rfind(name + " ", 0) == 0) return std::stod(line.substr(name.size() + 1));
        return -1;
    }
    /// Waits until nothing is pending and the ledger says so too; the status then. It holds all that was answered before.
    nlohmann::json settle(std::chrono::milliseconds limit = 120s) const
    {
        nlohmann::json last;
        const bool done = eventually(
            [&] {
                last = status();
                return last.is_object() && last.value("pending", std::uint64_t{1}) == 0 && last.value("balanced", false);
            },
            limit, 50ms);
        INFO(last.dump(2));
        CHECK(done);
        return last;
    }

private:
    void start(const std::string& awaited)
    {
        launch(awaited, {});
        INFO(process_->err());
        REQUIRE(process_->running());
    }
    void launch(const std::string& awaited, std::vector<std::pair<std::string, std::string>> environment)
    {
        process_.reset();
        support::ProcessOptions options;
        options.environment = std::move(environment);
        process_ = std::make_unique<Process>(serve(), std::move(options));
        const bool there = eventually(
            [&] {
                return support::http_get(admin_, awaited).status == 200 || !process_->running();
            },
            60s, 5ms);
        INFO(process_->err());
        REQUIRE(there);
    }

    TempDir& directory_;
    std::uint16_t http_, admin_;
    std::vector<std::string> prefix_;
    std::unique_ptr<Process> process_;
};

/// One command of the binary against the daemon.
inline support::Finished run(const Daemon& daemon, std::vector<std::string> arguments, const std::string& input = "")
{
    arguments.insert(arguments.begin(), EVENTYARD_BINARY);
    arguments.insert(arguments.end(), {"--admin", daemon.admin_address()});
    support::ProcessOptions options;
    options.input = input;
    return support::run(std::move(arguments), options);
}

/// A trial receiver in a process of its own.
class Sink {
public:
    /// @param port  0: any free one
    explicit Sink(std::vector<std::string> options = {}, std::uint16_t port = 0)
    {
        std::vector<std::string> arguments{EVENTYARD_BINARY, "sink", "--quiet", "--listen",
                                           "127.0.0.1:" + std::to_string(port)};
        arguments.insert(arguments.end(), options.begin(), options.end());
        process_ = std::make_unique<Process>(std::move(arguments));
        const auto line = process_->wait_for_line("listening on");
        REQUIRE(line);
        port_ = static_cast<std::uint16_t>(std::stoi(line->substr(line->rfind(':') + 1)));
    }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }
    [[nodiscard]] nlohmann::json summary() const
    {
        return nlohmann::json::parse(support::http_get(port_, "/_summary").body);
    }
    /// webhook-id -> how often it came.
    [[nodiscard]] std::map<std::string, std::uint64_t> ids() const
    {
        std::map<std::string, std::uint64_t> ids;
        const auto json = nlohmann::json::parse(support::http_get(port_, "/_ids").body);
        if (json.is_object() && !json.contains("ids")) {
            for (const auto& [id, n] : json.items()) ids[id] = n.get<std::uint64_t>();
        } else {
            for (const auto& [id, n] : json.at("ids").items()) ids[id] = n.get<std::uint64_t>();
        }
        return ids;
    }

private:
    std::unique_ptr<Process> process_;
    std::uint16_t port_ = 0;
};

struct Accepted {
    std::string id;           // of the event
    std::uint64_t n = 0;      // the number in its body
};

/// Posts numbered events from a few threads until stopped; keeps those answered 202.
class Load {
public:
    /// @param body  makes the event of a number
    Load(std::uint16_t port, int threads, std::function<std::string(std::uint64_t)> body,
         std::atomic<std::uint64_t>& next)
    {
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([this, port, body, &next] {
                while (!stop_) {
                    const std::uint64_t n = next++;
                    const auto answer = support::http_post(port, "/v1/events", body(n));
                    if (answer.status != 202) {
                        ++failed_;
                        std::this_thread::sleep_for(1ms);
                        continue;
                    }
                    const auto json = nlohmann::json::parse(answer.body);
                    const std::lock_guard lock{mutex_};
                    accepted_.push_back({json.at("id").get<std::string>(), n});
                }
            });
    }
    ~Load() { stop(); }
    void stop()
    {
        stop_ = true;
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    /// After stop().
    [[nodiscard]] const std::vector<Accepted>& accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t failed() const noexcept { return failed_; }

private:
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> failed_{0};
    std::mutex mutex_;
    std::vector<Accepted> accepted_;
    std::vector<std::thread> threads_;
};

/// The webhook-id of an accepted event's delivery.
inline std::string delivery_of(const std::string& event_id, const std::string& rule,
                               const std::string& target)
{
    const auto id = parse_id(event_id);
    REQUIRE(id.has_value());
    return delivery_id(*id, rule, target);
}

}  // namespace eventyard::e2e
