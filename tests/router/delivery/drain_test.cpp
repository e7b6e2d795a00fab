// Targets that drain: what was accepted before goes out, what comes later waits, and then they are paused.
#include "tests/router/delivery/lane_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

std::uint64_t drain(Life& life, const std::string& target)
{
    std::promise<std::uint64_t> left;
    REQUIRE(life.engine->drain(target, "a test", [&left](Result<std::uint64_t> count) { left.set_value(*count); }));
    return left.get_future().get();
}

}  // namespace

TEST_CASE("a drain sends what was accepted before, however far behind and in retry, and then pauses")
{
    const auto far = std::make_shared<Receiver>();
    far->mode = Mode::fail;
    Life life;
    TargetSpec one = spec("t", far);
    one.breaker.failures = 100'000;
    life.start({one});
    const auto routing = version(1, {"t"});
    send(life, routing, {0}, 50);
    REQUIRE(eventually([&] { return far->attempts > 50; }));
    REQUIRE(life.engine->pause("t", "so that a backlog gathers"));
    send(life, routing, {0}, 250);  // more than a window
    REQUIRE(eventually([&] { return life.status("t").pending.sum() == 300; }));
    CHECK(drain(life, "t") == 300);  // which ends the pause
    CHECK(life.state.durable().targets.at("t").drain == 300);
    send(life, routing, {0}, 200);
    REQUIRE(eventually([&] { return life.status("t").pending.sum() == 500; }));
    const TargetStatus draining = life.status("t");
    CHECK(draining.state != TargetState::paused);
    REQUIRE(draining.drain);
    CHECK(draining.drain->left == 300);
    CHECK(draining.drain->reason == "a test");
    far->mode = Mode::ok;
    REQUIRE(eventually([&] {
        const TargetStatus now = life.status("t");
        if (now.drain) CHECK(now.drain->left == now.pending.sum() - 200);
        return now.state == TargetState::paused;
    }));
    CHECK(life.status("t").paused_reason == "drained: a test");
    CHECK_FALSE(life.status("t").drain);
    CHECK(life.status("t").pending.sum() == 200);
    for (const Sequence sequence : far->order()) CHECK(sequence <= 300);
    CHECK(far->distinct() == 300);
    REQUIRE(life.engine->resume("t"));
    REQUIRE(eventually([&] { return life.settled(); }));
    CHECK(far->distinct() == 500);
    check_model(life.state.durable());
}

TEST_CASE("a target that nothing is left of is looked at until its thread has come to the mark")
{
    Bench bench;
    bench.now.seen = 3;
    bench.lane.drain(5, "a test", bench.todo);  // two commits are on their way to its thread, neither for this target
    bench.pump();
    CHECK(bench.lane.paused().empty());
    const auto wake = bench.lane.wake_at(bench.now);
    REQUIRE(wake);
    bench.now.seen = 5;
    bench.pass(*wake - bench.now.steady);
    bench.pump();
    CHECK(bench.lane.paused() == "drained: a test");
}

TEST_CASE("a drain goes on after a restart, and one that nothing is left of pauses at once")
{
    const auto far = std::make_shared<Receiver>();
    far->mode = Mode::hang;
    StateModel model;
    EventLog log;
    {
        Life life;
        life.start({spec("t", far), spec("idle", far)});
        send(life, version(1, {"t"}), {0}, 150);
        REQUIRE(eventually([&] { return far->attempts == 8 && life.status("t").pending.sum() == 150; }));
        CHECK(drain(life, "t") == 150);
        CHECK(drain(life, "idle") == 0);
        CHECK(life.status("idle").state == TargetState::paused);
        send(life, version(1, {"t"}), {0}, 150);
        REQUIRE(eventually([&] { return life.status("t").pending.sum() == 300; }));
        CHECK(life.status("t").drain->left == 150);
        life.stop(10ms);
        model = life.state.durable();
        log = life.journal.contents();
    }
    far->mode = Mode::hang;
    Life next{log, model};
    next.start({spec("t", far), spec("idle", far)});
    CHECK(next.status("idle").paused_reason == "drained: a test");
    REQUIRE(next.status("t").drain);
    CHECK(next.status("t").drain->left == 150);
    CHECK(next.status("t").drain->reason == "a test");
    next.stop(10ms);
    model = next.state.durable();
    far->mode = Mode::ok;
    Life last{log, model};
    last.start({spec("t", far), spec("idle", far)});
    REQUIRE(eventually([&] { return last.status("t").state == TargetState::paused; }));
    CHECK(far->distinct() == 150);
    CHECK(last.status("t").pending.sum() == 150);
    CHECK(eventually([&] { return last.state.durable().targets.at("t").drain == 0; }));
}

TEST_CASE("a pause or a resume ends a drain")
{
    const bool pause = GENERATE(true, false);
    const auto far = std::make_shared<Receiver>();
    far->mode = Mode::hang;
    Life life;
    life.start({spec("t", far)});
    send(life, version(1, {"t"}), {0}, 4);
    REQUIRE(eventually([&] { return far->attempts == 4; }));
    CHECK(drain(life, "t") == 4);
    send(life, version(1, {"t"}), {0}, 4);
    REQUIRE(eventually([&] { return life.status("t").pending.sum() == 8; }));
    CHECK(far->attempts == 4);
    if (pause) REQUIRE(life.engine->pause("t", "enough"));
    else REQUIRE(life.engine->resume("t"));
    REQUIRE(eventually([&] { return life.state.durable().targets.at("t").drain == 0; }));
    CHECK_FALSE(life.status("t").drain);
    CHECK(life.status("t").paused_reason == (pause ? "enough" : ""));
    if (!pause) REQUIRE(eventually([&] { return far->attempts == 8; }));
}

TEST_CASE("keys that wait behind a failed delivery are drained as well")
{
    const auto far = std::make_shared<Receiver>();
    far->mode = Mode::fail;
    Life life;
    TargetSpec one = spec("t", far);
    one.order.order = Order::key;
    one.order.key = "$.n";
    life.start({one});
    send(life, version(1, {"t"}), {0}, 40);  // of one key
    REQUIRE(eventually([&] { return life.status("t").pending.parked > 0; }));
    REQUIRE(eventually([&] { return life.status("t").pending.sum() == 40; }));
    CHECK(drain(life, "t") == 40);
    send(life, version(1, {"t"}), {0}, 40);
    far->mode = Mode::ok;
    REQUIRE(eventually([&] { return life.status("t").state == TargetState::paused; }));
    CHECK(far->distinct() == 40);
    CHECK(life.status("t").pending.sum() == 40);
}
