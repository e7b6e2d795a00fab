// router/delivery/retry.hpp — the arithmetic of a retry policy: how long to wait, when to give up.
//
// Pure functions of the policy, what is known of the delivery and one random draw.
#pragma once

#include <cstdint>
#include <optional>

#include "core/time.hpp"
#include "router/target_spec.hpp"

namespace eventyard::router {

/// The wait before the next attempt, or the reason why there is none.
struct NextAttempt {
    Duration wait{0};
    const char* final_reason = nullptr;  // "max_attempts" or "max_age": dead-letter now
};

/// The policy's own wait after `attempts` attempts (at least 1): initial * factor^(attempts - 1), at most
/// backoff_max; full jitter scales it to between nothing and whole.
/// @param draw  uniform in [0, 1)
[[nodiscard]] Duration backoff(const RetryPolicy& policy, std::uint32_t attempts, double draw) noexcept;

/// What of a Retry-After is honoured: nothing for none or a negative one (a date gone by), at most
/// retry_after_max, or backoff_max where that is zero.
[[nodiscard]] Duration honoured_retry_after(const RetryPolicy& policy,
                                            std::optional<Duration> asked) noexcept;

/// Decides after a failed attempt.
/// @param attempts  made so far, this one included
/// @param age       since acceptance; see AgeClock
///
/// The wait is the greater of backoff() and honoured_retry_after(). A backoff that would reach past
/// max_age is shortened so that the last attempt is made when max_age ends; a Retry-After past it
/// is final, since the target asked for nothing earlier.
[[nodiscard]] NextAttempt after_failure(const RetryPolicy& policy, std::uint32_t attempts, Duration age,
                                        std::optional<Duration> retry_after, double draw) noexcept;

/// How old an event is, although the wall clock may jump: within one process steady time counts,
/// across restarts wall time. Where they disagree the younger age wins, because giving up cannot
/// be undone.
class AgeClock {
public:
    AgeClock() = default;
    AgeClock(SteadyTime steady, WallTime wall) noexcept : steady_(steady), wall_(wall) {}
    [[nodiscard]] Duration age(WallTime received, SteadyTime steady, WallTime wall) const noexcept;

private:
    SteadyTime steady_{};
    WallTime wall_{};
};

/// The state keeps milliseconds; a finer due time would not compare equal after a read.
[[nodiscard]] inline WallTime to_milliseconds(WallTime time) noexcept
{
    return std::chrono::time_point_cast<Duration>(std::chrono::floor<std::chrono::milliseconds>(time));
}

/// The steady due time of a stored retry: its wait is clamped to [0, delay], whatever the wall
/// clock did in between.
[[nodiscard]] SteadyTime due_after_load(WallTime due, Duration delay, SteadyTime steady,
                                        WallTime wall) noexcept;

}  // namespace eventyard::router
