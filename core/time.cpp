#include "core/time.hpp"

#include <sys/random.h>

#include <array>
#include <cstdio>
#include <ctime>

namespace eventyard {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) noexcept
{
    state += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

std::uint64_t kernel_seed() noexcept
{
    std::uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = static_cast<std::uint64_t>(
            std::chrono::steady_clock::now().time_since_epoch().count());
    return seed;
}

}  // namespace

SteadyTime SystemClock::steady() const noexcept { return std::chrono::steady_clock::now(); }

WallTime SystemClock::wall() const noexcept { return std::chrono::system_clock::now(); }

std::uint64_t SystemRandom::next() noexcept
{
    thread_local std::uint64_t state = kernel_seed();
    return splitmix64(state);
}

std::uint64_t SeededRandom::next() noexcept { return splitmix64(state_); }

std::string to_rfc3339(WallTime time)
{
    using namespace std::chrono;
    const auto ms = floor<milliseconds>(time).time_since_epoch().count();
    const std::int64_t seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
    const std::time_t stamp = seconds;
    std::tm utc{};
    gmtime_r(&stamp, &utc);
    std::array<char, 64> text{};
    const int n = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                                utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                                utc.tm_min, utc.tm_sec, static_cast<int>(ms - seconds * 1000));
    return {text.data(), static_cast<std::size_t>(n)};
}

}  // namespace eventyard
