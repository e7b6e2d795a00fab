// router/delivery/forecast.hpp — how fast deliveries of a target come and end, and when its backlog will be gone or be
// given up if that goes on. Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/time.hpp"

namespace eventyard::router {

/// Deliveries a second, over the last half minute or so.
struct Rates {
    double came = 0, ended = 0;
};

/// Samples of two counts, a few seconds apart.
class Pace {
public:
    /// @param came  deliveries since any fixed moment  @param pending  of them and of earlier ones, not ended
    void note(SteadyTime now, std::uint64_t came, std::uint64_t pending)
    {
        if (samples_.empty() || now - samples_.back().at >= apart) add({now, came, pending});
    }
    /// None: too little was seen yet.
    [[nodiscard]] std::optional<Rates> rates(SteadyTime now, std::uint64_t came, std::uint64_t pending) const;

private:
    static constexpr Duration apart = std::chrono::seconds{5};
    struct Sample {
        SteadyTime at;
        std::uint64_t came = 0, pending = 0;
    };
    void add(Sample sample);

    std::deque<Sample> samples_;           // the first is the last that is half a minute old
};

enum class GivenUpBy : std::uint8_t { max_age, expire_after, budget };
[[nodiscard]] const char* text_of(GivenUpBy by) noexcept;

struct Forecast {
    std::optional<Rates> rates;
    std::optional<Duration> drains_in;     // none: not at this pace, or not known yet
    std::optional<Duration> given_up_in;   // until the oldest delivery, or the oldest beyond the budget, ends undelivered
    GivenUpBy given_up_by = GivenUpBy::max_age;
};

/// What a forecast is made of.
struct Outlook {
    std::uint64_t pending = 0;
    std::optional<Rates> rates;
    std::optional<Duration> max_age;       // what the oldest delivery has left; none: there is none, or it has no limit
    std::optional<Duration> expiry;        // the same, of its rule's expire_after
    std::optional<std::uint64_t> used;     // bytes that wait
    std::uint64_t budget = 0;              // beyond it the oldest end; 0: none
    double mean = 0;                       // bytes of one that came
};
[[nodiscard]] Forecast forecast(const Outlook& outlook);

}  // namespace eventyard::router
