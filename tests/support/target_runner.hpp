// tests/support/target_runner.hpp — deliveries to targets on one io_context, run by the test's thread.
//
//     TargetRunner runner;
//     auto target = runner.make(read_target("file", settings));
//     const std::vector<Outcome> outcomes = runner.deliver(*target, {make_event("{}")});
//
// Targets must be destroyed before the runner.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/ids.hpp"
#include "tests/support/settings.hpp"
#include "targets/target.hpp"

namespace eventyard::support {

inline Event make_event(std::string body)
{
    static SystemRandom random;
    static SystemClock clock;
    Event event;
    event.received = clock.wall();
    event.id = new_event_id(event.received, random);
    event.bus = "default";
    event.body = std::move(body);
    return event;
}

/// Deliveries on their way, `concurrency` at a time.
struct Sending {
    std::vector<Event> events;
    std::vector<std::optional<targets::Outcome>> outcomes;
    std::size_t next = 0;
    std::size_t ended = 0;
    [[nodiscard]] bool done() const { return ended == events.size(); }
};

class TargetRunner {
public:
    std::unique_ptr<targets::Target> make(const ReadTarget& read, std::string name = "tested")
    {
        if (!read.blueprint) throw std::runtime_error("bad settings: " + read.report);
        return read.blueprint->make({std::move(name), io, clock, random});
    }

    std::shared_ptr<Sending> start(targets::Target& target, std::vector<Event> events,
                                   std::size_t concurrency = 16)
    {
        auto sending = std::make_shared<Sending>();
        sending->events = std::move(events);
        sending->outcomes.resize(sending->events.size());
        for (std::size_t i = 0; i < concurrency && i < sending->events.size(); ++i) {
            auto lane = run_lane(target, sending);
            boost::asio::co_spawn(io.get_executor(), std::move(lane), [](std::exception_ptr bug) {
                if (bug) std::rethrow_exception(bug);
            });
        }
        return sending;
    }

    /// Runs handlers until `done`; false when that takes longer than `limit`.
    bool run_until(const std::function<bool()>& done,
                   std::chrono::milliseconds limit = std::chrono::seconds{60})
    {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.restart();
            io.run_one_for(std::chrono::milliseconds{20});
        }
        return true;
    }

    std::vector<targets::Outcome> deliver(targets::Target& target, std::vector<Event> events,
                                          std::size_t concurrency = 16)
    {
        const auto sending = start(target, std::move(events), concurrency);
        if (!run_until([&] { return sending->done(); })) throw std::runtime_error("deliveries hang");
        std::vector<targets::Outcome> outcomes;
        for (auto& outcome : sending->outcomes) outcomes.push_back(std::move(*outcome));
        return outcomes;
    }

    targets::Outcome deliver(targets::Target& target, const std::string& body)
    {
        return deliver(target, std::vector<Event>{make_event(body)}).front();
    }

    /// All of them in one request.
    std::vector<targets::Outcome> deliver_batch(targets::Target& target, const std::vector<Event>& events)
    {
        std::optional<std::vector<targets::Outcome>> outcomes;
        auto request = run_batch(target, events, outcomes);
        boost::asio::co_spawn(io.get_executor(), std::move(request), [](std::exception_ptr bug) {
            if (bug) std::rethrow_exception(bug);
        });
        if (!run_until([&] { return outcomes.has_value(); })) throw std::runtime_error("the batch hangs");
        return *outcomes;
    }

    boost::asio::io_context io{1};
    SystemClock clock;
    SystemRandom random;

private:
    static targets::Task<void> run_batch(targets::Target& target, const std::vector<Event>& events,
                                         std::optional<std::vector<targets::Outcome>>& outcomes)
    {
        std::vector<std::string> ids;
        std::vector<targets::Delivery> deliveries;
        for (const Event& event : events) ids.push_back(delivery_id(event.id, "rule", "tested"));
        for (std::size_t i = 0; i < events.size(); ++i)
            deliveries.push_back({ids[i], "rule", "tested", events[i], i, 1});
        outcomes = co_await target.deliver_batch(deliveries);
    }
    static targets::Task<void> run_lane(targets::Target& target, std::shared_ptr<Sending> sending)
    {
        while (sending->next < sending->events.size()) {
            const std::size_t i = sending->next++;
            const Event& event = sending->events[i];
            const std::string id = delivery_id(event.id, "rule", "tested");
            const targets::Delivery delivery{id, "rule", "tested", event, i, 1};
            targets::Outcome outcome = co_await target.deliver(delivery);
            sending->outcomes[i] = std::move(outcome);
            ++sending->ended;
        }
    }
};

}  // namespace eventyard::support
