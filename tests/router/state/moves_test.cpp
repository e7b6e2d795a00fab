// Deliveries that go from one target to another, and targets that drain: atomic, counted, and there after a restart.
#include <algorithm>

#include "tests/router/state/state_fixture.hpp"
#include "tests/support/process.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

Moved moved(std::string from, std::string to, DeliveryKey key, std::int64_t now, std::uint32_t earlier = 0)
{
    Moved change;
    change.from = std::move(from);
    change.row.target = std::move(to);
    change.row.key = key;
    change.row.rule = "rule";
    change.row.event = id_of(7);
    change.row.due = change.row.received = wall(now);
    change.row.earlier = earlier;
    change.row.routed_to = change.from;
    return change;
}

std::vector<AttemptRecord> trail(State& state, std::int64_t letter)
{
    std::promise<std::vector<AttemptRecord>> found;
    state.dead_letter(letter, [&found](const Result<DeadLetter>&, std::vector<AttemptRecord> attempts) {
        found.set_value(std::move(attempts));
    });
    return found.get_future().get();
}

}  // namespace

TEST_CASE("a moved delivery is one target's at a time, keeps its attempts, and both ledger rows say so")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    Moved fresh = moved("a", "b", {11, 0}, 100);
    fresh.fresh = true;
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "webhook", 0}, Routed{20, {{{"rule", "a"}, 3}}},
                         retrying("a", {10, 0}, 50, 1), moved("a", "b", {10, 0}, 100, 1), fresh, CursorMoved{"a", 11, {}}})
                .has_value());
    CHECK(due(*state, "a", 1000).empty());
    auto rows = due(*state, "b", 1000);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].routed_to == "a");
    CHECK(rows[0].addressee() == "a");
    CHECK(rows[0].earlier == 1);
    CHECK_FALSE(rows[0].delayed());
    CHECK(rows[1].moved_untried());
    state->stop();

    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->retries == 0);
    CHECK(position(state->snapshot(), "b")->retries == 2);
    CHECK(position(state->snapshot(), "b")->delayed == 0);
    const auto a = row_of(state->snapshot().ledger, "rule", "a"), b = row_of(state->snapshot().ledger, "rule", "b");
    CHECK(a->ended == std::map<Ending, std::uint64_t>{{Ending::moved, 2}});
    CHECK(a->moved_in == 0);
    CHECK(b->moved_in == 2);
    CHECK(b->routed == 0);
    const auto keys = wait<std::vector<DeliveryKey>>([&](auto done) { state->retry_keys(1, 20, "", done); });
    CHECK(*keys == std::vector<DeliveryKey>{{10, 0}, {11, 0}});
    // A target whose position is lost must not send what it gave, and has nothing of the one that it took.
    const auto routed_to = [&](const char* target) {
        return *wait<std::vector<DeliveryKey>>([&](auto done) { state->retry_keys(1, 20, target, done); });
    };
    CHECK(routed_to("a") == std::vector<DeliveryKey>{{10, 0}, {11, 0}});
    CHECK(routed_to("b").empty());
    CHECK(routed_to("never heard of").empty());

    // It dies there, and a redrive knows whose it was.
    Ended death = dead("b", {10, 0});
    death.dead_letter->routed_to = "a";
    death.dead_letter->attempts = 2;
    REQUIRE(put(*state, {death}).has_value());
    CHECK(trail(*state, 1).size() == 2);
    const auto page = wait<DeadLetterPage>([&](auto done) { state->dead_letters({}, done); });
    REQUIRE(page->letters.size() == 1);
    CHECK(page->letters[0].addressee() == "a");

    // And back.
    Moved back = moved("b", "a", {11, 0}, 200);
    back.row.routed_to.clear();
    REQUIRE(put(*state, {back}).has_value());
    CHECK(due(*state, "b", 1000).empty());
    CHECK(due(*state, "a", 1000).size() == 1);
}

TEST_CASE("of a redriven delivery the letter that keeps the body moves along, and a move that comes late changes nothing")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    Moved late = moved("a", "b", {10, 0}, 100);
    late.row.letter = 1;
    RetryRow again = late.row;
    again.target = "a";
    again.routed_to.clear();
    REQUIRE(put(*state, {dead("a", {10, 0}), Redriven{again}, late}).has_value());
    CHECK(due(*state, "a", 1000).empty());
    CHECK(due(*state, "b", 1000).size() == 1);
    REQUIRE(put(*state, {ended("b", {10, 0})}).has_value());
    CHECK(wait<DeadLetterPage>([&](auto done) { state->dead_letters({}, done); })->letters.empty());
    REQUIRE(put(*state, {late}).has_value());
    CHECK(due(*state, "b", 1000).empty());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(row_of(state->snapshot().ledger, "rule", "b")->moved_in == 1);
}

TEST_CASE("a target that drains does so after a restart, until it is paused or resumed")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "webhook", 0}, TargetPaused{"a", "410"},
                         TargetDraining{"a", 70, "why"}, TargetDraining{"b", 71, "why"}, TargetPaused{"b", "drained"}})
                .has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->drain_through == 70);
    CHECK(position(state->snapshot(), "a")->drain_reason == "why");
    CHECK(position(state->snapshot(), "a")->paused.empty());
    CHECK(position(state->snapshot(), "b")->drain_through == 0);
    CHECK(position(state->snapshot(), "b")->paused == "drained");
    REQUIRE(put(*state, {TargetPaused{"a", ""}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->drain_through == 0);
}

TEST_CASE("a file of format 3 is brought to the present one, whole")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-3.db"));
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 3);
    CHECK_FALSE(state->report().set_aside);
    const StateSnapshot& found = state->snapshot();
    CHECK(found.store == id_of(3));
    REQUIRE(found.targets.size() == 2);
    const TargetPosition a = *position(found, "a");
    CHECK(a.cursor == 1000);
    CHECK(a.settled == std::vector<DeliveryKey>{{1005, 0}, {1007, 1}});
    CHECK(a.retries == 4);
    CHECK(a.held == 1);
    CHECK(a.delayed == 1);  // of two never attempted one was made due by hand
    CHECK(a.drain_through == 0);
    REQUIRE(a.parked.size() == 2);
    CHECK(a.parked[0].held == 1);
    CHECK(a.parked[0].first);
    CHECK(a.parked[1].on_hold);
    CHECK(position(found, "b")->paused == "410");
    CHECK(row_of(found.ledger, "rule", "a")->routed == 11);
    CHECK(row_of(found.ledger, "rule", "a")->moved_in == 0);
    const auto rows = due(*state, "a", 1000);
    REQUIRE(rows.size() == 3);
    for (const RetryRow& row : rows) CHECK(row.routed_to.empty());
    const auto page = wait<DeadLetterPage>([&](auto done) { state->dead_letters({}, done); });
    REQUIRE(page->letters.size() == 1);
    CHECK(page->letters[0].forward_to == "b");
    CHECK(page->letters[0].routed_to.empty());
    REQUIRE(put(*state, {ended("a", {1004, 0}), ended("a", {1006, 0})}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->delayed == 0);
    CHECK(position(state->snapshot(), "a")->retries == 2);
}

TEST_CASE("a file of format 4 is brought to the present one, whole")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-4.db"));
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 4);
    CHECK_FALSE(state->report().set_aside);
    const StateSnapshot& found = state->snapshot();
    CHECK(found.store == id_of(3));
    REQUIRE(found.targets.size() == 2);
    CHECK(position(found, "a")->retries == 2);  // one of them redriven
    CHECK(position(found, "a")->dead_letters == 1);
    CHECK(position(found, "b")->retries == 1);
    CHECK(position(found, "b")->drain_through == 1900);
    CHECK(row_of(found.ledger, "rule", "b")->moved_in == 1);
    const auto moved_here = due(*state, "b", 1000);
    REQUIRE(moved_here.size() == 1);
    CHECK(moved_here[0].routed_to == "a");
    const DeadLetter first = letter(*state, 1).first, redriven = letter(*state, 2).first;
    CHECK(first.body == "{\"a\":8}");
    CHECK(first.routed_to == "b");
    CHECK(first.forward_to == "b");
    CHECK(first.input.empty());
    CHECK(redriven.group == 0);
    CHECK(redriven.redrives == 1);
    CHECK(redriven.body == "{\"a\":9}");
    CHECK(redriven.input.empty());
}

TEST_CASE("a file of format 4 without its first page is salvaged by its own tables")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-4.db"));
    damage_first_page(dir);
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().set_aside);
    CHECK(letter(*state, 1).first.body == "{\"a\":8}");
}

TEST_CASE("a dead letter keeps what its rule made of the event, over a restart and a salvage")
{
    const support::TempDir dir;
    const std::string input = R"({"path":"$.detail"})";
    auto state = open_state(dir.file("state.db"));
    Ended change = dead("a", {8, 0}, "{\"a\":8}");
    change.dead_letter->input = input;
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, change}).has_value());
    CHECK(letter(*state, 1).first.input == input);
    CHECK(letters(*state).front().input.empty());  // without bodies
    DeadLetterFilter whole;
    whole.bodies = true;
    CHECK(letters(*state, whole).front().input == input);
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(letter(*state, 1).first.input == input);
    state->stop();
    damage_first_page(dir);
    state = open_state(dir.file("state.db"));
    CHECK(state->report().set_aside);
    CHECK(letter(*state, 1).first.input == input);
}

TEST_CASE("where moved rows may be lost to damage, the cursor of the target that gave them is no longer trusted")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    std::vector<Change> changes{TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "webhook", 0}, TargetKnown{"c", "webhook", 0},
                                CursorMoved{"a", 5000, {}}, CursorMoved{"c", 5000, {}}};
    for (Sequence n = 1; n <= 2000; ++n) {
        Moved one = moved("a", "b", {n, 0}, 100);
        one.fresh = true;
        one.row.rule = "to-be-found";
        changes.emplace_back(std::move(one));
    }
    REQUIRE(put(*state, std::move(changes)).has_value());
    state->stop();
    std::string bytes = support::read_text(dir.file("state.db"));
    const auto at = bytes.find("to-be-found", bytes.size() / 4 * 3);  // in a page of rows
    REQUIRE(at != std::string::npos);
    bytes[at] ^= 1;
    dir.write("state.db", bytes);
    state = open_state(dir.file("state.db"));
    REQUIRE(state->report().set_aside);
    REQUIRE(state->report().salvaged_retries < 2000);
    CHECK_FALSE(position(state->snapshot(), "b")->trusted);
    CHECK_FALSE(position(state->snapshot(), "a")->trusted);
    CHECK(position(state->snapshot(), "a")->cursor == 0);
    CHECK(position(state->snapshot(), "c")->trusted);
}
