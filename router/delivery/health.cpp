#include "router/delivery/health.hpp"

#include <algorithm>

namespace eventyard::router {

bool Health::may_start(SteadyTime now, std::uint32_t in_flight) const noexcept
{
    if (now < not_before_) return false;
    if (open_) return !probing_;
    return in_flight < ramp_;
}

bool Health::started() noexcept
{
    if (open_) probing_ = true;
    return open_;
}

void Health::success(bool probe) noexcept
{
    forget(probe);
    consecutive_ = unconnected_ = probes_ = 0;
    if (open_) {
        open_ = false;
        probing_ = false;
        not_before_ = {};
        ramp_ = 1;
    }
    if (ramp_ < UINT32_MAX) ++ramp_;
}

void Health::failure(SteadyTime now, targets::Cause cause, Duration held, bool probe,
                     double draw) noexcept
{
    using targets::Cause;
    forget(probe);
    ++consecutive_;
    const bool no_connection = cause == Cause::resolve || cause == Cause::connect || cause == Cause::tls;
    unconnected_ = no_connection ? unconnected_ + 1 : 0;
    if (held > Duration{0}) {
        not_before_ = std::max(not_before_, now + held);
        ramp_ = 1;
    }
    if (!open_ && consecutive_ < limits_.failures && unconnected_ < limits_.connect_failures) return;
    if (open_ && !probe) return;  // started before it opened
    const std::uint32_t doublings = std::min<std::uint32_t>(open_ ? ++probes_ : 0, 20);
    open_ = true;
    const Duration wait = std::min(limits_.probe_max, limits_.probe_first * (Duration::rep{1} << doublings));
    const double spread = 0.5 + 0.5 * draw;
    not_before_ = std::max(
        not_before_, now + Duration{static_cast<Duration::rep>(static_cast<double>(wait.count()) * spread)});
}

void Health::reset() noexcept
{
    const std::uint32_t ramp = open_ ? 1 : ramp_;
    *this = Health{limits_};
    ramp_ = ramp;
}

std::optional<SteadyTime> Health::wake_at() const noexcept
{
    if (not_before_ == SteadyTime{} || (open_ && probing_)) return std::nullopt;
    return not_before_;
}

std::uint64_t LogThrottle::count(SteadyTime now) noexcept
{
    ++unwritten_;
    const bool quiet = !last_ || now - *last_ >= 2 * interval_;
    last_ = now;
    if (quiet) interval_ = first;
    else if (next_ && now < *next_) return 0;
    else interval_ = std::min(longest, 2 * interval_);
    next_ = now + interval_;
    const std::uint64_t stands_for = unwritten_;
    unwritten_ = 0;
    return stands_for;
}

}  // namespace eventyard::router
