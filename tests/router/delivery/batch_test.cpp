// Deliveries that go out together: how a batch is made up, refused, taken apart and tried again.
#include "tests/router/delivery/engine_fixture.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using targets::Cause;
using targets::Outcome;
using targets::Verdict;

namespace {

const Outcome taken{Verdict::delivered, Cause::none, 200, "HTTP 200", {}, {}, 5ms};
const Outcome refused{Verdict::reject, Cause::status, 422, "HTTP 422", "no", {}, 5ms};
const Outcome failed{Verdict::retry, Cause::status, 503, "HTTP 503", "no", {}, 5ms};

/// A lane and the requests it makes.
struct Bench {
    explicit Bench(LaneSettings chosen = {}) : settings(chosen), lane({"t", {}, 0, 0, 0, {}, 0, {}, false, {}, {}, {}, 0}, LaneLimits{}, random)
    {
        lane.configure(&settings);
    }
    void offer(std::size_t count, const std::string& body = "{}")
    {
        for (std::size_t i = 0; i < count; ++i) {
            const auto event = make_event(routing, {0}, random, now.wall, body);
            event->sequence = ++now.seen;
            lane.offer(event, 0);
            events.push_back(event);
        }
    }
    /// What goes out now, by sequence.
    std::vector<std::vector<Sequence>> pump(std::uint32_t room = 100)
    {
        lane.pump(now, room, todo, &bucket);
        while (!todo.events.empty()) {
            for (const EventRead& read : std::exchange(todo.events, {}))
                lane.on_event(now, read.ticket, true, events[read.sequence - 1], todo);
            lane.pump(now, room, todo, &bucket);
        }
        std::vector<std::vector<Sequence>> sizes;
        for (Request& request : std::exchange(todo.requests, {})) {
            std::vector<Sequence> sequences;
            for (const Attempt& attempt : request.attempts) sequences.push_back(attempt.sequence);
            sizes.push_back(sequences);
            flying.push_back(std::move(request));
        }
        return sizes;
    }
    /// Answers the oldest request.
    void answer(std::vector<Outcome> outcomes)
    {
        const Request request = std::move(flying.front());
        flying.erase(flying.begin());
        lane.on_outcomes(now, request.ticket, std::move(outcomes), todo);
    }
    void pass(Duration time)
    {
        now.steady += time;
        now.wall += time;
    }
    template <class Change>
    std::vector<Change> changes() const
    {
        std::vector<Change> found;
        for (const auto& change : todo.changes)
            if (const auto* one = std::get_if<Change>(&change)) found.push_back(*one);
        return found;
    }

    SeededRandom random{7};
    LaneSettings settings;
    RoutingVersionPtr routing = version(1, {"t"});
    Now now{SteadyTime{1h}, WallTime{500'000h}, 0};
    std::vector<StoredEventPtr> events;
    TokenBucket bucket;
    Lane lane;
    Todo todo;
    std::vector<Request> flying;
};

LaneSettings batches(std::uint32_t max_events, std::size_t max_bytes = 1U << 20, Duration max_wait = Duration{0})
{
    LaneSettings settings;
    settings.batch = {max_events, max_bytes, max_wait};
    settings.concurrency = 2;
    return settings;
}

using Sent = std::vector<std::vector<Sequence>>;

}  // namespace

TEST_CASE("what is due goes out together, and concurrency counts requests")
{
    Bench bench{batches(3)};
    bench.offer(8);
    CHECK(bench.pump() == Sent{{1, 2, 3}, {4, 5, 6}});
    CHECK(bench.flying[0].batched);
    CHECK(bench.pump().empty());
    bench.answer({taken});
    CHECK(bench.pump() == Sent{{7, 8}});  // nothing more to wait for
    CHECK(bench.lane.counters().delivered == 3);
    CHECK(bench.lane.counters().attempts == 3);
    CHECK(bench.lane.counters().requests == 1);
    CHECK(bench.changes<Ended>().size() == 3);
}

TEST_CASE("a batch holds no more than max_bytes, and a larger event goes alone")
{
    LaneSettings settings = batches(10, 100);
    settings.concurrency = 10;
    Bench bench{settings};
    bench.offer(3, "{\"a\":\"" + std::string(32, 'x') + "\"}");  // 40 bytes
    bench.offer(1, "{\"a\":\"" + std::string(200, 'x') + "\"}");
    bench.offer(2);
    CHECK(bench.pump() == Sent{{1, 2}, {3}, {4}, {5, 6}});
}

TEST_CASE("retries whose sizes are known late are cut to max_bytes")
{
    LaneSettings settings = batches(8, 100);
    settings.retry.jitter = false;
    Bench bench{settings};
    for (int i = 0; i < 4; ++i) {  // each fails in a request of its own
        bench.offer(1, "{\"a\":\"" + std::string(32, 'x') + "\"}");
        REQUIRE(bench.pump().size() == 1);
        bench.answer({failed});
    }
    bench.pass(5s);
    CHECK(bench.pump() == Sent{{1, 2}, {3, 4}});
}

TEST_CASE("the first waits for company for max_wait, and a full batch for nobody")
{
    Bench bench{batches(3, 1U << 20, 100ms)};
    bench.offer(1);
    CHECK(bench.pump().empty());
    CHECK(bench.lane.wake_at(bench.now) == bench.now.steady + 100ms);
    CHECK(bench.lane.pending().in_flight == 1);
    bench.pass(60ms);
    bench.offer(1);
    CHECK(bench.pump().empty());
    bench.pass(40ms);
    CHECK(bench.pump() == Sent{{1, 2}});
    bench.offer(3);
    CHECK(bench.pump() == Sent{{3, 4, 5}});
}

TEST_CASE("a batch that is refused as a whole is bisected, and only what is to blame ends there")
{
    Bench bench{batches(8)};
    bench.offer(8);
    Sent all;
    const Sequence poison = 6;
    for (Sent sent = bench.pump(); !sent.empty() || !bench.flying.empty(); sent = bench.pump()) {
        all.insert(all.end(), sent.begin(), sent.end());
        const auto& attempts = bench.flying.front().attempts;
        const bool bad = std::any_of(attempts.begin(), attempts.end(), [](const Attempt& one) { return one.sequence == poison; });
        bench.answer({bad ? refused : taken});
    }
    CHECK(all == Sent{{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4}, {5, 6, 7, 8}, {5, 6}, {7, 8}, {5}, {6}});
    CHECK(bench.lane.counters().bisected == 3);
    CHECK(bench.lane.counters().delivered == 7);
    CHECK(bench.lane.counters().failed == 1);
    CHECK(bench.changes<Retrying>().empty());
    for (const Ended& ended : bench.changes<Ended>()) CHECK((ended.ending == Ending::dead_lettered) == (ended.key.sequence == poison));
}

TEST_CASE("a failure that may pass is each delivery's own, and they are due together in ever smaller batches")
{
    LaneSettings settings = batches(8);
    settings.concurrency = 10;
    settings.breaker.failures = 1000;
    Bench bench{settings};
    bench.offer(8);
    REQUIRE(bench.pump().size() == 1);
    bench.answer({failed});
    auto rows = bench.changes<Retrying>();
    REQUIRE(rows.size() == 8);
    for (const Retrying& one : rows) {
        CHECK(one.row.attempts == 1);
        CHECK(one.row.due == rows.front().row.due);
        CHECK(one.attempt->status == 503);
    }
    bench.pass(2s);
    CHECK(bench.pump() == Sent{{1, 2, 3, 4}, {5, 6, 7, 8}});
    bench.answer({failed});
    bench.answer({taken});
    bench.pass(5s);
    CHECK(bench.pump() == Sent{{1, 2}, {3, 4}});
    bench.answer({failed});
    bench.answer({failed});
    bench.pass(10s);
    bench.offer(2);
    const Sent last = bench.pump();
    for (const Sequence sequence : {1, 2, 3, 4}) CHECK(std::count(last.begin(), last.end(), std::vector{Sequence(sequence)}) == 1);
}

TEST_CASE("each delivery goes on by its own outcome where the target names them")
{
    Bench bench{batches(4)};
    bench.offer(4);
    REQUIRE(bench.pump().size() == 1);
    bench.answer({taken, failed, refused, taken});
    CHECK(bench.lane.counters().delivered == 2);
    CHECK(bench.lane.counters().bisected == 0);
    REQUIRE(bench.changes<Retrying>().size() == 1);
    CHECK(bench.changes<Retrying>()[0].row.key.sequence == 2);
    CHECK(bench.lane.consecutive_failures() == 0);  // it answers
    CHECK(bench.lane.pending().sum() == 1);
}

TEST_CASE("the breaker counts requests, and one delivery probes")
{
    LaneSettings settings = batches(5);
    settings.breaker.failures = 2;
    Bench bench{settings};
    bench.offer(20);
    REQUIRE(bench.pump().size() == 2);
    bench.answer({failed});
    CHECK(bench.lane.breaker() == Breaker::closed);
    bench.answer({failed});
    CHECK(bench.lane.breaker() == Breaker::open);
    CHECK(bench.pump().empty());
    bench.pass(1s);
    Sent probe = bench.pump();
    REQUIRE(probe.size() == 1);
    CHECK(probe.front().size() == 1);
    bench.answer({taken});
    CHECK(bench.pump().front().size() > 1);
}

TEST_CASE("the rate limit counts deliveries, those of a bisected batch again")
{
    Bench bench{batches(4)};
    bench.bucket.configure({1.0, 4});
    bench.offer(8);
    CHECK(bench.pump() == Sent{{1, 2, 3, 4}});
    bench.answer({refused});
    CHECK(bench.pump().empty());
    bench.pass(1s);
    CHECK(bench.pump().empty());  // one of two
    CHECK(bench.lane.wake_at(bench.now) == bench.now.steady + 1s);
    bench.pass(1s);
    CHECK(bench.pump() == Sent{{1, 2}});
    bench.pass(2s);
    CHECK(bench.pump() == Sent{{3, 4}});
}

TEST_CASE("what waits for company when its target is paused, taken away or stopped was never started")
{
    for (const std::string how : {"paused", "taken away", "stopped"}) DYNAMIC_SECTION(how)
    {
        Bench bench{batches(4, 1U << 20, 10s)};
        bench.offer(3);
        CHECK(bench.pump().empty());
        CHECK(bench.lane.in_flight() == 3);
        if (how == "paused") bench.lane.pause("tired", bench.todo);
        if (how == "taken away") bench.lane.configure(nullptr);
        if (how == "stopped") bench.lane.stop(bench.now, bench.todo);
        else CHECK(bench.pump().empty());
        CHECK(bench.lane.in_flight() == 0);
        CHECK(bench.lane.pending().waiting == 3);
        CHECK(bench.changes<Ended>().empty());
    }
}

TEST_CASE("a strict lane sends one delivery at a time")
{
    LaneSettings settings = batches(4);
    settings.order.order = Order::strict;
    Bench bench{settings};
    bench.offer(3);
    CHECK(bench.pump() == Sent{{1}});
    CHECK(bench.pump().empty());
}

TEST_CASE("a batching target gets every event but the poisoned ones, in few requests")
{
    const auto a = std::make_shared<Receiver>();
    a->poison = R"({"bad":1})";
    Life life;
    TargetSpec one = spec("a", a);
    one.batch = {20, 1U << 20, Duration{0}};
    one.concurrency = 2;
    life.start({one});
    const auto routing = version(1, {"a"});
    a->delay_ms = 20;  // a backlog gathers
    send(life, routing, {0}, 300);
    std::vector<std::shared_ptr<StoredEvent>> bad;
    for (int i = 0; i < 3; ++i) bad.push_back(make_event(routing, {0}, life.random, life.clock.wall(), a->poison));
    life.journal.commit(std::move(bad));
    send(life, routing, {0}, 300);
    REQUIRE(eventually([&] { return a->distinct() == 600 && life.settled(); }));
    const TargetStatus status = life.status("a");
    CHECK(status.counters.delivered == 600);
    CHECK(status.counters.dead_lettered == 3);
    CHECK(a->largest == 20);
    CHECK(a->requests < 200);
    CHECK(a->most_in_flight <= 2);
    check_model(life.state.durable());
}

TEST_CASE("batches are begun and ended by a reload while deliveries wait")
{
    const auto a = std::make_shared<Receiver>();
    a->delay_ms = 5;
    Life life;
    TargetSpec single = spec("a", a), batched = single;
    batched.batch = {10, 1U << 20, 50ms};
    life.start({single});
    const auto routing = version(1, {"a"});
    for (int round = 0; round < 6; ++round) {
        send(life, routing, {0}, 100);
        REQUIRE(life.replace({round % 2 == 0 ? batched : single}).has_value());
    }
    REQUIRE(life.replace({}).has_value());  // what waits for company is an orphan's
    REQUIRE(eventually([&] { return life.status("a").in_flight == 0; }));
    REQUIRE(life.replace({batched}).has_value());
    REQUIRE(eventually([&] { return a->distinct() == 600 && life.settled(); }));
    CHECK(a->made <= 2);
    check_model(life.state.durable());
}

// A bug once: a retry that goes with fewer others closed the batch and gave up its turn, again and again.
TEST_CASE("a retry that failed often has its turn beside a backlog, and the backlog goes on in batches")
{
    LaneSettings settings = batches(2);
    settings.concurrency = 1;
    settings.retry.backoff_initial = settings.retry.backoff_max = 1s;
    settings.retry.jitter = false;
    Bench bench{settings};
    bench.offer(1);
    std::size_t most = 0, came = 0;
    for (int request = 0; request < 20; ++request) {
        const Sent sent = bench.pump();
        REQUIRE(sent.size() == 1);
        most = std::max(most, sent[0].size());
        const bool often = sent[0] == std::vector<Sequence>{1};
        came += often ? 1 : 0;
        bench.answer({often ? failed : taken});  // it is due again before the next request
        bench.pass(5s);
        if (request == 0) bench.offer(60);
    }
    CHECK(came >= 5);
    CHECK(most == 2);
}

TEST_CASE("what is discarded while its batch gathers is not sent")
{
    Bench bench{batches(10, 1U << 20, 10s)};
    bench.offer(3);
    REQUIRE(bench.pump().empty());
    const Acted acted = bench.lane.act(bench.now, DeliveryAct::discard, {{{2, 0}, "r1"}}, {}, bench.todo);
    CHECK(acted.done == 1);
    CHECK(acted.in_flight == 0);
    bench.pass(10s);
    CHECK(bench.pump() == Sent{{1, 3}});
    bench.answer({taken});
    CHECK(bench.lane.counters().delivered == 2);
    CHECK(bench.lane.in_flight() == 0);
    CHECK(bench.changes<Ended>().size() == 3);
}

TEST_CASE("batches that a reload forbids are made up anew")
{
    Bench bench{batches(10, 1U << 20, 10s)};
    bench.offer(5);
    REQUIRE(bench.pump().empty());
    LaneSettings single;
    single.concurrency = 10;
    bench.lane.configure(&single);
    CHECK(bench.pump() == Sent{{1}, {2}, {3}, {4}, {5}});
    CHECK_FALSE(bench.flying[0].batched);
}
