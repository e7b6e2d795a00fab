// router/delivery/token_bucket.hpp — how many attempts a second a target is sent.
//
// A token bucket: it holds up to `burst` tokens and gets `per_second` new ones a second; an attempt takes
// one. Kept as the one time at which it is full again (the generic cell rate algorithm of ITU-T I.371),
// so there is nothing to refill. In every span of time of length t at most burst + per_second * t attempts
// start. Pure; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/time.hpp"
#include "router/target_spec.hpp"

namespace eventyard::router {

class TokenBucket {
public:
    /// What was taken stays taken.
    void configure(RateLimit limit) noexcept { limit_ = limit; }
    [[nodiscard]] const RateLimit& limit() const noexcept { return limit_; }

    /// From when on a token is there.
    [[nodiscard]] SteadyTime next() const noexcept { return limit_.any() ? full_ - interval() * (limit_.burst - 1) : SteadyTime{}; }
    [[nodiscard]] bool allows(SteadyTime now) const noexcept { return !limit_.any() || now >= next(); }
    void take(SteadyTime now) noexcept
    {
        if (limit_.any()) full_ = std::max(full_, now) + interval();
    }
    /// Until it is full again.
    [[nodiscard]] Duration lacks(SteadyTime now) const noexcept { return std::clamp(full_ - now, Duration{0}, whole()); }
    /// As lacks() said before, at most an empty bucket.
    void set_lacks(SteadyTime now, Duration lacks) noexcept { full_ = now + std::clamp(lacks, Duration{0}, whole()); }
    /// What was taken is not known: no token is there.
    void set_empty(SteadyTime now) noexcept { full_ = now + whole(); }

private:
    [[nodiscard]] Duration interval() const noexcept
    {
        return limit_.any() ? Duration{static_cast<Duration::rep>(1e9 / limit_.per_second)} : Duration{0};
    }
    [[nodiscard]] Duration whole() const noexcept { return interval() * limit_.burst; }

    RateLimit limit_;
    SteadyTime full_{};
};

}  // namespace eventyard::router
