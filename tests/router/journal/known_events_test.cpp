// Keys of events that are taken once: what is known of them, and what the journal answers to a repetition.
#include <catch2/catch.hpp>

#include <future>

#include "router/journal/known_events.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;
using namespace std::chrono_literals;

namespace {

EventKey key(std::uint8_t n)
{
    EventKey made{};
    made[3] = n;
    return made;
}

KnownEvent known(std::uint8_t n, Sequence sequence, WallTime since, Duration window = 10s, const std::string& bus = "default")
{
    return {bus, key(n), Id{key(n)}, sequence, since, since + window};
}

/// A journal with its threads on a disk in memory.
struct Threads : Running {
    /// Event n with a key; 0: without.
    std::shared_ptr<StoredEvent> event(std::uint64_t n, std::uint8_t with) const
    {
        auto made = make_event(n, version);
        made->event.received = clock.wall();
        if (with != 0) made->once = Uniqueness{key(with), clock.wall() + 10s, 1000};
        return made;
    }
    std::future<Result<CommitResult>> submit(std::vector<std::shared_ptr<StoredEvent>> events, Durability durability = Durability::fsync)
    {
        CommitUnit unit;
        unit.events = std::move(events);
        unit.durability = durability;
        return Running::submit(std::move(unit));
    }
    Result<CommitResult> commit(std::vector<std::shared_ptr<StoredEvent>> events, Durability durability = Durability::fsync)
    {
        return submit(std::move(events), durability).get();
    }
};

}  // namespace

TEST_CASE("a key is known from its event to the end of its window")
{
    const WallTime now{500h};
    KnownEvents events;
    CHECK(events.find(key(1), now) == nullptr);
    events.add(known(1, 7, now), 100, now);
    REQUIRE(events.find(key(1), now) != nullptr);
    CHECK(events.find(key(1), now)->sequence == 7);
    CHECK(events.find(key(1), now)->event == Id{key(1)});
    CHECK(events.find(key(1), now + 10s - 1ns) != nullptr);
    CHECK(events.find(key(1), now + 10s) == nullptr);
    CHECK(events.find(key(2), now) == nullptr);

    SECTION("while it is known it stays that of the first") {
        events.add(known(1, 8, now + 5s), 100, now + 5s);
        CHECK(events.find(key(1), now + 5s)->sequence == 7);
        CHECK(events.find(key(1), now + 10s) == nullptr);
    }
    SECTION("then another may have it") {
        events.add(known(1, 8, now + 10s), 100, now + 10s);
        CHECK(events.find(key(1), now + 11s)->sequence == 8);
        CHECK(events.size() == 1);
        const auto forgotten = events.take_forgotten();
        REQUIRE(forgotten.size() == 1);
        CHECK(forgotten[0].through == 7);
        CHECK(events.early() == 0);
    }
    SECTION("a clock that lies behind the event knows it for a minute only") {
        CHECK(events.find(key(1), now - 1min) != nullptr);
        CHECK(events.find(key(1), now - 1min - 1ns) == nullptr);
        CHECK(events.find(key(1), now - 87600h) == nullptr);
    }
}

TEST_CASE("of too many keys of a bus the oldest are forgotten early, and only of that bus")
{
    const WallTime now{500h};
    KnownEvents events;
    events.add(known(100, 1, now, 10s, "other"), 2, now);
    for (std::uint8_t n = 1; n <= 5; ++n) events.add(known(n, 10 + n, now), 2, now);
    CHECK(events.size() == 3);
    CHECK(events.early() == 3);
    for (std::uint8_t n = 1; n <= 3; ++n) CHECK(events.find(key(n), now) == nullptr);
    CHECK(events.find(key(4), now) != nullptr);
    CHECK(events.find(key(5), now) != nullptr);
    CHECK(events.find(key(100), now) != nullptr);
    const auto forgotten = events.take_forgotten();
    REQUIRE(forgotten.size() == 1);
    CHECK(forgotten[0].bus == "default");
    CHECK(forgotten[0].through == 13);
    CHECK(events.take_forgotten().empty());
}

TEST_CASE("after a long pause keys are forgotten a few at a time, and are unknown at once")
{
    const WallTime now{500h};
    KnownEvents events;
    for (std::uint8_t n = 1; n <= 100; ++n) events.add(known(n, n, now), 1000, now);
    const WallTime later = now + 1h;
    events.add(known(200, 200, later), 1000, later);
    CHECK(events.size() == 97);
    CHECK(events.take_forgotten().at(0).through == 4);
    CHECK(events.find(key(50), later) == nullptr);
    for (std::uint8_t n = 1; n <= 40; ++n) events.add(known(n, 200 + n, later), 1000, later);
    CHECK(events.size() == 41);
    CHECK(events.early() == 0);
    for (std::uint8_t n = 1; n <= 40; ++n) CHECK(events.find(key(n), later) != nullptr);
}

TEST_CASE("former events of a key do not count against how many are kept")
{
    const WallTime now{500h};
    KnownEvents events;
    events.add(known(1, 1, now, 1h), 3, now);  // lasts longer than what comes
    for (std::uint8_t n = 0; n < 20; ++n) {
        const WallTime then = now + n * 1s;
        events.add(known(2, 2U + n, then, 1s), 3, then);
    }
    CHECK(events.early() == 0);
    CHECK(events.find(key(1), now + 20s) != nullptr);
}

TEST_CASE("an event with a known key is answered as the first and not stored")
{
    Threads t;
    auto first = t.commit({t.event(1, 1), t.event(2, 0), t.event(3, 2)});
    REQUIRE(first.has_value());
    CHECK(first->repeated.empty());

    SECTION("in a unit with new ones") {
        auto again = t.commit({t.event(4, 3), t.event(5, 2), t.event(6, 0), t.event(7, 1), t.event(8, 4)});
        REQUIRE(again.has_value());
        CHECK(again->first == first->first + 3);
        REQUIRE(again->repeated.size() == 2);
        CHECK(again->repeated[0].place == 1);
        CHECK(again->repeated[0].sequence == first->first + 2);
        CHECK(again->repeated[0].event == t.event(3, 0)->event.id);
        CHECK(again->repeated[1].place == 3);
        CHECK(again->repeated[1].sequence == first->first);
        CHECK(t.journal->last() == first->first + 5);
    }
    SECTION("in a unit of its own") {
        auto again = t.commit({t.event(4, 1)});
        REQUIRE(again.has_value());
        REQUIRE(again->repeated.size() == 1);
        CHECK(again->repeated[0].sequence == first->first);
        CHECK(t.journal->last() == first->first + 2);
    }
    SECTION("also while the disk takes nothing: it is there") {
        t.disk->set_fault([](const std::string& call, const std::string&) {
            return call == "sync" || call == "write" ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
        });
        CHECK_FALSE(t.commit({t.event(4, 9)}).has_value());
        auto again = t.commit({t.event(4, 1)});
        REQUIRE(again.has_value());
        CHECK(again->repeated.size() == 1);
        t.disk->set_fault(nullptr);
    }
    CHECK(t.journal->stats().known_keys >= 2);
    t.journal->stop();
}

TEST_CASE("an event that is twice in a unit is stored once")
{
    Threads t;
    auto result = t.commit({t.event(1, 1), t.event(2, 1), t.event(3, 2), t.event(4, 1)});
    REQUIRE(result.has_value());
    CHECK(t.journal->last() == result->first + 1);
    REQUIRE(result->repeated.size() == 2);
    for (const Repeated& one : result->repeated) {
        CHECK(one.sequence == result->first);
        CHECK(one.event == t.event(1, 0)->event.id);
    }
    CHECK(result->repeated[0].place == 1);
    CHECK(result->repeated[1].place == 3);
    t.journal->stop();
}

TEST_CASE("nothing is known of an event whose commit failed, and what waited for it fails with it")
{
    Threads t;
    std::atomic<bool> failing{false};
    std::promise<void> entered, go;
    auto may_go = go.get_future().share();
    std::atomic<int> syncs{0};
    t.disk->set_fault([&](const std::string& call, const std::string&) -> std::optional<Error> {
        if (!failing || call != "sync") return std::nullopt;
        if (syncs++ == 0) {
            entered.set_value();
            may_go.wait();
        }
        return fail(Errc::io, "EIO");
    });
    failing = true;
    auto holds_up = t.submit({t.event(1, 0)});  // while its sync hangs the next ones gather in one block
    entered.get_future().wait();
    auto first = t.submit({t.event(2, 1)}), second = t.submit({t.event(3, 1)});
    go.set_value();
    CHECK_FALSE(holds_up.get().has_value());
    CHECK_FALSE(first.get().has_value());
    CHECK_FALSE(second.get().has_value());
    failing = false;
    t.clock.advance(10s);
    auto again = t.commit({t.event(4, 1)});
    REQUIRE(again.has_value());
    CHECK(again->repeated.empty());
    t.journal->stop();
}

TEST_CASE("two units of one block with the same key: the later one names the earlier")
{
    Threads t;
    std::promise<void> entered, go;
    auto may_go = go.get_future().share();
    std::atomic<int> syncs{0};
    std::atomic<bool> slow{true};
    t.disk->set_fault([&](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call == "sync" && slow && syncs++ == 0) {
            entered.set_value();
            may_go.wait();
        }
        return std::nullopt;
    });
    auto holds_up = t.submit({t.event(1, 0)});
    entered.get_future().wait();
    auto first = t.submit({t.event(2, 1)}), second = t.submit({t.event(3, 1)}), third = t.submit({t.event(4, 1), t.event(5, 0)});
    go.set_value();
    REQUIRE(holds_up.get().has_value());
    const auto one = first.get(), two = second.get(), three = third.get();
    REQUIRE(one.has_value());
    REQUIRE(two.has_value());
    REQUIRE(three.has_value());
    REQUIRE(two->repeated.size() == 1);
    CHECK(two->repeated[0].sequence == one->first);
    REQUIRE(three->repeated.size() == 1);
    CHECK(three->repeated[0].sequence == one->first);
    CHECK(three->first == one->first + 1);
    t.journal->stop();
}

TEST_CASE("what was only written is no answer to who is promised a sync")
{
    Threads t;
    auto first = t.commit({t.event(1, 1)}, Durability::os);
    REQUIRE(first.has_value());
    auto relaxed = t.commit({t.event(2, 1)}, Durability::os);
    REQUIRE(relaxed.has_value());
    CHECK(relaxed->repeated.size() == 1);
    auto strict = t.commit({t.event(3, 1)});
    REQUIRE(strict.has_value());
    CHECK(strict->repeated.empty());
    auto now_synced = t.commit({t.event(4, 1)});  // with what came before it
    REQUIRE(now_synced.has_value());
    REQUIRE(now_synced->repeated.size() == 1);
    CHECK(now_synced->repeated[0].sequence == first->first);
    t.journal->stop();
}

TEST_CASE("a journal that is told what came before knows it")
{
    Threads t;
    KnownEvents before;
    before.add(known(1, 3, t.clock.wall()), 100, t.clock.wall());
    t.journal->know(std::move(before));
    CHECK(t.journal->stats().known_keys == 1);
    auto again = t.commit({t.event(1, 1)}, Durability::os);
    REQUIRE(again.has_value());
    REQUIRE(again->repeated.size() == 1);
    CHECK(again->repeated[0].sequence == 3);
    CHECK(again->repeated[0].event == Id{key(1)});
    t.journal->stop();
}

TEST_CASE("a key is known though all segments of its time have been let go")
{
    Threads t;
    t.journal.reset();
    t.journal = *Journal::open(*t.disk, t.clock, t.random, t.options, JournalMarks{Id{}, 100, 3, 3});
    t.version = *t.journal->store_version(two_targets());
    REQUIRE(t.journal->recovery().last == 0);
    KnownEvents before;
    before.add(known(1, 3, t.clock.wall()), 100, t.clock.wall());
    t.journal->know(std::move(before));
    auto again = t.commit({t.event(1, 1)});
    REQUIRE(again.has_value());
    CHECK(again->repeated.size() == 1);
    t.journal->stop();
}
