#include "core/time.hpp"

#include <sys/random.h>

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
    // By hand: gmtime_r() takes a lock for the time zone that this does not need, and every line of a batch has one.
    using namespace std::chrono;
    const auto whole = floor<milliseconds>(time);  // as nanoseconds the first midnight would be out of range
    const auto day = floor<days>(whole);
    const year_month_day date{day};
    const hh_mm_ss clock{whole - day};
    std::string text = "0000-00-00T00:00:00.000Z";
    const auto put = [&text](std::size_t end, std::int64_t number) {  // digits up to the place `end`
        for (; number > 0; number /= 10) text[--end] = static_cast<char>('0' + number % 10);
    };
    put(4, static_cast<int>(date.year()));  // of four digits: WallTime holds the years 1677 to 2262
    put(7, static_cast<unsigned>(date.month()));
    put(10, static_cast<unsigned>(date.day()));
    put(13, clock.hours().count());
    put(16, clock.minutes().count());
    put(19, clock.seconds().count());
    put(23, clock.subseconds().count());
    return text;
}

}  // namespace eventyard
