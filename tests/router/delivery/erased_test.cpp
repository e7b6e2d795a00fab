// What a lane meets of an erased event it ends, and sends nothing of it: read from the journal, from a dead letter that was
// redriven, or as a copy for a dead-letter target.
#include <catch2/catch.hpp>

#include "router/delivery/lane.hpp"
#include "router/delivery/redriven.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;

namespace {

Id id_of(std::uint8_t n)
{
    Id id;
    id.bytes.fill(n);
    return id;
}

DeadLetter letter(std::int64_t id, std::uint8_t event)
{
    DeadLetter made;
    made.id = id;
    made.target = "orders";
    made.rule = "large";
    made.event = id_of(event);
    made.delivery_id = "dlv_" + std::to_string(id);
    made.body = "{}";
    made.key = {static_cast<Sequence>(id), 0};
    return made;
}

StoredEventPtr erased_event(Sequence sequence)
{
    DeadLetter of = letter(static_cast<std::int64_t>(sequence), 1);
    of.format = EventFormat::erased;
    of.body = erased_body;
    return *event_of(of);
}

struct Bench {
    SeededRandom random{3};
    Lane lane{start(), {}, random};
    LaneSettings settings;
    Todo todo;
    Now now{SteadyTime{1h}, WallTime{500'000h}, 0};

    Bench()
    {
        settings.concurrency = 1;
        settings.breaker.failures = 1000;
        lane.configure(&settings);
    }
    static LaneStart start()
    {
        LaneStart made;
        made.target = "orders";
        return made;
    }
    void pump()
    {
        todo.requests.clear();
        lane.pump(now, 100, todo);
    }
    [[nodiscard]] bool discarded() const
    {
        if (todo.changes.empty()) return false;
        const auto* ended = std::get_if<Ended>(&todo.changes.back());
        return ended != nullptr && ended->ending == Ending::discarded_operator;
    }
};

}  // namespace

TEST_CASE("an erased event that comes out of the journal is not sent")
{
    Bench bench;
    bench.now.seen = 1;
    bench.lane.offer(erased_event(1), 0);
    bench.pump();
    CHECK(bench.todo.requests.empty());
    CHECK(bench.discarded());
    CHECK(bench.lane.idle());
}

// What was moved here is of an event that the lane's own reading may come to later, or never.
TEST_CASE("a row that is over when an operator's act comes is not ended again")
{
    Bench bench;
    LaneStart behind = Bench::start();
    behind.window.behind = behind.window.seen = 100;
    Lane lane{std::move(behind), {}, bench.random};
    lane.configure(&bench.settings);
    bench.now.seen = 100;
    for (const DeliveryAct what : {DeliveryAct::discard, DeliveryAct::move}) {
        const Acted acted = lane.act(bench.now, what, {{{50, 1}, "r1", id_of(1), WallTime::max(), true}}, {}, bench.todo, "other");
        CHECK(acted.done == 0);
        CHECK(acted.again.empty());
        CHECK(bench.todo.changes.empty());
    }
    const Acted fresh = lane.act(bench.now, DeliveryAct::discard, {{{50, 1}, "r1", id_of(1)}}, {}, bench.todo);
    CHECK(fresh.done == 1);
}

TEST_CASE("a redriven letter of an erased event is not sent")
{
    Bench bench;
    RetryRow row;
    row.target = "orders";
    row.key = {1, 0};
    row.rule = "large";
    row.event = id_of(1);
    row.letter = 1;
    bench.lane.redrive(bench.now, {row}, bench.todo);
    bench.pump();
    REQUIRE(bench.todo.events.size() == 1);
    bench.lane.on_event(bench.now, bench.todo.events.front().ticket, true, erased_event(1), bench.todo);
    bench.pump();
    CHECK(bench.todo.requests.empty());
    CHECK(bench.discarded());
    CHECK(bench.lane.in_flight() == 0);
}

TEST_CASE("copies of an erased event's letters are not sent any more, those under way not again")
{
    Bench bench;
    bench.pump();
    REQUIRE(bench.todo.forwards);
    bench.todo.forwards.reset();
    bench.lane.on_forwards(bench.now, std::vector<DeadLetter>{letter(1, 1), letter(2, 1), letter(3, 2)});
    bench.pump();
    REQUIRE(bench.todo.requests.size() == 1);
    const Request sent = bench.todo.requests.front();
    CHECK(sent.attempts.front().id == "dlv_1");
    CHECK(bench.lane.drop_copies(bench.now, id_of(1), bench.todo) == 1);
    targets::Outcome outcome;  // which says nothing of the target: else it would be sent once more
    outcome.cause = targets::Cause::internal;
    outcome.verdict = targets::Verdict::retry;
    bench.lane.on_outcomes(bench.now, sent.ticket, {outcome}, bench.todo);
    bench.now.steady += 1min;
    bench.pump();
    REQUIRE(bench.todo.requests.size() == 1);
    CHECK(bench.todo.requests.front().attempts.front().id == "dlv_3");
    CHECK(bench.lane.forwards_waiting() == 0);
}
