// Which segments are let go: those of which nothing is needed by durable rows, and no other.
#include <catch2/catch.hpp>

#include <future>

#include "router/segment_release.hpp"
#include "tests/support/fake_journal_lanes.hpp"
#include "tests/support/fake_state.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

/// Two sealed segments of ten events each, the first for target "a" alone, the second for "a" and "b".
struct Round {
    explicit Round(StateModel model) : journal(make_log()), state(std::move(model))
    {
        for (Sequence first : {1U, 11U}) {
            SegmentInfo info;
            info.name = first == 1 ? "one" : "two";
            info.first = first;
            info.last = first + 9;
            info.bytes = 1U << 20;
            info.sealed = true;
            journal.sealed.push_back(info);
        }
    }
    static EventLog make_log()
    {
        RoutingVersion made;
        made.number = 1;
        made.buses = {"default"};
        for (const char* const target : {"a", "b"})
            made.routes.push_back({std::string{"to-"} + target, target, {}, {}, {}, {}});
        const auto version = std::make_shared<const RoutingVersion>(made);
        SeededRandom random{1};
        EventLog log;
        for (Sequence n = 1; n <= 20; ++n) {
            auto event = make_event(version, n <= 10 ? std::vector<std::uint32_t>{0} : std::vector<std::uint32_t>{0, 1},
                                    random, WallTime{});
            event->sequence = n;
            log.events.push_back(event);
        }
        return log;
    }
    std::set<std::string> released(ReleaseOptions options = {}, const std::vector<SequenceRange>& kept = {})
    {
        SegmentRelease release{journal, state, options};
        release.tick(kept);
        std::promise<void> after;  // the state answers in order
        state.needed({}, [&after](const Result<Needed>&) { after.set_value(); });
        after.get_future().wait();
        std::promise<void> counted;  // before they went
        state.submit({}, [&counted](const Result<void>&) { counted.set_value(); });
        counted.get_future().wait();
        return journal.released();
    }

    FakeJournalLanes journal;
    FakeState state;
};

StateModel with(std::map<std::string, Sequence> cursors)
{
    StateModel model;
    for (const auto& [name, cursor] : cursors) model.targets[name].cursor = cursor;
    return model;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a segment is let go when every target is past it and no retry needs it")
{
    CHECK(Round{with({{"a", 20}, {"b", 20}})}.released() == Names{"one", "two"});
    CHECK(Round{with({{"a", 20}, {"b", 19}})}.released() == Names{"one"});
    CHECK(Round{with({{"a", 9}, {"b", 20}})}.released().empty());
    StateModel model = with({{"a", 20}, {"b", 20}});
    RetryRow row;
    row.target = "a";
    row.key = {5, 0};
    model.retries[{"a", row.key}] = row;
    CHECK(Round{model}.released() == Names{"two"});
}

TEST_CASE("a segment is left as it is while somebody has still to read any of it")
{
    const auto released = [](const std::vector<SequenceRange>& kept) {
        return Round{with({{"a", 20}, {"b", 20}})}.released({}, kept);
    };
    CHECK(released({{9, 10}}) == Names{"two"});
    CHECK(released({{10, 11}}) == Names{"one"});
    CHECK(released({{9, 11}}).empty());
    CHECK(released({{2, 3}, {15, UINT64_MAX}}).empty());
    CHECK(released({{10, 10}, {20, UINT64_MAX}}) == Names{"one", "two"});
    // Nor is it rewritten to what targets need of it.
    ReleaseOptions eager;
    eager.rewrite_min_bytes = 1;
    Round round{with({{"a", 0}, {"b", 20}})};
    CHECK(round.released(eager, {{0, 20}}).empty());
    CHECK(round.journal.kept().empty());
}

TEST_CASE("a segment is rewritten without losing what was moved to a target that none of its events went to")
{
    StateModel model = with({{"a", 20}, {"b", 20}, {"c", 20}});
    RetryRow row;
    row.target = "c";
    row.key = {5, 0};
    model.retries[{"c", row.key}] = row;
    Round round{model};
    ReleaseOptions eager;
    eager.rewrite_min_bytes = 1;
    CHECK(round.released(eager) == Names{"two"});
    std::promise<void> after;  // the state answers in order
    round.state.submit({}, [&after](const Result<void>&) { after.set_value(); });
    after.get_future().wait();
    CHECK(round.journal.kept() == std::set<DeliveryKey>{{5, 0}});
}

TEST_CASE("a target that a failing state could not store yet keeps its segments")
{
    for (const auto& [model, expected] : {std::pair{with({{"a", 20}}), Names{"one"}}, std::pair{StateModel{}, Names{}}}) {
        Round round{model};
        round.state.set_failing(true);
        CHECK(round.released() == expected);
    }
}

TEST_CASE("nothing is let go while the release is held, and again afterwards")
{
    Round round{with({{"a", 20}, {"b", 20}})};
    SegmentRelease release{round.journal, round.state};
    const auto settle = [&round] {
        for (int turn = 0; turn < 2; ++turn) {  // the state answers in order: the question, then the count
            std::promise<void> after;
            round.state.needed({}, [&after](const Result<Needed>&) { after.set_value(); });
            after.get_future().wait();
            std::promise<void> counted;
            round.state.submit({}, [&counted](const Result<void>&) { counted.set_value(); });
            counted.get_future().wait();
        }
    };
    REQUIRE(release.hold());
    CHECK_FALSE(release.hold());
    release.tick();
    settle();
    CHECK(round.journal.released().empty());
    release.let_go();
    release.tick();
    settle();
    CHECK(round.journal.released() == Names{"one", "two"});
    CHECK(release.hold());
}

TEST_CASE("a segment whose deliveries the ledger has not counted yet is kept")
{
    Round round{with({{"a", 20}, {"b", 20}})};
    round.state.counted = 15;
    CHECK(round.released() == Names{"one"});
}
