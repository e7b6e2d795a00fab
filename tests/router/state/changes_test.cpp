// Every kind of change, read back at once and after a restart.

#include <sqlite3.h>

#include "router/state/checksum_vfs.hpp"
#include "router/state/sqlite.hpp"
#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

/// Runs `check` on the state as it is, and on the same state opened again.
template <class Check>
void now_and_reopened(std::unique_ptr<State> state, const std::string& path, Check check)
{
    check(*state);
    state->stop();
    state.reset();
    const auto again = open_state(path);
    CHECK_FALSE(again->report().set_aside);
    CHECK_FALSE(again->report().created);
    check(*again);
}

TEST_CASE("a first start makes an empty state and says so")
{
    const support::TempDir dir;
    const auto state = open_state(dir.file("state.db"));
    CHECK(state->report().created);
    CHECK(state->report().cursors_lost);
    CHECK(state->snapshot().store.is_nil());
    CHECK(state->snapshot().targets.empty());
    const auto mode = std::filesystem::status(dir.file("state.db")).permissions();
    CHECK((mode & std::filesystem::perms::others_all) == std::filesystem::perms::none);
    CHECK((mode & std::filesystem::perms::group_write) == std::filesystem::perms::none);
}

TEST_CASE("cursors with what is settled above them survive")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"orders", "webhook", 5}, TargetKnown{"audit", "file", 9}})
                .has_value());
    REQUIRE(put(*state,
                {CursorMoved{"orders", 40, {{44, 1}, {42, 0}, {44, 0}, {1'000'000'000'000, 3}}}})
                .has_value());
    REQUIRE(put(*state, {TargetKnown{"orders", "webhook", 99}})
                .has_value());  // met again: keeps its cursor
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK_FALSE(state->report().cursors_lost);
    const auto* orders = position(state->snapshot(), "orders");
    REQUIRE(orders != nullptr);
    CHECK(orders->kind == "webhook");
    CHECK(orders->cursor == 40);
    CHECK(orders->settled ==
          std::vector<DeliveryKey>{{42, 0}, {44, 0}, {44, 1}, {1'000'000'000'000, 3}});
    CHECK(orders->trusted);
    CHECK(position(state->snapshot(), "audit")->cursor == 9);
    CHECK(needed(*state).cursors.size() == 2);
}

TEST_CASE("retries come back in order of their due time, and by windows")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {retrying("a", {10, 0}, 300), retrying("a", {11, 0}, 100),
                         retrying("a", {12, 2}, 100), retrying("b", {13, 0}, 50),
                         retrying("a", {14, 0}, 200)})
                .has_value());
    now_and_reopened(std::move(state), dir.file("state.db"), [](State& s) {
        const auto rows = due(s, "a", 200);
        REQUIRE(rows.size() == 3);
        CHECK(rows[0].key == DeliveryKey{11, 0});
        CHECK(rows[1].key == DeliveryKey{12, 2});
        CHECK(rows[2].key == DeliveryKey{14, 0});
        CHECK(rows[0].rule == "rule");
        CHECK(rows[0].event == id_of(7));
        CHECK(rows[0].attempts == 1);
        CHECK(rows[0].due == wall(100));
        CHECK(rows[0].delay == std::chrono::seconds{5});
        CHECK(rows[0].received == wall(1));
        CHECK(due(s, "a", 99).empty());
        CHECK(due(s, "nobody", 1000).empty());
        const auto window = wait<std::vector<RetryRow>>([&](auto done) {
            s.next_retries("a", wall(100), {11, 0}, 2, done);
        });
        REQUIRE(window->size() == 2);
        CHECK((*window)[0].key == DeliveryKey{12, 2});
        CHECK((*window)[1].key == DeliveryKey{14, 0});
    });
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->retries == 4);
    CHECK(position(state->snapshot(), "b")->retries == 1);
}

TEST_CASE("a retry is updated in place and gone once its delivery ended")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {retrying("a", {10, 0}, 100), retrying("a", {10, 1}, 100)}).has_value());
    REQUIRE(put(*state, {retrying("a", {10, 0}, 500, 2)}).has_value());
    REQUIRE(put(*state, {ended("a", {10, 1}), ended("a", {77, 0})}).has_value());
    now_and_reopened(std::move(state), dir.file("state.db"), [](State& s) {
        const auto rows = due(s, "a", 1000);
        REQUIRE(rows.size() == 1);
        CHECK(rows[0].due == wall(500));
        CHECK(rows[0].attempts == 2);
        CHECK(row_of(ledger(s), "rule", "a")->ended.at(Ending::delivered) == 2);
    });
    CHECK(position(open_state(dir.file("state.db"))->snapshot(), "a")->retries == 1);
}

TEST_CASE("a dead letter keeps its body, its attempts and its place until it is discarded")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {retrying("a", {10, 0}, 100, 1), retrying("a", {10, 0}, 200, 2),
                         retrying("a", {10, 0}, 300, 3)})
                .has_value());
    const std::string body(100'000, 'x');  // spills to overflow pages
    REQUIRE(put(*state, {dead("a", {10, 0}, body), dead("b", {11, 0}), dead("a", {12, 0})})
                .has_value());
    REQUIRE(put(*state, {dead("a", {10, 0}, "again")})
                .has_value());  // repeated after a crash: changes nothing
    now_and_reopened(std::move(state), dir.file("state.db"), [&](State& s) {
        const auto all = letters(s);
        REQUIRE(all.size() == 3);
        CHECK(all[0].id == 1);
        CHECK(all[0].body.empty());
        CHECK(all[1].target == "b");
        CHECK(letters(s, {.target = "a", .after_id = 1}).size() == 1);
        CHECK(letters(s, {.rule = "rule", .limit = 2}).size() == 2);
        CHECK(letters(s, {.rule = "other", .limit = 2}).empty());
        CHECK(letters(s, {.target = "nobody", .limit = 2}).empty());
        const auto [found, attempts] = letter(s, 1);
        CHECK(found.body == body);
        CHECK(found.target == "a");
        CHECK(found.bus == "default");
        CHECK(found.event == id_of(9));
        CHECK(found.delivery_id == "dlv_x");
        CHECK(found.format == EventFormat::cloudevents);
        CHECK(found.reason == "max_attempts");
        CHECK(found.last_status == 500);
        CHECK(found.last_response == std::string("no\0pe", 5));
        CHECK(found.attempts == 4);
        CHECK(found.received == wall(10));
        CHECK(found.dead == wall(20));
        REQUIRE(attempts.size() == 4);
        CHECK(attempts[0].status == 503);
        CHECK(attempts[0].latency == std::chrono::milliseconds{12});
        CHECK(attempts[0].response == "busy");
        CHECK(attempts[3].at == wall(19));
        CHECK(row_of(ledger(s), "rule", "a")->ended.at(Ending::dead_lettered) == 2);
        CHECK(due(s, "a", 10'000).empty());
    });
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->dead_letters == 2);
    REQUIRE(put(*state, {DeadLetterDiscarded{1}, DeadLetterDiscarded{99}}).has_value());
    now_and_reopened(std::move(state), dir.file("state.db"), [](State& s) {
        CHECK(letters(s).size() == 2);
        CHECK(letter(s, 1).first.id == 0);
        const auto rows = ledger(s);
        CHECK(row_of(rows, "rule", "a")->ended.at(Ending::dead_lettered) == 1);
        CHECK(row_of(rows, "rule", "a")->ended.at(Ending::discarded_operator) == 1);
    });
    CHECK(position(open_state(dir.file("state.db"))->snapshot(), "a")->dead_letters == 1);
}

TEST_CASE("ids of dead letters are not given twice")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(
        put(*state, {dead("a", {1, 0}), dead("a", {2, 0}), DeadLetterDiscarded{2}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead("a", {3, 0})}).has_value());
    CHECK(letters(*state).back().id == 3);
}

TEST_CASE("ids of dead letters are not given twice when the mark is older than they are")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead("a", {1, 0}), dead("a", {2, 0})}).has_value());
    state->stop();
    {
        auto database = Database::open(dir.file("state.db"), SQLITE_OPEN_READWRITE, checksum_vfs());
        REQUIRE(database.has_value());
        REQUIRE(database->run("UPDATE meta SET next_dead_letter=1").has_value());
    }
    state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead("a", {3, 0})}).has_value());
    CHECK(letters(*state).back().id == 3);
}

TEST_CASE("a dead-letter target is served in order and each letter once")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    const std::string big(5U << 20, 'b');
    REQUIRE(put(*state, {dead("a", {1, 0}, big, "dead"), dead("b", {2, 0}, big, "dead"),
                         dead("a", {3, 0}, "{}", "dead"), dead("a", {4, 0}, "{}"),
                         dead("a", {5, 0}, "{}", "other")})
                .has_value());
    const auto forwards = [](State& s, std::int64_t after, std::size_t limit) {
        return *wait<std::vector<DeadLetter>>(
            [&](auto done) { s.forwards("dead", after, limit, done); });
    };
    REQUIRE(forwards(*state, 0, 10).size() == 1);  // the second body would exceed the bound
    CHECK(forwards(*state, 0, 10)[0].body == big);
    CHECK(forwards(*state, 1, 10).size() == 2);
    CHECK(forwards(*state, 1, 1).size() == 1);
    REQUIRE(put(*state, {DeadLetterForwarded{2}}).has_value());
    now_and_reopened(std::move(state), dir.file("state.db"), [&](State& s) {
        const auto rest = forwards(s, 1, 10);
        REQUIRE(rest.size() == 1);
        CHECK(rest[0].id == 3);
        CHECK(letters(s).size() == 5);
    });
}

TEST_CASE("of many failed attempts the first 3 and the last 20 are kept, and none once delivered")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    std::vector<Change> changes;
    for (std::uint32_t n = 1; n <= 60; ++n) {
        changes.push_back(retrying("a", {1, 0}, 1000 + n, n));
        changes.push_back(retrying("a", {2, 0}, 1000 + n, n));
    }
    REQUIRE(put(*state, changes).has_value());
    Ended last = dead("a", {1, 0});
    last.dead_letter->attempts = 61;
    REQUIRE(put(*state, {last, ended("a", {2, 0}), dead("a", {2, 0})}).has_value());
    const auto attempts = letter(*state, 1).second;
    REQUIRE(attempts.size() == 23);
    CHECK(attempts[2].at == wall(1000 + 3 - 5));
    CHECK(attempts[3].at == wall(1000 + 42 - 5));
    CHECK(letter(*state, 2).second.size() ==
          1);  // those before were of the delivery that ended well
}

TEST_CASE("idle targets follow their shard's mark in one write, also over another number of shards")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "file", 10}, TargetKnown{"b", "file", 10},
                         TargetKnown{"c", "file", 10}, TargetKnown{"d", "file", 10},
                         CursorMoved{"d", 12, {{15, 0}}}, LaneIdle{"a", 0}, LaneIdle{"b", 1},
                         LaneIdle{"c", 0}, IdleThrough{0, 100}, IdleThrough{1, 200}})
                .has_value());
    const auto cursors = [](State& s) {
        std::map<std::string, Sequence> all;
        for (const auto& [name, cursor] : needed(s).cursors) all[name] = cursor;
        return all;
    };
    CHECK(cursors(*state) ==
          std::map<std::string, Sequence>{{"a", 100}, {"b", 200}, {"c", 100}, {"d", 12}});
    REQUIRE(
        put(*state, {IdleThrough{0, 90}, LaneActive{"c", 105}, IdleThrough{0, 150}}).has_value());
    CHECK(cursors(*state) ==
          std::map<std::string, Sequence>{{"a", 150}, {"b", 200}, {"c", 105}, {"d", 12}});
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->cursor == 150);
    CHECK(position(state->snapshot(), "b")->cursor == 200);
    CHECK(position(state->snapshot(), "c")->cursor == 105);
    // The old shards mean nothing now: shard 0 moving on must not carry "a" along.
    REQUIRE(put(*state, {LaneIdle{"b", 0}, IdleThrough{0, 500}}).has_value());
    CHECK(cursors(*state) ==
          std::map<std::string, Sequence>{{"a", 150}, {"b", 500}, {"c", 105}, {"d", 12}});
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(cursors(*state) ==
          std::map<std::string, Sequence>{{"a", 150}, {"b", 500}, {"c", 105}, {"d", 12}});
}

TEST_CASE("a renamed target keeps everything under its new name")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state,
                {TargetKnown{"old", "file", 3}, CursorMoved{"old", 8, {{9, 0}}},
                 retrying("old", {4, 0}, 10), dead("old", {5, 0}), dead("x", {6, 0}, "{}", "old"),
                 ended("old", {7, 0}), Routed{9, {{{"rule", "old"}, 4}}},
                 TargetRenamed{"old", "new"}, ended("new", {8, 0})})
                .has_value());
    now_and_reopened(std::move(state), dir.file("state.db"), [](State& s) {
        CHECK(due(s, "new", 100).size() == 1);
        CHECK(due(s, "old", 100).empty());
        CHECK(letters(s, {.target = "new"}).size() == 1);
        const auto rows = ledger(s);
        CHECK(row_of(rows, "rule", "old") == nullptr);
        CHECK(row_of(rows, "rule", "new")->routed == 4);
        CHECK(row_of(rows, "rule", "new")->ended.at(Ending::delivered) == 2);
        CHECK(wait<std::vector<DeadLetter>>([&](auto done) {
                  s.forwards("new", 0, 9, done);
              })->size() == 1);
    });
    const auto again = open_state(dir.file("state.db"));
    CHECK(position(again->snapshot(), "old") == nullptr);
    CHECK(position(again->snapshot(), "new")->cursor == 8);
    CHECK(position(again->snapshot(), "new")->settled == std::vector<DeliveryKey>{{9, 0}});
}

TEST_CASE("names can be swapped and merged in one batch")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "file", 1}, TargetKnown{"b", "file", 2},
                         TargetRenamed{"a", "t"}, TargetRenamed{"b", "a"}, TargetRenamed{"t", "b"}})
                .has_value());
    CHECK(needed(*state).cursors.size() == 2);
    REQUIRE(put(*state, {CursorMoved{"a", 20, {{25, 0}}}, CursorMoved{"b", 10, {{22, 1}}},
                         retrying("a", {3, 0}, 5), retrying("b", {3, 1}, 5), dead("a", {4, 0}),
                         TargetRenamed{"a", "b"}})
                .has_value());
    CHECK(due(*state, "b", 10).size() == 2);
    CHECK(letters(*state, {.target = "b"}).size() == 1);
    state->stop();
    state = open_state(dir.file("state.db"));
    REQUIRE(state->snapshot().targets.size() == 1);
    const auto& merged = state->snapshot().targets[0];
    CHECK(merged.target == "b");
    CHECK(merged.cursor == 10);
    CHECK(merged.settled == std::vector<DeliveryKey>{{22, 1}, {25, 0}});
    CHECK(merged.retries == 2);
    CHECK(merged.dead_letters == 1);
}

TEST_CASE("pauses, totals and marks survive, and marks never fall")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetPaused{"a", "410 Gone"},
                         TargetKnown{"b", "file", 0}, TargetPaused{"b", "operator"},
                         TargetPaused{"b", ""}, JournalMarked{1000, 50}, JournalMarked{0, 40},
                         JournalMarked{900, 0}, Routed{60, {{{"r1", "a"}, 3}, {{"r2", "a"}, 2}}},
                         Routed{55, {{{"r1", "a"}, 1}}}, Received{"default", "shop", 5, 1, 2, 4, 1},
                         Received{"default", "shop", 1, 0, 0, 1, 0},
                         Received{"other", "shop", 7, 0, 0, 0, 7},
                         ended("a", {1, 0}, Ending::expired), ended("a", {2, 0}, Ending::lost)})
                .has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    const StateSnapshot& s = state->snapshot();
    CHECK(position(s, "a")->paused == "410 Gone");
    CHECK(position(s, "b")->paused.empty());
    CHECK(s.reserved == 1000);
    CHECK(s.synced == 50);
    CHECK(s.routed_through == 60);
    CHECK(row_of(s.ledger, "r1", "a")->routed == 4);
    CHECK(row_of(s.ledger, "r2", "a")->routed == 2);
    CHECK(row_of(s.ledger, "rule", "a")->ended ==
          std::map<Ending, std::uint64_t>{{Ending::expired, 1}, {Ending::lost, 1}});
    REQUIRE(s.events.size() == 2);
    CHECK(s.events[0].accepted == 6);
    CHECK(s.events[0].matched == 5);
    CHECK(s.events[1].bus == "other");
    CHECK(s.events[1].unmatched == 7);
}

TEST_CASE("the number of counted sources has a bound")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    std::vector<Change> changes;
    for (int i = 0; i < 10'050; ++i)
        changes.push_back(Received{"default", "s" + std::to_string(i), 1, 0, 0, 1, 0});
    REQUIRE(put(*state, changes).has_value());
    REQUIRE(put(*state, {Received{"default", "s3", 1, 0, 0, 1, 0}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    std::map<std::string, std::uint64_t> totals;
    for (const EventTotals& row : state->snapshot().events) totals[row.source] = row.accepted;
    CHECK(totals.size() == 10'001);
    CHECK(totals["*"] == 50);
    CHECK(totals["s3"] == 2);
}

TEST_CASE("segments learn which retries they still hold")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {retrying("a", {10, 0}, 1), retrying("b", {10, 1}, 1),
                         retrying("a", {19, 0}, 1), retrying("a", {20, 0}, 1)})
                .has_value());
    const auto answer = needed(*state, {{1, 9, 0}, {10, 19, 0}, {20, UINT64_MAX, 0}});
    REQUIRE(answer.ranges.size() == 3);
    CHECK(answer.ranges[0].retries == 0);
    CHECK(answer.ranges[1].retries == 3);
    CHECK(answer.ranges[2].retries == 1);
    const auto keys =
        wait<std::vector<DeliveryKey>>([&](auto done) { state->retry_keys(10, 19, "a", done); });
    CHECK(*keys == std::vector<DeliveryKey>{{10, 0}, {19, 0}});
}

TEST_CASE("endings have the words of the ledger")
{
    CHECK(std::string(text_of(Ending::delivered)) == "delivered");
    CHECK(std::string(text_of(Ending::dead_lettered)) == "dead_lettered");
    CHECK(std::string(text_of(Ending::discarded_overflow)) == "discarded_overflow");
    CHECK(std::string(text_of(Ending::lost)) == "lost");
}

}  // namespace
}  // namespace eventyard::router
