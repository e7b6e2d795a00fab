// tests/router/delivery/engine_fixture.hpp — one life of the delivery side over fakes of journal and state, with real I/O
// threads; a next life begins with what state and journal of the former one held.
#pragma once

#include <catch2/catch.hpp>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "router/delivery/alarm.hpp"
#include "router/delivery/engine.hpp"
#include "tests/router/delivery/fake_target.hpp"
#include "tests/support/fake_journal_lanes.hpp"
#include "tests/support/fake_state.hpp"

namespace eventyard::router::testing {

using namespace std::chrono_literals;
using Mode = Receiver::Mode;

inline bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = 60s)
{
    for (auto left = limit / 5ms; left > 0; --left) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return condition();
}

/// One life of a router's delivery side.
struct Life {
    explicit Life(EventLog log = {}, StateModel model = {}) : journal(std::move(log)), state(std::move(model))
    {
        options.idle_after = 50ms;
        options.lane.window.deliveries = 64;
        options.lane.window.read_items = 16;
        options.lane.retries = 32;
        options.lane.uncommitted_max = 256;
        options.close_grace = 500ms;
    }
    ~Life()
    {
        stop(100ms);
        journal.stop();
        state.stop();
        threads.stop_now();
    }
    void start(const std::vector<TargetSpec>& specs)
    {
        engine = std::make_unique<Engine>(threads, journal, state, clock, random, waits, options);
        threads.start();
        journal.set_listener([this](const CommitBatchPtr& batch) { engine->on_commit(batch); });
        REQUIRE(engine->start(specs, state.snapshot()).has_value());
    }
    void stop(Duration grace)
    {
        if (!engine || stopped) return;
        stopped = true;
        std::promise<void> done;
        engine->stop(grace, [&done] { done.set_value(); });
        done.get_future().wait();
    }
    std::vector<TargetStatus> status()
    {
        std::promise<std::vector<TargetStatus>> all;
        engine->status([&all](std::vector<TargetStatus> got) { all.set_value(std::move(got)); });
        return all.get_future().get();
    }
    TargetStatus status(const std::string& name)
    {
        for (auto& one : status())
            if (one.name == name) return one;
        return {};
    }
    Result<void> replace(const std::vector<TargetSpec>& specs)
    {
        std::promise<Result<void>> done;
        engine->prepare(specs, [&done](Result<void> result) { done.set_value(std::move(result)); });
        auto result = done.get_future().get();
        if (result.has_value()) engine->commit();
        return result;
    }
    bool settled()
    {
        for (const auto& one : status())
            if (one.pending.sum() > 0 || one.uncommitted > 0 || one.in_flight > 0) return false;
        return true;
    }

    SystemClock clock;
    SystemRandom random;
    EngineOptions options;
    IoThreads threads{2};
    AsioWaits waits;
    FakeJournalLanes journal;
    FakeState state;
    std::unique_ptr<Engine> engine;
    bool stopped = false;
};

inline TargetSpec spec(const std::string& name, const std::shared_ptr<Receiver>& receiver, std::string settings = "1")
{
    TargetSpec made;
    made.name = name;
    made.kind = "fake";
    made.blueprint = std::make_shared<FakeBlueprint>(receiver, std::move(settings), "fake://" + name);
    made.retry.backoff_initial = 5ms;
    made.retry.backoff_max = 40ms;
    made.retry.max_attempts = 1000;
    made.concurrency = 8;
    made.breaker.probe_first = 20ms;
    made.breaker.probe_max = 100ms;
    return made;
}

inline RoutingVersionPtr version(std::uint64_t number, const std::vector<std::string>& targets)
{
    RoutingVersion made;
    made.number = number;
    made.buses = {"default"};
    for (const std::string& target : targets) made.routes.push_back({"to-" + target, target, {}, {}, {}, {}});
    return std::make_shared<const RoutingVersion>(made);
}

/// Commits `count` events to these routes, ten a batch.
inline void send(Life& life, const RoutingVersionPtr& routing, std::vector<std::uint32_t> routes, std::size_t count)
{
    std::vector<std::shared_ptr<StoredEvent>> events;
    for (std::size_t i = 0; i < count; ++i) {
        events.push_back(make_event(routing, routes, life.random, life.clock.wall(), R"({"n":1})"));
        if (events.size() == 10 || i + 1 == count) life.journal.commit(std::exchange(events, {}));
    }
}

inline void check_model(const StateModel& model)
{
    for (const std::string& complaint : model.complaints) FAIL_CHECK(complaint);
    for (const auto& [key, endings] : model.ended) CHECK(endings.size() == 1);
}

}  // namespace eventyard::router::testing
