// router/delivery/health.hpp — does the target look down, and how fast may attempts start.
//
// A circuit breaker. It opens after `failures` failed attempts in a row (`connect_failures`, when no
// connection came about at all); what was in flight then still ends, but nothing new starts: so a
// target that is down costs at most failures + concurrency retry rows and then one a probe, however
// long its backlog. One attempt probes it after a wait that doubles up to probe_max; the first
// success closes the breaker, and from then on each success lets one attempt more run at a time until
// the concurrency is reached again. A Retry-After holds the whole target back for that long and
// ramps up in the same way. A refusal that is final (400) is a sign of life, not a failure of the
// target. Pure; one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "core/time.hpp"
#include "router/target_spec.hpp"
#include "targets/outcome.hpp"

namespace eventyard::router {

class Health {
public:
    explicit Health(BreakerPolicy policy = {}) noexcept : limits_(policy) {}
    void configure(BreakerPolicy policy) noexcept { limits_ = policy; }

    [[nodiscard]] bool may_start(SteadyTime now, std::uint32_t in_flight) const noexcept;
    /// An attempt starts. True: it is the probe; say so when it ends.
    [[nodiscard]] bool started() noexcept;
    void success(bool probe) noexcept;
    /// @param held  honoured Retry-After; zero: none
    /// @param draw  uniform in [0, 1): spreads probes
    void failure(SteadyTime now, targets::Cause cause, Duration held, bool probe, double draw) noexcept;
    /// The attempt says nothing about the target.
    void forget(bool probe) noexcept { probing_ = probing_ && !probe; }
    /// An operator wants to see an attempt now.
    void reset() noexcept;

    [[nodiscard]] bool open() const noexcept { return open_; }
    [[nodiscard]] bool probing() const noexcept { return probing_; }
    /// Attempts at a time while it ramps up; none: as many as the target's concurrency.
    [[nodiscard]] std::optional<std::uint32_t> ramp() const noexcept
    {
        return ramp_ == UINT32_MAX ? std::nullopt : std::optional{ramp_};
    }
    [[nodiscard]] std::uint32_t consecutive() const noexcept { return consecutive_; }
    /// When attempts may start again; none: now, or when the probe has ended.
    [[nodiscard]] std::optional<SteadyTime> wake_at() const noexcept;

private:
    BreakerPolicy limits_;
    bool open_ = false;
    bool probing_ = false;
    std::uint32_t consecutive_ = 0;
    std::uint32_t unconnected_ = 0;        // of them the last, without any connection
    std::uint32_t probes_ = 0;             // failed since it opened
    std::uint32_t ramp_ = UINT32_MAX;      // attempts at a time
    SteadyTime not_before_{};
};

/// Which of many similar occurrences are worth a line: the first, then at intervals that double
/// from ten seconds to an hour; from the start again after a quiet time.
class LogThrottle {
public:
    /// An occurrence. Returns how many the line to be written now stands for; 0: no line.
    [[nodiscard]] std::uint64_t count(SteadyTime now) noexcept;

private:
    static constexpr Duration first = std::chrono::seconds{10};
    static constexpr Duration longest = std::chrono::hours{1};
    std::uint64_t unwritten_ = 0;
    Duration interval_ = first;
    std::optional<SteadyTime> next_, last_;
};

}  // namespace eventyard::router
