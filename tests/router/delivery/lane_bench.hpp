// tests/router/delivery/lane_bench.hpp — one lane played by hand: what it sends, what it is answered, what it tells the state.
#pragma once

#include "tests/router/delivery/engine_fixture.hpp"

namespace eventyard::router::testing {

inline const targets::Outcome taken{targets::Verdict::delivered, targets::Cause::none, 200, "HTTP 200", {}, {}, 5ms};
inline const targets::Outcome refused{targets::Verdict::reject, targets::Cause::status, 422, "HTTP 422", "no", {}, 5ms};
inline const targets::Outcome failed{targets::Verdict::retry, targets::Cause::status, 503, "HTTP 503", "no", {}, 5ms};

/// A lane and the requests it makes.
struct Bench {
    explicit Bench(LaneSettings chosen = {}, LaneLimits limits = {})
        : settings(chosen), lane({"t", {}, 0, 0, 0, {}, 0, {}, false, {}, {}, {}, 0}, limits, random)
    {
        lane.configure(&settings);
    }
    void offer(std::size_t count, const std::string& body = "{}")
    {
        for (std::size_t i = 0; i < count; ++i) {
            const auto event = make_event(routing, {0}, random, now.wall, body);
            event->sequence = ++now.seen;
            lane.offer(event, 0);
            events.push_back(event);
        }
    }
    /// What goes out now, by sequence.
    std::vector<std::vector<Sequence>> pump(std::uint32_t room = 100)
    {
        lane.pump(now, room, todo, &bucket);
        while (!todo.events.empty()) {
            for (const EventRead& read : std::exchange(todo.events, {}))
                lane.on_event(now, read.ticket, true, events[read.sequence - 1], todo);
            lane.pump(now, room, todo, &bucket);
        }
        std::vector<std::vector<Sequence>> sizes;
        for (Request& request : std::exchange(todo.requests, {})) {
            std::vector<Sequence> sequences;
            for (const Attempt& attempt : request.attempts) sequences.push_back(attempt.sequence);
            sizes.push_back(sequences);
            flying.push_back(std::move(request));
        }
        return sizes;
    }
    /// Answers the oldest request.
    void answer(std::vector<targets::Outcome> outcomes)
    {
        const Request request = std::move(flying.front());
        flying.erase(flying.begin());
        lane.on_outcomes(now, request.ticket, std::move(outcomes), todo);
    }
    void pass(Duration time)
    {
        now.steady += time;
        now.wall += time;
    }
    template <class Change>
    std::vector<Change> changes() const
    {
        std::vector<Change> found;
        for (const auto& change : todo.changes)
            if (const auto* one = std::get_if<Change>(&change)) found.push_back(*one);
        return found;
    }

    SeededRandom random{7};
    LaneSettings settings;
    RoutingVersionPtr routing = version(1, {"t"});
    Now now{SteadyTime{1h}, WallTime{500'000h}, 0};
    std::vector<StoredEventPtr> events;
    TokenBucket bucket;
    Lane lane;
    Todo todo;
    std::vector<Request> flying;
};

using Sent = std::vector<std::vector<Sequence>>;

}  // namespace eventyard::router::testing
