// A target's budget: when the journal is asked, what ends, whom the gate stops; and forecasts.
#include "router/delivery/forecast.hpp"
#include "tests/router/delivery/lane_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

LaneSettings within(std::uint64_t bytes, Overflow overflow = Overflow::dead_letter_oldest)
{
    LaneSettings settings;
    settings.concurrency = 2;
    settings.budget.bytes = bytes;
    settings.budget.overflow = overflow;
    settings.budget.gate = overflow == Overflow::refuse_new ? std::make_shared<Gate>() : nullptr;
    return settings;
}

const std::string kilobyte = "\"" + std::string(998, 'x') + "\"";

std::vector<Sequence> overflowed(const Bench& bench)
{
    std::vector<Sequence> found;
    for (const Ended& one : bench.changes<Ended>())
        if (one.dead_letter && one.dead_letter->reason == "overflow") found.push_back(one.key.sequence);
    return found;
}

/// Everything before is durable, as the state says.
void flush(Bench& bench)
{
    bench.lane.on_durable(bench.lane.take_unflushed());
}

}  // namespace

TEST_CASE("the journal is asked when more than the budget may wait, once a second")
{
    Bench bench{within(10'000)};
    bench.lane.pause("test", bench.todo);
    bench.offer(3, kilobyte);
    bench.pump();
    REQUIRE(bench.todo.budget);  // nothing was known
    CHECK(bench.todo.budget->limit == 10'000);
    CHECK(bench.todo.budget->after.sequence == 0);
    bench.todo.budget.reset();
    bench.lane.on_excess(bench.now, Excess{0, 3'000, 0}, bench.todo);
    CHECK(bench.lane.budget().used() == 3'000);
    bench.pass(1h);
    bench.offer(1, "\"" + std::string(500, 'x') + "\"");
    bench.pump();
    CHECK_FALSE(bench.todo.budget);
    bench.offer(1, "\"" + std::string(500, 'x') + "\"");  // more than a sixteenth of the budget came
    bench.pump();
    REQUIRE(bench.todo.budget);
    bench.todo.budget.reset();
    bench.lane.on_excess(bench.now, Excess{0, 4'000, 0}, bench.todo);
    CHECK(bench.lane.budget().used() == 4'000);
    bench.pass(1s);
    bench.offer(7, kilobyte);
    bench.pump();
    REQUIRE(bench.todo.budget);
    bench.todo.budget.reset();
    bench.offer(1, kilobyte);  // came while the journal was asked, and is not in its answer
    bench.lane.on_excess(bench.now, Excess{0, 11'000, 1}, bench.todo);
    CHECK(bench.lane.budget().used() == 12'000);
    CHECK(bench.lane.budget().over());
    bench.pump();
    CHECK_FALSE(bench.todo.budget);
    CHECK(bench.lane.wake_at(bench.now) == bench.now.steady + 1s);
    bench.pass(1s);
    bench.pump();
    CHECK(bench.todo.budget);
}

TEST_CASE("the oldest beyond the budget end in dead letters, paused or not")
{
    const bool paused = GENERATE(true, false);
    Bench bench{within(2'000)};
    if (paused) bench.lane.pause("test", bench.todo);
    else bench.settings.concurrency = 1;
    bench.lane.configure(&bench.settings);
    bench.offer(6, kilobyte);
    bench.pump(1);
    bench.lane.on_excess(bench.now, Excess{0, 6'000, 4}, bench.todo);
    bench.pump(1);
    const std::vector<Sequence> ended = paused ? std::vector<Sequence>{1, 2, 3, 4} : std::vector<Sequence>{2, 3, 4};
    CHECK(overflowed(bench) == ended);  // one was on its way
    CHECK(bench.lane.counters().overflowed == ended.size());
    const auto letter = *bench.changes<Ended>().front().dead_letter;
    CHECK(letter.last_detail == "more than the budget of 2.0 KiB waited for the target");
    CHECK(letter.attempts == 0);
    CHECK(bench.lane.pending().sum() == 6 - ended.size());
    flush(bench);
    bench.pass(1s);
    bench.pump(1);
    REQUIRE(bench.todo.budget);
    CHECK(bench.todo.budget->after.sequence == (paused ? 4 : 0));
    bench.lane.on_excess(bench.now, Excess{0, 2'000, 0}, bench.todo);
    CHECK_FALSE(bench.lane.budget().over());
    CHECK(overflowed(bench) == ended);
}

TEST_CASE("a window of dead letters at a time ends: the state comes first")
{
    Bench bench{within(2'000)};
    bench.lane.pause("test", bench.todo);
    const std::string large = "\"" + std::string(1U << 20, 'x') + "\"";
    bench.offer(7, large);
    bench.pump();
    bench.lane.on_excess(bench.now, Excess{0, 7U << 20, 7}, bench.todo);
    bench.pump();
    CHECK(overflowed(bench).size() == 7);
    bench.offer(7, large);
    bench.pass(1s);
    bench.pump();
    bench.lane.on_excess(bench.now, Excess{0, 7U << 20, 14}, bench.todo);
    bench.pump();
    CHECK(overflowed(bench).size() == 8);  // 8 MiB are on their way
    flush(bench);
    bench.pump();
    CHECK(overflowed(bench).size() == 14);
}

TEST_CASE("rows that are too much alone end as well")
{
    LaneSettings settings = within(2'500);
    settings.concurrency = 4;
    settings.retry.backoff_initial = settings.retry.backoff_max = 1h;
    settings.retry.jitter = false;
    Bench bench{settings};
    bench.offer(4, kilobyte);
    CHECK(bench.pump().size() == 4);
    bench.todo.budget.reset();
    bench.lane.on_excess(bench.now, Excess{0, 4'000, 2}, bench.todo);  // under way: they end as they end
    for (int i = 0; i < 4; ++i) bench.answer({failed});
    CHECK(bench.lane.pending().retry == 4);
    bench.pass(1s);
    bench.pump();
    REQUIRE(bench.todo.budget);
    CHECK(bench.todo.budget->rows == 4);
    bench.lane.on_excess(bench.now, Excess{4'000, 0, 0}, bench.todo);
    bench.pump();
    CHECK(overflowed(bench) == std::vector<Sequence>{1, 2});
    CHECK(bench.lane.pending().retry == 2);
    CHECK(bench.lane.in_flight() == 0);
    CHECK(bench.changes<Ended>().front().dead_letter->attempts == 1);
    CHECK_FALSE(bench.changes<Ended>().front().attempt);  // it was none
}

TEST_CASE("a parked key's newer deliveries end where they would become rows, and a held key stays held")
{
    LaneSettings settings = within(2'000);
    settings.order.order = Order::key;
    settings.order.key = "k";
    settings.order.hold = GENERATE(false, true);
    settings.retry.backoff_initial = settings.retry.backoff_max = 1h;
    settings.retry.jitter = false;
    Bench bench{settings};
    bench.offer(1, R"({"k":1})");
    bench.pump();
    bench.answer({failed});
    bench.lane.pause("test", bench.todo);
    bench.offer(2, R"({"k":1})");
    bench.offer(1, R"({"k":2})");
    bench.pump();
    bench.lane.on_excess(bench.now, Excess{0, 9'000, 4}, bench.todo);
    bench.pump();
    CHECK(overflowed(bench) == std::vector<Sequence>{2, 3, 4});
    CHECK(bench.lane.pending().parked == 0);
    CHECK(bench.lane.pending().retry == 1);
    CHECK(bench.lane.keys().on_hold() == (settings.order.hold ? 2 : 0));
}

TEST_CASE("rows that cannot end before their turn take nothing else along")
{
    LaneSettings settings = within(2'000);
    settings.order.order = Order::key;
    settings.order.key = "k";
    settings.retry.backoff_initial = settings.retry.backoff_max = 1h;
    settings.retry.jitter = false;
    Bench bench{settings};
    bench.offer(1, R"({"k":1})");
    bench.pump();
    bench.answer({failed});
    bench.offer(3, R"({"k":1})");  // behind it, as rows
    bench.pump();
    CHECK(bench.lane.pending().parked == 3);
    bench.lane.on_excess(bench.now, Excess{12'000, 100, 0}, bench.todo);  // 3,000 each
    bench.offer(2, R"({"k":1})");
    bench.offer(1, R"({"k":2})");
    CHECK(bench.pump().size() == 1);
    CHECK(overflowed(bench) == std::vector<Sequence>{5, 6, 1});  // what would have joined them, and what fits no more
    CHECK(bench.lane.pending().parked == 3);
    CHECK(bench.lane.in_flight() == 2);  // of the other key, and the next of this one, which is being read
}

TEST_CASE("what settled above the position does not count, and an answer of before a reload is not used")
{
    Bench bench{within(2'000)};
    bench.offer(2, kilobyte);
    CHECK(bench.pump().size() == 2);
    bench.flying.push_back(std::move(bench.flying.front()));
    bench.flying.erase(bench.flying.begin());
    bench.answer({taken});  // the second; the first still stands before it
    bench.todo.budget.reset();
    bench.lane.on_excess(bench.now, Excess{0, 2'000, 0}, bench.todo);
    bench.offer(1, kilobyte);
    bench.pass(1s);
    bench.pump();
    REQUIRE(bench.todo.budget);
    CHECK(bench.todo.budget->limit == 2'000);
    CHECK(bench.todo.budget->settled == std::vector<DeliveryKey>{{2, 0}});
    LaneSettings larger = within(20'000);
    bench.lane.configure(&larger);
    bench.lane.on_excess(bench.now, Excess{0, 3'000, 1}, bench.todo);
    CHECK(bench.lane.budget().over_through() == 0);
    CHECK_FALSE(bench.lane.budget().over());
}

TEST_CASE("refuse_new closes the gate while more than the budget waits, also over a reload")
{
    Bench bench{within(2'000, Overflow::refuse_new)};
    Gate& gate = *bench.settings.budget.gate;
    bench.lane.pause("test", bench.todo);
    bench.offer(3, kilobyte);
    bench.pump();
    bench.lane.on_excess(bench.now, Excess{0, 3'000, 1}, bench.todo);
    bench.pump();
    CHECK(gate.closed);
    CHECK(overflowed(bench).empty());
    const LaneSettings reloaded = within(2'000, Overflow::refuse_new);
    bench.lane.configure(&reloaded);
    CHECK(reloaded.budget.gate->closed);
    bench.lane.resume(bench.todo);
    CHECK(bench.pump().size() == 2);
    bench.answer({taken});
    bench.answer({taken});
    CHECK(bench.pump().size() == 1);
    bench.pass(1s);
    bench.pump();
    bench.answer({taken});
    bench.lane.on_excess(bench.now, Excess{0, 1'000, 0}, bench.todo);
    CHECK_FALSE(reloaded.budget.gate->closed);
    const auto notes = bench.todo.notes;
    CHECK(std::count_if(notes.begin(), notes.end(), [](const Note& note) { return note.what == Note::What::within_budget; }) == 1);
}

TEST_CASE("an empty lane opens its gate without a question, and a failed question is asked again")
{
    Bench bench{within(2'000, Overflow::refuse_new)};
    bench.offer(2, kilobyte);
    CHECK(bench.pump().size() == 2);
    bench.todo.budget.reset();
    bench.lane.on_excess(bench.now, fail(Errc::io, "cannot be read now"), bench.todo);
    bench.pump();
    CHECK_FALSE(bench.todo.budget);
    bench.pass(1s);
    bench.pump();
    REQUIRE(bench.todo.budget);
    bench.lane.on_excess(bench.now, Excess{0, 3'000, 1}, bench.todo);
    CHECK(bench.settings.budget.gate->closed);
    bench.answer({taken});
    bench.answer({taken});
    bench.pump();
    CHECK_FALSE(bench.settings.budget.gate->closed);
}

TEST_CASE("a pace is that of the last half minute")
{
    Pace pace;
    CHECK_FALSE(pace.rates(SteadyTime{0s}, 0, 0));
    std::uint64_t came = 0, pending = 1000;
    SteadyTime now{0s};
    for (int second = 0; second < 120; ++second, now += 1s) {
        pace.note(now, came, pending);
        came += second < 60 ? 1000 : 10;  // of long ago
        pending -= second < 60 ? 0 : 5;
    }
    const auto rates = pace.rates(now, came, pending);
    REQUIRE(rates);
    CHECK(rates->came == Approx(10));
    CHECK(rates->ended == Approx(15));
    CHECK_FALSE(Pace{}.rates(now, 0, 0));
}

TEST_CASE("a forecast says when the backlog is gone, or what gives it up first")
{
    CHECK(forecast({}).drains_in == Duration{0});
    Outlook outlook{.pending = 100, .rates = Rates{1, 3}, .max_age = 1h, .expiry = std::nullopt, .used = 500, .budget = 1000, .mean = 5};
    CHECK(forecast(outlook).drains_in == Duration{50s});
    CHECK(forecast(outlook).given_up_in == Duration{1h});
    CHECK(forecast(outlook).given_up_by == GivenUpBy::max_age);
    outlook.rates = Rates{3, 1};  // 2 more of 5 bytes each a second
    CHECK_FALSE(forecast(outlook).drains_in);
    CHECK(forecast(outlook).given_up_in == Duration{50s});
    CHECK(forecast(outlook).given_up_by == GivenUpBy::budget);
    outlook.expiry = 20s;
    CHECK(forecast(outlook).given_up_by == GivenUpBy::expire_after);
    outlook.used = 1000;
    CHECK(forecast(outlook).given_up_in == Duration{0});
    CHECK(forecast(outlook).given_up_by == GivenUpBy::budget);
    outlook.rates.reset();
    outlook.budget = 0;
    outlook.max_age = -5s;  // overdue
    CHECK(forecast(outlook).given_up_in == Duration{0});
    CHECK_FALSE(forecast(outlook).drains_in);
}
