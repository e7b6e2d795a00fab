// The circuit breaker and the throttle of log lines.
#include <catch2/catch.hpp>

#include "router/delivery/health.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;
using targets::Cause;

namespace {

const SteadyTime t0{1000h};

Health broken(std::uint32_t failures, Cause cause)
{
    Health health;
    for (std::uint32_t i = 0; i < failures; ++i) health.failure(t0, cause, 0s, false, 0.5);
    return health;
}

}  // namespace

TEST_CASE("ten failures in a row open the breaker, and nothing starts but one probe")
{
    Health health = broken(9, Cause::status);
    CHECK(!health.open());
    CHECK(health.may_start(t0, 100));
    health.failure(t0, Cause::status, 0s, false, 1.0);
    REQUIRE(health.open());
    CHECK(!health.may_start(t0, 0));
    CHECK(health.wake_at() == t0 + 1s);
    CHECK(health.may_start(t0 + 1s, 0));
    CHECK(health.started());
    CHECK(!health.may_start(t0 + 1h, 0));
    CHECK(health.wake_at() == std::nullopt);
}

TEST_CASE("targets without any connection open it sooner")
{
    CHECK(!broken(4, Cause::connect).open());
    CHECK(broken(5, Cause::connect).open());
    CHECK(broken(5, Cause::resolve).open());
    CHECK(!broken(5, Cause::timeout).open());
}

TEST_CASE("failures that are not in a row open nothing")
{
    Health health;
    for (int i = 0; i < 100; ++i) {
        for (int j = 0; j < 9; ++j) health.failure(t0, Cause::status, 0s, false, 0.5);
        health.success(false);
    }
    CHECK(!health.open());
}

TEST_CASE("failed probes wait twice as long each, up to the longest")
{
    Health health = broken(10, Cause::timeout);
    SteadyTime now = t0;
    Duration expected = 1s;
    for (int i = 0; i < 40; ++i) {
        REQUIRE(health.wake_at());
        const Duration wait = *health.wake_at() - now;
        CHECK(wait == expected * 3 / 4);
        now = *health.wake_at();
        REQUIRE(health.may_start(now, 3));
        REQUIRE(health.started());
        health.failure(now, Cause::timeout, 0s, true, 0.5);
        expected = std::min<Duration>(2 * expected, 30s);
    }
}

TEST_CASE("what was in flight when it opened neither probes nor delays the probe")
{
    Health health = broken(10, Cause::status);
    const auto wake = health.wake_at();
    for (int i = 0; i < 16; ++i) health.failure(t0, Cause::status, 0s, false, 0.5);
    CHECK(health.wake_at() == wake);
}

TEST_CASE("after a successful probe the concurrency grows by one a success")
{
    Health health = broken(10, Cause::status);
    const SteadyTime now = *health.wake_at();
    const bool probe = health.started();
    health.success(probe);
    CHECK(!health.open());
    CHECK(health.may_start(now, 1));
    CHECK(!health.may_start(now, 2));
    health.success(false);
    CHECK(health.may_start(now, 2));
    CHECK(!health.may_start(now, 3));
}

TEST_CASE("a Retry-After holds the target back, also while the breaker is closed")
{
    Health health;
    health.failure(t0, Cause::status, 5s, false, 0.5);
    CHECK(!health.open());
    CHECK(!health.may_start(t0 + 4s, 0));
    CHECK(health.may_start(t0 + 5s, 0));
    CHECK(!health.may_start(t0 + 5s, 1));
    CHECK(health.wake_at() == t0 + 5s);
}

TEST_CASE("an operator's reset lets an attempt start at once")
{
    Health health = broken(10, Cause::status);
    health.reset();
    CHECK(!health.open());
    CHECK(health.may_start(t0, 0));
    CHECK(!health.may_start(t0, 1));
}

TEST_CASE("log lines come at growing intervals and account for every occurrence")
{
    LogThrottle throttle;
    SteadyTime now = t0;
    std::uint64_t lines = 0, counted = 0;
    for (int i = 0; i < 3600 * 24; ++i, now += 1s) {  // a day of one failure a second
        if (const auto count = throttle.count(now)) {
            ++lines;
            counted += count;
        }
    }
    CHECK(lines >= 20);
    CHECK(lines <= 40);
    CHECK(counted + 3600 > 3600 * 24);
    now += 10h;
    CHECK(throttle.count(now) > 0);
    CHECK(throttle.count(now + 1s) == 0);
    CHECK(throttle.count(now + 10s) == 2);
}
