// Retry arithmetic, as tables.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "router/delivery/retry.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;

namespace {

RetryPolicy plain()
{
    RetryPolicy policy;
    policy.max_attempts = 5;
    policy.max_age = 1h;
    policy.backoff_initial = 1s;
    policy.backoff_factor = 2.0;
    policy.backoff_max = 10s;
    policy.jitter = false;
    return policy;
}

}  // namespace

TEST_CASE("backoff doubles from the initial wait and stops at its cap")
{
    struct Case {
        std::uint32_t attempts;
        Duration wait;
    };
    const Case cases[] = {{1, 1s}, {2, 2s}, {3, 4s}, {4, 8s}, {5, 10s}, {6, 10s}, {1000, 10s}, {UINT32_MAX, 10s}, {0, 1s}};
    for (const Case& c : cases) {
        CAPTURE(c.attempts);
        CHECK(backoff(plain(), c.attempts, 0.5) == c.wait);
    }
}

TEST_CASE("backoff survives settings that make no sense")
{
    RetryPolicy policy = plain();
    SECTION("a factor below one counts as one")
    {
        policy.backoff_factor = 0.1;
        CHECK(backoff(policy, 9, 0) == 1s);
    }
    SECTION("a factor that is no number counts as one")
    {
        policy.backoff_factor = std::numeric_limits<double>::quiet_NaN();
        CHECK(backoff(policy, 9, 0) == 1s);
    }
    SECTION("an infinite factor reaches the cap")
    {
        policy.backoff_factor = std::numeric_limits<double>::infinity();
        CHECK(backoff(policy, 2, 0) == 10s);
    }
    SECTION("a negative initial wait is none")
    {
        policy.backoff_initial = -5s;
        CHECK(backoff(policy, 3, 0) == 0s);
    }
    SECTION("an initial wait above the cap is the cap")
    {
        policy.backoff_initial = 1h;
        CHECK(backoff(policy, 1, 0) == 10s);
    }
    SECTION("a cap of centuries does not overflow")
    {
        policy.backoff_max = Duration::max();
        CHECK(backoff(policy, 4000, 0) == Duration::max());
        policy.jitter = true;
        CHECK(backoff(policy, 4000, 0.999999) > 0s);
    }
}

TEST_CASE("full jitter is uniform between nothing and the whole wait")
{
    RetryPolicy policy = plain();
    policy.jitter = true;
    CHECK(backoff(policy, 3, 0.0) == 0s);
    CHECK(backoff(policy, 3, 0.25) == 1s);
    CHECK(backoff(policy, 3, 0.5) == 2s);
    CHECK(backoff(policy, 3, 0.999) < 4s);
    SeededRandom random{7};
    Duration sum{0};
    for (int i = 0; i < 4000; ++i) sum += backoff(policy, 3, random.unit());
    CHECK(std::abs(std::chrono::duration<double>(sum).count() / 4000 - 2.0) < 0.1);
}

TEST_CASE("Retry-After is honoured up to its cap")
{
    RetryPolicy policy = plain();
    struct Case {
        std::optional<Duration> asked;
        Duration cap, honoured;
    };
    const Case cases[] = {
        {std::nullopt, 0s, 0s}, {3s, 0s, 3s},   {10min, 0s, 10s},          {10min, 2min, 2min},
        {-1s, 0s, 0s},          {0s, 0s, 0s},   {Duration::max(), 0s, 10s}, {Duration::min(), 0s, 0s},
        {30s, 1min, 30s},       {1ns, 0s, 1ns},
    };
    for (const Case& c : cases) {
        policy.retry_after_max = c.cap;
        CAPTURE(c.asked.value_or(Duration{-99}).count(), c.cap.count());
        CHECK(honoured_retry_after(policy, c.asked) == c.honoured);
    }
}

TEST_CASE("after a failure comes the greater wait, or the reason to give up")
{
    struct Case {
        const char* name;
        std::uint32_t attempts;
        Duration age;
        std::optional<Duration> asked;
        Duration wait;
        const char* final_reason;
    };
    const Case cases[] = {
        {"the first failure", 1, 0s, std::nullopt, 1s, nullptr},
        {"Retry-After above the backoff", 1, 0s, 5s, 5s, nullptr},
        {"Retry-After below the backoff", 3, 0s, 1s, 4s, nullptr},
        {"Retry-After above its cap", 1, 0s, 1h, 10s, nullptr},
        {"the last attempt but one", 4, 0s, std::nullopt, 8s, nullptr},
        {"the last attempt", 5, 0s, std::nullopt, 0s, "max_attempts"},
        {"more attempts than a lowered maximum", 9, 0s, std::nullopt, 0s, "max_attempts"},
        {"the age reached", 1, 1h, std::nullopt, 0s, "max_age"},
        {"the age passed", 1, 100h, std::nullopt, 0s, "max_age"},
        {"attempts count before age", 5, 100h, std::nullopt, 0s, "max_attempts"},
        {"a backoff past the age ends with it", 4, 1h - 3s, std::nullopt, 3s, nullptr},
        {"a Retry-After past the age is final", 1, 1h - 3s, 5s, 0s, "max_age"},
        {"an age below zero is none", 1, -5h, std::nullopt, 1s, nullptr},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.name)
    {
        const NextAttempt next = after_failure(plain(), c.attempts, c.age, c.asked, 0.5);
        CHECK(next.wait == c.wait);
        REQUIRE((next.final_reason == nullptr) == (c.final_reason == nullptr));
        if (c.final_reason) CHECK(std::string{next.final_reason} == c.final_reason);
    }
}

TEST_CASE("a policy of one attempt never retries")
{
    RetryPolicy policy = plain();
    policy.max_attempts = 1;
    CHECK(after_failure(policy, 1, 0s, 5s, 0.5).final_reason == std::string{"max_attempts"});
}

TEST_CASE("age is the younger of what both clocks say")
{
    const SteadyTime steady{100h};
    const WallTime wall{500'000h};
    const AgeClock ages{steady, wall};
    SECTION("clocks that agree") { CHECK(ages.age(wall - 2h, steady + 1h, wall + 1h) == 3h); }
    SECTION("a wall clock that jumped ahead ages nothing") { CHECK(ages.age(wall, steady + 1min, wall + 48h) == 1min); }
    SECTION("nor does one that fell back and has new events stamped lower")
    {
        CHECK(ages.age(wall - 48h, steady + 1min, wall - 48h + 1min) == 1min);
    }
    SECTION("an event of the future has no age") { CHECK(ages.age(wall + 5h, steady + 1h, wall + 1h) == 0s); }
    SECTION("time before the start counts by the wall clock") { CHECK(ages.age(wall - 30h, steady, wall) == 30h); }
}

TEST_CASE("a stored due time waits between nothing and its own delay")
{
    const SteadyTime steady{5h};
    const WallTime wall{500'000h};
    CHECK(due_after_load(wall + 10s, 30s, steady, wall) == steady + 10s);
    CHECK(due_after_load(wall - 10h, 30s, steady, wall) == steady);
    CHECK(due_after_load(wall + 10h, 30s, steady, wall) == steady + 30s);
    CHECK(due_after_load(wall + 10h, -1s, steady, wall) == steady);
}
