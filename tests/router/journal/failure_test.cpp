// Disks that fail, fill up, tear and forget.
#include <catch2/catch.hpp>

#include "router/journal/check.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

TEST_CASE("after a power cut everything answered is there, and units are whole or absent")
{
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        INFO("seed " << seed);
        Bench bench;
        bench.random = SeededRandom{seed};
        SeededRandom chance{seed * 7919};
        std::map<Sequence, std::uint64_t> answered, written;  // sequence -> n
        std::uint64_t n = 0;
        for (int life = 0; life < 4; ++life) {
            auto log = bench.open();
            REQUIRE(log.has_value());
            CHECK((*log)->recovery().damaged.empty());
            for (const auto& [sequence, number] : answered) {
                auto event = (*log)->reader().read_event(sequence);
                REQUIRE(event.has_value());
                REQUIRE((*event)->event.body == body_of(number));
            }
            if (!written.empty()) REQUIRE((*log)->appender().last() >= answered.rbegin()->first);
            auto version = (*log)->versions().store_version(two_targets());
            REQUIRE(version.has_value());
            const std::uint64_t commits = 1 + chance.next() % 20;
            for (std::uint64_t c = 0; c <= commits; ++c) {
                const bool last = c == commits;  // written, but the machine stops before the sync
                if (last)
                    bench.disk->fault = [](const std::string& call, const std::string&) {
                        return call == "sync" ? std::optional{fail(Errc::io, "power")} : std::nullopt;
                    };
                std::vector<CommitUnit> units;
                const auto size = static_cast<std::uint32_t>(1 + chance.next() % 3);
                units.push_back(make_unit(n + 1, size, *version));
                const bool done = (*log)->commit(units).has_value();
                for (const auto& event : units[0].events) {
                    ++n;
                    if (done) answered[event->sequence] = n;
                    if (event->sequence != 0) written[event->sequence] = n;
                }
                if (!last && chance.next() % 3 == 0) bench.chores(**log);
            }
            log->reset();
            bench.disk->fault = nullptr;
            bench.disk->crash(chance);
        }
    }
}

TEST_CASE("while a start cannot tell what it drops, nothing passes what a later start may keep")
{
    Bench bench;
    {
        auto log = bench.open();
        auto version = (*log)->versions().store_version(two_targets());
        std::vector<CommitUnit> units;
        units.push_back(make_unit(1, 1, *version));
        REQUIRE((*log)->commit(units).has_value());
        // A block of two units whose sync fails, and of which the disk then keeps the second only.
        bench.disk->fault = [](const std::string& call, const std::string&) {
            return call == "sync" ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
        };
        units.clear();
        units.push_back(make_unit(2, 1, *version));
        units.push_back(make_unit(3, 1, *version));
        REQUIRE_FALSE((*log)->commit(units).has_value());
    }
    bench.disk->fault = nullptr;
    std::string segment;
    for (const std::string& path : bench.disk->paths())
        if (bench.disk->content(path).find(body_of(3)) != std::string::npos) segment = path;
    REQUIRE(segment != "");
    std::string bytes = bench.disk->content(segment);
    bytes[bytes.find(body_of(2)) + 3] ^= 1;
    bench.disk->set_content(segment, bytes);

    // No new file can be written, so the hole at 2 cannot be told.
    bench.disk->fault = [](const std::string& call, const std::string& path) {
        const bool takes_none = path.ends_with(".tmp") || path.find("spare-") != std::string::npos;
        return (call == "open" || call == "write") && takes_none ? std::optional{fail(Errc::no_space, "full")} : std::nullopt;
    };
    const JournalMarks marks{Id{}, 100, 1, 1};
    {
        auto journal = Journal::open(*bench.disk, bench.clock, bench.random, bench.options, marks);
        REQUIRE(journal.has_value());
        CHECK((*journal)->recovery().last == 1);
        CHECK((*journal)->last() >= 100);
        CHECK((*journal)->synced() == 1);  // a position above it would pass 3, which the next start finds
        (*journal)->stop();
    }
    bench.disk->fault = nullptr;
    auto journal = Journal::open(*bench.disk, bench.clock, bench.random, bench.options, marks);
    REQUIRE(journal.has_value());
    CHECK((*journal)->recovery().last == 3);
    CHECK((*journal)->recovery().damaged.empty());
    CHECK((*journal)->synced() == (*journal)->last());
    (*journal)->stop();
}

TEST_CASE("a failed sync closes the segment, its events stay unknown and their numbers unused")
{
    Bench bench;
    auto log = bench.open();
    auto version = (*log)->versions().store_version(two_targets());
    const auto commit = [&](std::uint64_t n) {
        std::vector<CommitUnit> units;
        units.push_back(make_unit(n, 1, *version));
        return (*log)->commit(units);
    };
    REQUIRE(commit(1).has_value());
    bool failing = true;
    bench.disk->fault = [&](const std::string& call, const std::string&) {
        return failing && call == "sync" ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
    };
    auto failed = commit(2);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Errc::io);
    CHECK((*log)->appender().broken());
    REQUIRE_FALSE(commit(3).has_value());  // the probe fails as well, nothing is numbered
    CHECK((*log)->appender().last() == 2);
    failing = false;
    REQUIRE(commit(3).has_value());
    CHECK((*log)->appender().last() == 3);
    bench.chores(**log);
    for (int start = 0; start < 2; ++start) {
        INFO("start " << start);
        CHECK((*log)->reader().read_event(1).has_value());
        CHECK((*log)->reader().read_event(2).error().code == Errc::not_found);
        CHECK((*(*log)->reader().read_event(3))->event.body == body_of(3));
        log->reset();
        log = bench.open();
        REQUIRE(log.has_value());
        CHECK((*log)->recovery().damaged.empty());
        CHECK((*log)->recovery().events == 2);
    }
}

TEST_CASE("a start gives out nothing that it cannot sync")
{
    Bench bench;
    bool failing = false;
    bench.disk->fault = [&](const std::string& call, const std::string&) {
        return failing && call == "sync" ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
    };
    {
        auto log = bench.open();
        auto version = (*log)->versions().store_version(two_targets());
        std::vector<CommitUnit> units;
        units.push_back(make_unit(1, 1, *version));
        REQUIRE((*log)->commit(units).has_value());
        failing = true;
        units.front() = make_unit(2, 1, *version);
        REQUIRE_FALSE((*log)->commit(units).has_value());  // written, not synced
    }
    REQUIRE_FALSE(bench.open().has_value());
    failing = false;
    SeededRandom chance{3};
    REQUIRE(bench.open().has_value());
    bench.disk->crash(chance);  // what was given out must be there for good
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK((*log)->reader().read_event(2).has_value());
}

TEST_CASE("start continues above the reservation and tells another store's state apart")
{
    Bench bench;
    auto log = bench.open();
    const Id store = (*log)->recovery().store;
    auto version = (*log)->versions().store_version(two_targets());
    std::vector<CommitUnit> units;
    units.push_back(make_unit(1, 2, *version));
    REQUIRE((*log)->commit(units).has_value());
    log->reset();

    log = bench.open({store, 500, 2, 4});
    REQUIRE(log.has_value());
    CHECK((*log)->appender().last() == 500);
    CHECK((*log)->recovery().lost_first == 3);
    CHECK((*log)->recovery().lost_last == 4);
    CHECK((*log)->recovery().damaged.empty());
    CHECK_FALSE((*log)->recovery().store_mismatch);
    log->reset();

    Id other;
    other.bytes[0] = 9;
    log = bench.open({other, 90'000, 80'000, 80'000});
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().store_mismatch);
    CHECK((*log)->appender().last() < 80'000);
    CHECK((*log)->recovery().damaged.empty());
    auto second = bench.open();
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::conflict);
}

TEST_CASE("released segments are recycled unless linked, rewritten ones keep what is wanted")
{
    Bench bench;
    bench.options.spare_segments = 2;
    auto log = bench.open();
    auto version = (*log)->versions().store_version(two_targets());
    for (std::uint64_t n = 1; n <= 120; ++n) {
        std::vector<CommitUnit> units;
        units.push_back(make_unit(n, 1, *version));
        REQUIRE((*log)->commit(units).has_value());
        bench.chores(**log);
    }
    auto infos = (*log)->segments().infos();
    REQUIRE(infos.size() > 4);
    const SegmentInfo kept = infos[1];
    REQUIRE((*log)->keeper()
                .rewrite(kept.name,
                         [](const StoredEvent& event, std::uint32_t route) {
                             return event.version->routes[event.routes[route]].target == "pager";
                         })
                .has_value());
    (*log)->keeper().release({infos[0].name});
    for (int start = 0; start < 2; ++start) {
        std::set<DeliveryKey> pager, webhook;
        for (Sequence n = kept.first; n <= 120; ++n) {
            if (n % 7 == 0) pager.insert({n, 1});
            if (n > kept.last && routes_of(n).front() == 0) webhook.insert({n, 0});
        }
        CHECK(read_all(**log, "pager").keys == pager);
        CHECK(read_all(**log, "webhook").keys == webhook);
        CHECK((*log)->recovery().damaged.empty());
        log->reset();
        log = bench.open();
        REQUIRE(log.has_value());
    }
}

TEST_CASE("what the power took of events that nobody had synced is declared, also where a later segment tells of them")
{
    Bench bench;
    bool failing = false;
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (failing && (call == "sync" || path.ends_with(".tmp"))) return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    std::string path;
    {
        auto log = bench.open();
        const auto version = (*log)->versions().store_version(two_targets());
        path = bench.options.directory + '/' + (*log)->segments().infos()[0].name;
        std::vector<CommitUnit> units;
        for (Sequence n = 1; n <= 5; ++n) {
            units.clear();
            units.push_back(make_unit(n, 1, *version));
            if (n > 3) units.front().durability = Durability::os;
            REQUIRE((*log)->commit(units).has_value());
        }
        units.clear();
        units.push_back(make_unit(6, 1, *version));
        failing = true;
        REQUIRE_FALSE((*log)->commit(units).has_value());
        bench.chores(**log);
        failing = false;
        REQUIRE((*log)->appender().ready(0).has_value());  // its header begins behind 5
    }
    const std::size_t lost = GENERATE(1U, 2U);
    for (Sequence n = 5; n > 5 - lost; --n) flip_body(*bench.disk, path, n);
    for (int start = 0; start < 3; ++start) {
        auto log = bench.open();
        REQUIRE(log.has_value());
        CHECK((*log)->recovery().damaged.empty());
        CHECK((*log)->recovery().lost_last == 0);
        CHECK((*log)->recovery().events == 5 - lost);
        log->reset();
        const auto check = check_journal(*bench.disk, bench.options.directory, {});
        REQUIRE(check.has_value());
        CHECK(check->good());
    }
}
