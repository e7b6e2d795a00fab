// Reading a whole journal: damage that a start would not look for is found, named and repaired.
#include <catch2/catch.hpp>

#include "router/journal/check.hpp"
#include "router/journal/repair.hpp"
#include "router/journal/scan.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

namespace {

/// Some sealed segments and an open one.
struct Written {
    Bench bench;
    Sequence last = 0;
    std::vector<SegmentInfo> segments;

    Written()
    {
        bench.options.segment_size = 6000;
        bench.options.spare_segments = 0;
        auto log = bench.open();
        REQUIRE(log.has_value());
        const auto version = (*log)->versions().store_version(two_targets());
        REQUIRE(version.has_value());
        while ((*log)->segments().infos().size() < 4) {
            REQUIRE((*log)->commit({make_unit(last + 1, 2, *version)}).has_value());
            last += 2;
            bench.chores(**log);
        }
        segments = (*log)->segments().infos();
    }
    [[nodiscard]] std::string path(std::size_t i) const { return bench.options.directory + "/" + segments[i].name; }
    [[nodiscard]] std::string content(std::size_t i) const { return bench.disk->content(path(i)); }
    void flip(std::size_t i, std::uint64_t at)
    {
        std::string bytes = content(i);
        bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
        bench.disk->set_content(path(i), bytes);
    }
    [[nodiscard]] Scan scan(std::size_t i) const
    {
        auto file = bench.disk->open(path(i), OpenMode::read);
        return scan_segment(**file, content(i).size(), parse_segment_name(segments[i].name)->second);
    }
    JournalCheck check(JournalMarks marks = {})
    {
        auto found = check_journal(*bench.disk, bench.options.directory, marks);
        REQUIRE(found.has_value());
        return *found;
    }
    Repair repair()
    {
        auto done = repair_journal(*bench.disk, bench.random, bench.options.directory, {});
        if (!done.has_value()) FAIL(done.error().what);
        return *done;
    }
};

std::uint64_t events_of(const JournalCheck& check)
{
    std::uint64_t sum = 0;
    for (const SegmentCheck& segment : check.segments) sum += segment.events;
    return sum;
}

}  // namespace

TEST_CASE("a whole journal is good, and all of its events are counted")
{
    Written journal;
    const JournalCheck check = journal.check();
    CHECK(check.good());
    CHECK(check.segments.size() == 4);
    CHECK(check.segments[0].kind == SegmentCheck::Kind::sealed);
    CHECK(check.segments[3].kind == SegmentCheck::Kind::open);
    CHECK(events_of(check) == journal.last);
    CHECK(check.segments[0].first == 1);
    CHECK(check.segments[3].last == journal.last);
    const auto before = journal.content(1);
    CHECK_FALSE(journal.repair().changed());
    CHECK(journal.content(1) == before);
}

TEST_CASE("a flipped byte anywhere in a sealed segment is found, and gone after a repair")
{
    Written fresh;
    const std::uint64_t size = fresh.content(1).size();
    const Scan frames = fresh.scan(1);
    for (std::uint64_t at = 0; at < size; at += at < segment_data_start ? 61 : 13) {
        // Bytes between the header's copies, commit frames and padding hold nothing that would be missed.
        const bool in_header = at < 512 || (at >= 2048 && at < 2560);
        bool in_event = false;
        Sequence hit = 0;
        for (const ScannedEvent& event : frames.events)
            if (at >= event.offset && at < event.offset + event.size) hit = event.sequence, in_event = true;
        const bool in_footer = at >= frames.end;
        INFO("byte " << at << " of " << size);
        Written journal;
        const std::string whole = journal.content(1);
        journal.flip(1, at);
        const std::string broken = journal.content(1);
        const JournalCheck check = journal.check();
        if (in_header) CHECK_FALSE(check.good());
        // Without a footer it is as after a crash before it was sealed: a start makes a new one.
        if (in_footer) CHECK((!check.good() || check.segments[1].kind == SegmentCheck::Kind::open));
        if (!in_event) CHECK(check.segments[1].damage.empty());
        if (check.good()) continue;
        if (!check.segments[1].damage.empty()) {
            REQUIRE(check.segments[1].damage.size() == 1);
            CHECK(check.segments[1].damage[0].first == hit);
        }
        const Repair repair = journal.repair();
        CHECK(repair.after.good());
        REQUIRE(repair.originals.size() == 1);
        CHECK(journal.bench.disk->content(repair.originals[0]) == broken);
        const std::uint64_t lost = check.segments[1].damage.size();
        CHECK(events_of(repair.after) == journal.last - lost);
        // A start takes it, and its lanes are told what is damaged.
        auto log = journal.bench.open();
        REQUIRE(log.has_value());
        CHECK((*log)->recovery().damaged.empty());
        const LaneContent content = read_all(**log, "webhook");
        std::size_t wanted = 0;
        for (Sequence n = 1; n <= journal.last; ++n) {
            const auto routes = routes_of(n);
            const bool mine = std::find(routes.begin(), routes.end(), 0U) != routes.end();
            if (mine && !(lost > 0 && n == hit)) ++wanted;
            if (mine && !(lost > 0 && n == hit)) CHECK(content.bodies.count(n) == 1);
        }
        CHECK(content.bodies.size() == wanted);
    }
}

TEST_CASE("a damaged body still names its deliveries after a repair")
{
    Written journal;
    const Scan frames = journal.scan(0);
    const ScannedEvent& event = frames.events[2];
    journal.flip(0, event.offset + event.size - 20);
    const JournalCheck check = journal.check();
    REQUIRE(check.segments[0].damage.size() == 1);
    CHECK(check.segments[0].damage[0].first == event.sequence);
    CHECK(check.segments[0].damage[0].offset == event.offset);
    CHECK(check.segments[0].damage[0].routes.size() == routes_of(event.sequence).size());
    const Repair repair = journal.repair();
    CHECK(repair.after.segments[0].declared == 1);
    auto log = journal.bench.open();
    REQUIRE(log.has_value());
    CHECK(read_all(**log, "webhook").damaged.size() == 1);
}

TEST_CASE("a torn tail is no damage, what the state knows to be synced is")
{
    Written journal;
    const Scan frames = journal.scan(3);
    REQUIRE_FALSE(frames.events.empty());
    const ScannedEvent& last = frames.events.back();
    journal.flip(3, last.offset + last.size - 20);
    CHECK(journal.check().good());
    CHECK(journal.check().segments[3].torn_bytes > 0);
    JournalMarks marks;
    marks.synced = journal.last;
    const JournalCheck check = journal.check(marks);
    REQUIRE(check.segments[3].damage.size() == 1);
    CHECK(check.segments[3].damage[0].last == journal.last);
    marks.synced = journal.last + 5;
    journal.bench.disk->remove(journal.path(3));
    CHECK(journal.check(marks).lost_last == journal.last + 5);
}

TEST_CASE("a lost copy of a routing version is told and mended")
{
    Written journal;
    journal.bench.disk->remove(journal.bench.options.directory + "/routing/1.a");
    // Versions::open() mends what it finds, so the first look is the one that tells.
    const JournalCheck check = journal.check();
    CHECK_FALSE(check.good());
    CHECK(check.bad_versions.size() == 1);
    CHECK(journal.check().good());
}

TEST_CASE("a repair refuses what the disk does not give and what is newer")
{
    Written journal;
    journal.flip(1, segment_data_start + 100);
    journal.bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (call == "read" && path == journal.path(2)) return fail(Errc::io, "bad sector");
        return std::nullopt;
    };
    const auto refused = repair_journal(*journal.bench.disk, journal.bench.random, journal.bench.options.directory, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::io);
    CHECK(refused.error().what.find(journal.segments[2].name) == 0);
    journal.bench.disk->fault = nullptr;
    CHECK(journal.repair().after.good());
}
