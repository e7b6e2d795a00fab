// Copies of dead letters: tried until taken, without holding up each other.
#include <catch2/catch.hpp>

#include <set>

#include "router/delivery/forwards.hpp"
#include "router/delivery/lane.hpp"
#include "tests/support/fake_state.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

DeadLetter letter(std::int64_t id)
{
    DeadLetter made;
    made.id = id;
    made.target = "orders";
    made.rule = "large";
    made.delivery_id = "dlv_" + std::to_string(id);
    made.body = R"({"n":)" + std::to_string(id) + "}";
    made.key = {static_cast<Sequence>(id), 0};
    made.forward_to = "graves";
    return made;
}

RetryPolicy quick()
{
    RetryPolicy policy;
    policy.max_attempts = 2;  // copies do not care
    policy.backoff_initial = 1s;
    policy.backoff_max = 8s;
    policy.jitter = false;
    return policy;
}

}  // namespace

TEST_CASE("every copy is tried once a pass, and what fails waits for the next")
{
    StateModel state;
    for (std::int64_t id = 1; id <= 10; ++id) state.dead.emplace(id, letter(id));
    Forwards forwards{4};
    const SteadyTime t0{1h};
    SteadyTime now = t0;
    std::map<std::int64_t, int> tries;
    const std::set<std::int64_t> poisoned{3, 4, 9};
    const auto run = [&](bool heal) {
        while (true) {
            if (const auto read = forwards.want_read(now)) {
                forwards.took(state.forwards("graves", read->after_id, read->limit));
                continue;
            }
            if (!forwards.ready()) return;
            const auto one = forwards.take();
            ++tries[one->id];
            const bool bad = !heal && poisoned.count(one->id) > 0;
            if (!bad) state.apply(DeadLetterForwarded{one->id});
            forwards.ended(bad, quick(), now, 0.5);
        }
    };
    run(false);
    CHECK(tries.empty());  // nobody told it to look
    forwards.look();
    run(false);
    CHECK(tries.size() == 10);
    for (const auto& [id, n] : tries) CHECK(n == 1);
    CHECK(forwards.waiting() == 3);

    Duration wait = 0s;
    for (int pass = 2; pass < 8; ++pass) {
        REQUIRE(forwards.wake_at());
        CHECK(*forwards.wake_at() - now <= 8s);
        CHECK(*forwards.wake_at() - now >= wait);
        wait = *forwards.wake_at() - now;
        now = *forwards.wake_at();
        run(false);
        for (const auto id : poisoned) CHECK(tries[id] == pass);
        CHECK(tries[1] == 1);
    }

    // A new one does not wait for those that fail.
    state.dead.emplace(11, letter(11));
    forwards.look();
    run(false);
    CHECK(tries[11] == 1);
    CHECK(tries[3] == 7);

    now = *forwards.wake_at();
    run(true);
    CHECK(forwards.waiting() == 0);
    CHECK(!forwards.wake_at());
    CHECK(state.forwards("graves", 0, 100).empty());
}

TEST_CASE("a lane sends copies with the id, rule and target of the dead letter, and buries none of them")
{
    SeededRandom random{3};
    LaneStart start;
    start.target = "graves";
    LaneLimits limits;
    Lane lane{std::move(start), limits, random};
    LaneSettings settings;
    settings.breaker.failures = 1000;
    settings.retry = quick();
    settings.dead_letter_target = "elsewhere";
    lane.configure(&settings);
    Todo todo;
    Now now{SteadyTime{1h}, WallTime{500'000h}, 0};
    lane.pump(now, 100, todo);
    REQUIRE(todo.forwards);
    lane.on_forwards(now, std::vector<DeadLetter>{letter(5)});
    for (int i = 0; i < 6; ++i) {
        todo.requests.clear();
        todo.forwards.reset();
        lane.pump(now, 100, todo);
        if (todo.forwards) {
            lane.on_forwards(now, todo.forwards->after_id < 5 ? std::vector<DeadLetter>{letter(5)} : std::vector<DeadLetter>{});
            lane.pump(now, 100, todo);
        }
        REQUIRE(todo.requests.size() == 1);
        const Request request = todo.requests.front();
        const Attempt& attempt = request.attempts.front();
        CHECK(attempt.id == "dlv_5");
        CHECK(attempt.rule == "large");
        CHECK(attempt.target == "orders");
        CHECK(attempt.event->body == R"({"n":5})");
        targets::Outcome outcome;
        outcome.verdict = i % 2 == 0 ? targets::Verdict::retry : targets::Verdict::reject;
        outcome.cause = targets::Cause::status;
        if (i == 5) outcome.verdict = targets::Verdict::delivered;
        lane.on_outcomes(now, request.ticket, {outcome}, todo);
        // The page is used up: the pass goes on reading and finds nothing more.
        todo.requests.clear();
        todo.forwards.reset();
        lane.pump(now, 100, todo);
        if (todo.forwards) lane.on_forwards(now, std::vector<DeadLetter>{});
        if (i < 5) {
            CHECK(todo.changes.empty());
            REQUIRE(lane.wake_at(now));
            now.steady = *lane.wake_at(now);
        }
    }
    REQUIRE(todo.changes.size() == 1);
    CHECK(std::get<DeadLetterForwarded>(todo.changes.front()).id == 5);
    CHECK(lane.counters().forwarded == 1);
    CHECK(lane.counters().dead_lettered == 0);
}
