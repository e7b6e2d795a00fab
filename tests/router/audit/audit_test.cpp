// Both equations of the ledger, held and broken.
#include "router/audit.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/fake_journal_lanes.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

/// Twenty events: each for r1 and r2 of target "a", the odd ones for r3 of target "b" too.
EventLog twenty()
{
    RoutingVersion made;
    made.number = 1;
    made.buses = {"default"};
    made.routes = {{"r1", "a", {}, {}, {}, {}}, {"r2", "a", {}, {}, {}, {}}, {"r3", "b", {}, {}, {}, {}}};
    const auto version = std::make_shared<const RoutingVersion>(made);
    SeededRandom random{1};
    EventLog log;
    for (Sequence n = 1; n <= 20; ++n) {
        auto event = make_event(version, n % 2 == 1 ? std::vector<std::uint32_t>{0, 1, 2} : std::vector<std::uint32_t>{0, 1},
                                random, WallTime{});
        event->sequence = n;
        log.events.push_back(event);
    }
    return log;
}

/// "a" has come to 10, with one delivery settled above and two in retry; "b" has everything but a dead letter.
AuditState balanced()
{
    AuditState state;
    StateSnapshot& now = state.snapshot;
    now.routed_through = 18;  // two events are not in the ledger yet
    TargetPosition a, b;
    a.target = "a";
    a.cursor = 10;
    a.settled = {{12, 1}};
    b.target = "b";
    b.cursor = 20;
    now.targets = {a, b};
    now.ledger = {{"r1", "a", 18, 0, {{Ending::delivered, 8}}, 0},
                  {"r2", "a", 18, 0, {{Ending::delivered, 9}, {Ending::dead_lettered, 2}}, 0},
                  {"r3", "b", 9, 0, {{Ending::delivered, 9}, {Ending::dead_lettered, 1}}, 0}};
    state.retries = {{{"r1", "a"}, 2}};
    return state;
}

AuditReport run(const AuditState& state)
{
    FakeJournalLanes journal{twenty()};
    auto report = audit(state, journal);
    journal.stop();
    REQUIRE(report.has_value());
    return *report;
}

const AuditRow& row_of(const AuditReport& report, const std::string& rule)
{
    for (const AuditRow& row : report.rows)
        if (row.rule == rule) return row;
    FAIL("no row of " << rule);
    return report.rows.front();
}

}  // namespace

TEST_CASE("an audit counts every delivery once, by rule and target")
{
    const AuditReport report = run(balanced());
    CHECK(report.good());
    CHECK(row_of(report, "r1").counted == 20);
    CHECK(row_of(report, "r1").routed == 20);
    CHECK(row_of(report, "r1").pending == 12);  // ten above the cursor, two between attempts
    CHECK(row_of(report, "r2").pending == 9);   // one of them is settled
    CHECK(row_of(report, "r3").counted == 10);
    CHECK(row_of(report, "r3").pending == 0);
    CHECK(report.doubtful.empty());
}

TEST_CASE("an audit adds what was counted before segments went")
{
    AuditState state = balanced();
    state.snapshot.counted_through = 10;
    state.snapshot.ledger[0].counted = state.snapshot.ledger[1].counted = 10;
    state.snapshot.ledger[2].counted = 5;
    CHECK(run(state).good());
    state.snapshot.ledger[2].counted = 4;
    CHECK(row_of(run(state), "r3").routed_difference() == 1);
}

TEST_CASE("an audit counts a moved delivery at both targets")
{
    AuditState state = balanced();
    state.retries = {{{"r1", "a"}, 1}, {{"r1", "b"}, 1}};  // one of a's two
    state.snapshot.ledger[0].ended[Ending::moved] = 1;
    state.snapshot.ledger.push_back({"r1", "b", 0, 0, {}, 0, 1});
    CHECK(run(state).good());
    state.snapshot.ledger.back().moved_in = 2;
    const AuditReport report = run(state);
    const auto row = std::find_if(report.rows.begin(), report.rows.end(),
                                  [](const AuditRow& one) { return one.rule == "r1" && one.target == "b"; });
    REQUIRE(row != report.rows.end());
    CHECK(row->balance_difference() == 1);
}

TEST_CASE("an audit finds what was counted wrongly, lost or delivered without being promised")
{
    AuditState state = balanced();
    SECTION("routed")
    {
        state.snapshot.ledger[0].routed = 17;
        const AuditReport report = run(state);
        CHECK_FALSE(report.good());
        CHECK(row_of(report, "r1").routed_difference() == -1);
        CHECK(row_of(report, "r1").balance_difference() == -1);
        CHECK(row_of(report, "r2").good());
    }
    SECTION("a retry that is gone")
    {
        state.retries.clear();
        CHECK(row_of(run(state), "r1").balance_difference() == 2);
    }
    SECTION("a cursor that ran ahead")
    {
        state.snapshot.targets[0].cursor = 15;
        state.snapshot.targets[0].settled.clear();
        CHECK(row_of(run(state), "r1").balance_difference() == 5);
    }
    SECTION("an ending of a rule that was never routed")
    {
        state.snapshot.ledger.push_back({"r9", "a", 0, 0, {{Ending::delivered, 1}}, 0});
        CHECK(row_of(run(state), "r9").balance_difference() == -1);
    }
    SECTION("a position that was lost is told")
    {
        state.snapshot.targets[1].trusted = false;
        CHECK(run(state).doubtful == std::vector<std::string>{"b"});
    }
}
