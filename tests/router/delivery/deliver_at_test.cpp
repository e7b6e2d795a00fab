// Deliveries whose events say when they are to be sent.
#include "tests/router/delivery/lane_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

TEST_CASE("an event is sent when it says, or after its rule's delay, whichever is later")
{
    struct Case {
        const char* body;
        Duration delay;
        Duration wait;  // zero: sent at once
    };
    // The events are accepted at 500000 hours after 1970, which is 2027-01-15T08:00:00Z.
    const Case cases[] = {
        {R"({"at":"2027-01-15T08:00:10Z"})", 0s, 10s},
        {R"({"at":"2027-01-15T10:00:10.500+02:00"})", 0s, 10'500ms},
        {R"({"at":"2027-01-15T08:00:10Z"})", 5s, 10s},
        {R"({"at":"2027-01-15T08:00:10Z"})", 20s, 20s},
        {R"({"at":"2027-01-15T07:00:00Z"})", 0s, 0s},
        {R"({"at":"2027-01-15T07:00:00Z"})", 5s, 5s},
        {R"({"at":"9999-12-31T23:59:59Z"})", 0s, 24h * 365},
        {R"({"at":"0001-01-01T00:00:00Z"})", 0s, 0s},
        {R"({"at":"tomorrow"})", 0s, 0s},
        {R"({"at":1800000000})", 0s, 0s},
        {R"({"at":null})", 3s, 3s},
        {R"({})", 0s, 0s},
    };
    for (const Case& one : cases) DYNAMIC_SECTION(one.body << " delay " << one.delay.count())
    {
        RoutingVersion routing;
        routing.number = 1;
        routing.routes = {{"r", "t", {}, {}, one.delay, {}, "$.at"}};
        SeededRandom random{1};
        Lane lane{{"t", {}, 0, 0, 0, {}, 0, {}, false, {}, {}, {}, 0}, LaneLimits{}, random};
        LaneSettings settings;
        lane.configure(&settings);
        Now now{SteadyTime{1h}, WallTime{500'000h}, 1};
        const auto event = make_event(std::make_shared<const RoutingVersion>(routing), {0}, random, now.wall, one.body);
        event->sequence = 1;
        lane.offer(event, 0);
        Todo todo;
        lane.pump(now, 10, todo);
        CHECK(todo.requests.size() == (one.wait == Duration{0} ? 1 : 0));
        if (one.wait == Duration{0}) continue;
        CHECK(lane.pending().delayed == 1);
        CHECK(lane.wake_at(now) == now.steady + one.wait);
    }
}

TEST_CASE("the first attempt of what was delayed is not counted as a retry")
{
    Bench bench;
    RoutingVersion routing;
    routing.number = 1;
    routing.routes = {{"r", "t", {}, {}, 10s, {}, {}}};
    bench.routing = std::make_shared<const RoutingVersion>(routing);
    bench.offer(1);
    CHECK(bench.pump().empty());
    bench.pass(10s);
    REQUIRE(bench.pump() == Sent{{1}});
    CHECK(bench.flying.front().attempts[0].number == 1);
    bench.answer({failed});
    CHECK(bench.lane.counters().retried == 0);
    bench.pass(1h);
    REQUIRE(bench.pump() == Sent{{1}});
    bench.answer({taken});
    CHECK(bench.lane.counters().retried == 1);
}
