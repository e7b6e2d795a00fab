#include "router/delivery/retry.hpp"

#include <algorithm>
#include <cmath>

namespace eventyard::router {

Duration backoff(const RetryPolicy& policy, std::uint32_t attempts, double draw) noexcept
{
    const auto limit = std::max(policy.backoff_max, Duration{0});
    const double whole = static_cast<double>(limit.count());
    const double factor = policy.backoff_factor >= 1.0 ? policy.backoff_factor : 1.0;  // NaN too
    const double exponent = attempts > 1 ? static_cast<double>(attempts - 1) : 0.0;
    const double initial = static_cast<double>(std::max(policy.backoff_initial, Duration{0}).count());
    double wait = initial > 0 ? initial * std::pow(factor, exponent) : 0.0;
    if (!(wait < whole)) wait = whole;  // infinity too
    if (policy.jitter) wait *= std::clamp(draw, 0.0, 1.0);
    if (!(wait < whole)) return limit;  // 2^63 as a double would not come back
    return Duration{static_cast<Duration::rep>(wait)};
}

Duration honoured_retry_after(const RetryPolicy& policy, std::optional<Duration> asked) noexcept
{
    if (!asked || *asked <= Duration{0}) return Duration{0};
    const Duration cap = policy.retry_after_max > Duration{0} ? policy.retry_after_max : policy.backoff_max;
    return std::max(Duration{0}, std::min(*asked, cap));
}

NextAttempt after_failure(const RetryPolicy& policy, std::uint32_t attempts, Duration age,
                          std::optional<Duration> retry_after, double draw) noexcept
{
    if (attempts >= policy.max_attempts) return {Duration{0}, "max_attempts"};
    const Duration left = policy.max_age - std::max(age, Duration{0});
    if (left <= Duration{0}) return {Duration{0}, "max_age"};
    const Duration asked = honoured_retry_after(policy, retry_after);
    if (asked > left) return {Duration{0}, "max_age"};
    return {std::max(asked, std::min(backoff(policy, attempts, draw), left)), nullptr};
}

Duration AgeClock::age(WallTime received, SteadyTime steady, WallTime wall) const noexcept
{
    const Duration by_wall = wall - received;
    const Duration by_steady = (wall_ - received) + (steady - steady_);
    return std::max(Duration{0}, std::min(by_wall, by_steady));
}

SteadyTime due_after_load(WallTime due, Duration delay, SteadyTime steady, WallTime wall) noexcept
{
    return steady + std::clamp(due - wall, Duration{0}, std::max(delay, Duration{0}));
}

}  // namespace eventyard::router
