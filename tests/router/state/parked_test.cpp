// Rows that wait for something else than a retry: held behind an earlier one of their key, or delayed.

#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

Retrying waits(const std::string& target, Sequence sequence, const std::string& key, WallTime due)
{
    Retrying change = retrying(target, {sequence, 0}, 0, 0);
    change.attempt.reset();
    change.row.order_key = key;
    change.row.due = due;
    return change;
}

std::optional<RetryRow> first(State& state, const std::string& target, const std::string& key)
{
    auto row = wait<std::optional<RetryRow>>([&](auto done) { state.first_of_key(target, key, done); });
    if (!row.has_value()) FAIL(row.error().what);
    return *row;
}

Retrying failed(const std::string& target, Sequence sequence, const std::string& key, std::int64_t due)
{
    Retrying change = retrying(target, {sequence, 0}, due);
    change.row.order_key = key;
    return change;
}

TEST_CASE("held rows are counted by key and never due, and come back in order")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    const auto held = RetryRow::held_due;
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, failed("a", 1, "k", 50), waits("a", 7, "k", held),
                         waits("a", 3, "k", held), waits("a", 4, "other", held), retrying("a", {9, 0}, 60)})
                .has_value());
    CHECK(first(*state, "a", "k")->key == DeliveryKey{1, 0});
    CHECK(first(*state, "a", "other")->held());
    CHECK_FALSE(first(*state, "a", ""));  // of those without a key there is no first
    CHECK_FALSE(first(*state, "b", "k"));
    auto next = wait<std::vector<RetryRow>>([&](auto done) { state->next_retries("a", WallTime::min(), {}, 100, done); });
    REQUIRE(next.has_value());
    CHECK(next->size() == 2);
    CHECK(needed(*state, {{1, 10, 0}}).ranges[0].retries == 5);  // their segments stay

    REQUIRE(put(*state, {ended("a", {1, 0}), KeyHeld{"a", "dead", true}}).has_value());
    CHECK(first(*state, "a", "k")->key == DeliveryKey{3, 0});
    state->stop();
    state = open_state(dir.file("state.db"));
    const TargetPosition* a = position(state->snapshot(), "a");
    CHECK(a->retries == 4);
    CHECK(a->held == 3);
    REQUIRE(a->parked.size() == 3);
    CHECK(a->parked[0].order_key == "dead");
    CHECK(a->parked[0].on_hold);
    CHECK(a->parked[1].order_key == "k");
    CHECK(a->parked[1].held == 2);
    CHECK_FALSE(a->parked[1].first);
    CHECK_FALSE(a->parked[1].on_hold);

    // What was held fails when its turn comes: a retry like any other.
    REQUIRE(put(*state, {failed("a", 3, "k", 70)}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    a = position(state->snapshot(), "a");
    CHECK(a->held == 2);
    CHECK(a->parked[1].held == 1);
    CHECK(a->parked[1].first);

    REQUIRE(put(*state, {ended("a", {3, 0}), ended("a", {7, 0}), KeyHeld{"a", "dead", false}})
                .has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    a = position(state->snapshot(), "a");
    CHECK(a->retries == 2);
    CHECK(a->held == 1);
    REQUIRE(a->parked.size() == 1);
    CHECK(a->parked[0].order_key == "other");
}

TEST_CASE("delayed rows are counted until their first attempt failed or they ended")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, waits("a", 1, "", wall(80)), waits("a", 2, "", wall(90)),
                         waits("a", 3, "", wall(99))})
                .has_value());
    CHECK(due(*state, "a", 95).size() == 2);
    REQUIRE(put(*state, {retrying("a", {1, 0}, 120), ended("a", {2, 0})}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->retries == 2);
    CHECK(position(state->snapshot(), "a")->delayed == 1);
}

TEST_CASE("a renamed target's waiting rows join those of its heir, key by key")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    const auto held = RetryRow::held_due;
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "webhook", 0}, waits("a", 1, "k", held),
                         waits("b", 2, "k", held), waits("b", 1, "k", held), waits("b", 3, "", wall(50)),
                         TargetRenamed{"b", "a"}})
                .has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    const TargetPosition* const a = position(state->snapshot(), "a");
    CHECK(a->retries == 3);
    CHECK(a->held == 2);
    CHECK(a->delayed == 1);
    REQUIRE(a->parked.size() == 1);
    CHECK(a->parked[0].held == 2);
}

TEST_CASE("when a target's bucket is full again is kept until it is taken back")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetRate{"a", wall(77)}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(position(state->snapshot(), "a")->rate_full == wall(77));
    REQUIRE(put(*state, {TargetRate{"a", std::nullopt}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK_FALSE(position(state->snapshot(), "a")->rate_full);
}

TEST_CASE("rows of every kind are listed by sequence, a page at a time, and by their keys")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    const auto held = RetryRow::held_due;
    REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "webhook", 0}, failed("a", 1, "k", 50),
                         waits("a", 3, "k", held), retrying("b", {3, 0}, 60), retrying("a", {2, 1}, 40)})
                .has_value());
    const auto page = [&](const DeliveryFilter& filter, const RowPosition& after, std::size_t limit) {
        auto got = wait<RowPage>([&](auto done) { state->pending_rows(filter, after, limit, done); });
        REQUIRE(got.has_value());
        return *got;
    };
    std::vector<std::string> listed;
    RowPosition after;
    for (bool more = true; more;) {
        const RowPage one = page({}, after, 3);
        for (const RetryRow& row : one.rows) listed.push_back(row.target + std::to_string(row.key.sequence));
        after = one.through;
        more = one.more;
    }
    CHECK(listed == std::vector<std::string>{"a1", "a2", "a3", "b3"});
    DeliveryFilter only;
    only.target = "b";
    CHECK(page(only, {}, 10).rows.size() == 1);
    only.target = "nobody";
    CHECK(page(only, {}, 10).rows.empty());
    DeliveryFilter by_id;
    by_id.delivery = delivery_id(page({}, {}, 1).rows[0].event, page({}, {}, 1).rows[0].rule, "a");
    CHECK(page(by_id, {}, 10).rows.size() >= 1);

    const auto rows = wait<std::vector<RetryRow>>([&](auto done) { state->rows_of("a", {{3, 0}, {9, 0}, {2, 1}}, done); });
    REQUIRE(rows.has_value());
    REQUIRE(rows->size() == 2);
    CHECK((*rows)[0].held());
    CHECK((*rows)[1].key == DeliveryKey{2, 1});
}

TEST_CASE("the ledger can be asked for of some targets")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    state->submit({ended("a", {1, 0}), ended("b", {1, 1}), ended("c", {1, 2})});
    const auto rows = wait<std::vector<LedgerRow>>([&](auto done) { state->ledger_of({"a", "c", "nobody"}, done); });
    REQUIRE(rows.has_value());
    REQUIRE(rows->size() == 2);
    CHECK((*rows)[0].target == "a");
    CHECK((*rows)[1].target == "c");
    CHECK((*rows)[1].ended.at(Ending::delivered) == 1);
}

}  // namespace
}  // namespace eventyard::router
