#include "router/delivery/forecast.hpp"

#include <algorithm>

namespace eventyard::router {
namespace {

constexpr Duration span = std::chrono::seconds{30}, least = std::chrono::seconds{5};
constexpr double longest = 10.0 * 365 * 24 * 3600;  // a forecast beyond ten years is none

std::optional<Duration> in_seconds(double seconds)
{
    if (!(seconds >= 0) || seconds > longest) return std::nullopt;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

const char* text_of(GivenUpBy by) noexcept
{
    switch (by) {
        case GivenUpBy::max_age: return "max_age";
        case GivenUpBy::expire_after: return "expire_after";
        case GivenUpBy::budget: break;
    }
    return "budget";
}

void Pace::add(Sample sample)
{
    samples_.push_back(sample);
    while (samples_.size() > 1 && sample.at - samples_[1].at >= span) samples_.pop_front();
}

std::optional<Rates> Pace::rates(SteadyTime now, std::uint64_t came, std::uint64_t pending) const
{
    if (samples_.empty() || now - samples_.front().at < least) return std::nullopt;
    const Sample& from = samples_.front();
    const double seconds = std::chrono::duration<double>(now - from.at).count();
    const double more = static_cast<double>(pending) - static_cast<double>(from.pending);
    Rates rates;
    rates.came = static_cast<double>(came - from.came) / seconds;
    rates.ended = std::max(0.0, rates.came - more / seconds);
    return rates;
}

Forecast forecast(const Outlook& outlook)
{
    Forecast out;
    out.rates = outlook.rates;
    if (outlook.pending == 0) {
        out.drains_in = Duration{0};
        return out;
    }
    const auto pending = static_cast<double>(outlook.pending);
    const auto sooner = [&](std::optional<Duration> time, GivenUpBy by) {
        if (!time || (out.given_up_in && *out.given_up_in <= *time)) return;
        out.given_up_in = std::max(Duration{0}, *time);
        out.given_up_by = by;
    };
    sooner(outlook.max_age, GivenUpBy::max_age);
    sooner(outlook.expiry, GivenUpBy::expire_after);
    if (outlook.budget > 0 && outlook.used && *outlook.used >= outlook.budget) sooner(Duration{0}, GivenUpBy::budget);
    if (!outlook.rates) return out;
    const double shrinks = outlook.rates->ended - outlook.rates->came;
    if (shrinks > 0) out.drains_in = in_seconds(pending / shrinks);
    if (shrinks < 0 && outlook.budget > 0 && outlook.used && *outlook.used < outlook.budget) {
        const double bytes = outlook.mean * -shrinks;  // a second
        if (bytes > 0) sooner(in_seconds(static_cast<double>(outlook.budget - *outlook.used) / bytes), GivenUpBy::budget);
    }
    return out;
}

}  // namespace eventyard::router
