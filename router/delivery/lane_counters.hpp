// router/delivery/lane_counters.hpp — the numbers a lane keeps for status and metrics.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "core/time.hpp"

namespace eventyard::router {

/// Deliveries not ended, counted by where they are; the sum is the ledger's `pending`.
struct Pending {
    std::uint64_t waiting = 0;    // behind the cursor, not started: in memory or on disk
    std::uint64_t in_flight = 0;  // first attempts and retries under way
    std::uint64_t retry = 0;      // between two attempts
    std::uint64_t delayed = 0;    // before the first, as their rules ask
    std::uint64_t parked = 0;     // behind a failed delivery of their order key
    [[nodiscard]] std::uint64_t sum() const noexcept { return waiting + in_flight + retry + delayed + parked; }
};

/// What the circuit breaker lets through.
enum class Breaker : std::uint8_t {
    closed,     // everything
    open,       // nothing: the target looks down
    half_open,  // one attempt, to see
    ramping,    // it works again: more with each success
};
[[nodiscard]] const char* text_of(Breaker breaker) noexcept;

/// Attempts by duration, as Prometheus wants it: counts not cumulated here.
struct LatencyHistogram {
    static constexpr std::array<double, 14> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25,  0.5,    1,     2.5,  5,     10,   30};
    std::array<std::uint64_t, bounds.size() + 1> counts{};  // the last: above every bound
    double sum_seconds = 0;

    void add(Duration latency) noexcept
    {
        const double seconds = std::chrono::duration<double>(latency).count();
        std::size_t i = 0;
        while (i < bounds.size() && seconds > bounds[i]) ++i;
        ++counts[i];
        sum_seconds += seconds;
    }
};

/// Since the process started, except dead_letters.
struct LaneCounters {
    std::uint64_t attempts = 0;       // that counted, dead-letter copies included
    std::uint64_t requests = 0;       // they went out in, and those that did not count
    std::uint64_t bisected = 0;       // of them: refused as a whole and taken apart
    std::uint64_t delivered = 0;
    std::uint64_t failed = 0;         // attempts
    std::uint64_t retried = 0;        // attempts after the first
    std::uint64_t dead_lettered = 0;
    std::uint64_t overflowed = 0;     // of them: beyond the target's budget
    std::uint64_t expired = 0;
    std::uint64_t damaged = 0;        // could not be read any more
    std::uint64_t lost = 0;           // not kept any more when their retry came
    std::uint64_t forwarded = 0;      // dead letters of others this target took
    std::uint64_t uncounted = 0;      // attempts that ended for reasons of our own
    std::uint64_t pauses = 0;         // by the target (410)
    std::string last_error;
    WallTime last_error_at{};
    LatencyHistogram latency;
};

}  // namespace eventyard::router
