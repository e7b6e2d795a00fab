// An event's body is erased: from its segment, from files that wait to be used again, and from nothing else.
#include <catch2/catch.hpp>

#include "router/journal/check.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

namespace {

Id id_of(std::uint64_t n)
{
    Id id;
    for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    return id;
}

/// What JournalDesk has keeper and writer do, one after the other.
Result<std::uint64_t> erase(Bench& bench, Log& log, const Id& event)
{
    EVENTYARD_CHECK(log.clear_spares());
    EVENTYARD_CHECK(log.appender().clear_tail(log.keeper().in_open_segment(event)));
    bench.chores(log);
    return log.keeper().erase(event);
}

/// Files that hold the body of event `n`.
std::vector<std::string> holders(const MemoryDisk& disk, std::uint64_t n)
{
    const std::string secret = R"({"n":)" + std::to_string(n) + ",";
    std::vector<std::string> paths;
    for (const std::string& path : disk.paths())
        if (disk.content(path).find(secret) != std::string::npos) paths.push_back(path);
    return paths;
}

/// A journal of events 1 to 5 that was closed, each committed in turn or all at once; the path of their segment.
std::string five_events(Bench& bench, bool at_once = false)
{
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    std::vector<CommitUnit> units;
    for (Sequence n = 1; n <= 5; ++n) {
        units.push_back(make_unit(n, 1, *version));
        if (at_once && n < 5) continue;
        REQUIRE((*log)->commit(units).has_value());
        units.clear();
    }
    return bench.options.directory + '/' + (*log)->segments().infos()[0].name;
}

void check_all_but(Log& log, std::uint64_t last, const std::set<std::uint64_t>& erased)
{
    for (const char* const target : {"webhook", "archive", "pager"}) {
        const LaneContent content = read_all(log, target);
        CHECK(content.damaged.empty());
        for (const auto& [sequence, body] : content.bodies)
            CHECK(body == (erased.contains(sequence) ? std::string{erased_body} : body_of(sequence)));
    }
    CHECK(read_all(log, "webhook").keys.size() == last - last / 5 + last / 35);
}

}  // namespace

TEST_CASE("an erased event keeps its sequence, id and routes, and its body is in no file")
{
    Bench bench;
    bench.options.segment_size = 6000;
    constexpr std::uint64_t last = 60;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    for (std::uint64_t n = 1; n <= last; n += 2) REQUIRE((*log)->commit({make_unit(n, 2, *version)}).has_value());
    bench.chores(**log);
    REQUIRE((*log)->segments().infos().size() > 2);

    for (const std::uint64_t n : {std::uint64_t{14}, last}) {  // sealed, and being written
        const auto found = (*log)->keeper().find(id_of(n));
        REQUIRE(found.has_value());
        REQUIRE(found->size() == 1);
        CHECK(found->front()->event.body == body_of(n));
        const auto before = (*log)->reader().tally(0, last);
        CHECK(erase(bench, **log, id_of(n)).value() == 1);
        CHECK(holders(*bench.disk, n).empty());
        CHECK((*log)->reader().tally(0, last).value() == before.value());
        const auto left = (*log)->reader().read_event(n);
        REQUIRE(left.has_value());
        CHECK(is_erased((*left)->event));
        CHECK((*left)->event.id == id_of(n));
        CHECK((*left)->event.received == found->front()->event.received);
        CHECK((*left)->routes == routes_of(n));
    }
    CHECK(erase(bench, **log, id_of(14)).value() == 1);  // again
    CHECK(erase(bench, **log, id_of(999)).value() == 0);
    check_all_but(**log, last, {14, last});
    REQUIRE((*log)->commit({make_unit(last + 1, 1, *version)}).has_value());
    log->reset();

    const auto check = check_journal(*bench.disk, bench.options.directory, {});
    REQUIRE(check.has_value());
    CHECK(check->good());
    auto again = bench.open();
    REQUIRE(again.has_value());
    CHECK((*again)->recovery().damaged.empty());
    CHECK((*again)->recovery().events == last + 1);
}

TEST_CASE("a file that waits to be used again, or is, gives up what a released segment left in it")
{
    Bench bench;
    bench.options.segment_size = 6000;
    bench.options.spare_segments = 2;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    std::uint64_t n = 0;
    const auto fill = [&](std::size_t segments) {
        while ((*log)->segments().infos().size() < segments) {
            ++n;
            REQUIRE((*log)->commit({make_unit(n, 1, *version)}).has_value());
        }
    };
    fill(3);
    bench.chores(**log);  // seals, and prepares files
    fill(5);              // which are used up
    const auto infos = (*log)->segments().infos();
    const Sequence first = infos[0].last, second = infos[1].last;
    (*log)->keeper().release({infos[0].name});
    fill(5);  // in the file that held it
    (*log)->keeper().release({infos[1].name});
    REQUIRE(holders(*bench.disk, first).size() == 1);
    REQUIRE(holders(*bench.disk, second).size() == 1);
    for (const Sequence gone : {first, second}) {
        CHECK(erase(bench, **log, id_of(gone)).value() == 0);
        CHECK(holders(*bench.disk, gone).empty());
    }
    const std::uint64_t until = n + 40;
    while (n < until) {
        ++n;
        REQUIRE((*log)->commit({make_unit(n, 1, *version)}).has_value());
    }
    const LaneContent content = read_all(**log, "webhook");
    CHECK(content.damaged.empty());
    for (const auto& [sequence, body] : content.bodies) CHECK(body == body_of(sequence));
}

TEST_CASE("a released segment that could not be removed is, before an erasure is answered")
{
    Bench bench;
    bench.options.spare_segments = GENERATE(0U, 2U);  // removed, or kept to be used again
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    Sequence n = 0;
    while ((*log)->segments().infos().size() < 3) REQUIRE((*log)->commit({make_unit(++n, 1, *version)}).has_value());
    (*log)->chores(0);
    const std::string failing = GENERATE("unlink", "rename", "sync_directory");
    bench.disk->fault = [&](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call == failing || call == "unlink") return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    (*log)->keeper().release({(*log)->segments().infos()[0].name});
    REQUIRE(holders(*bench.disk, 1).size() == 1);
    CHECK_FALSE(erase(bench, **log, id_of(1)).has_value());
    bench.disk->fault = {};
    CHECK(erase(bench, **log, id_of(1)).value() == 0);
    CHECK(holders(*bench.disk, 1).empty());
    // And what is in use stays.
    for (const Sequence until = n + 60; n < until;) REQUIRE((*log)->commit({make_unit(++n, 1, *version)}).has_value());
    log->reset();
    log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK((*log)->recovery().last == n);
}

TEST_CASE("of an event that can no longer be read the bytes go all the same")
{
    Bench bench;
    const std::string path = five_events(bench);
    auto log = bench.open();  // sealed, so its index stands in its footer
    REQUIRE(log.has_value());
    flip_body(*bench.disk, path, 3);
    // A target may have read it before: whoever erases learns whose deliveries it had.
    const auto found = (*log)->keeper().find(id_of(3));
    REQUIRE(found.has_value());
    REQUIRE(found->size() == 1);
    CHECK(found->front()->sequence == 3);
    CHECK(found->front()->event.body.empty());
    std::vector<std::string> targets, wanted;
    for (const std::uint32_t route : found->front()->routes)
        targets.push_back(found->front()->version->routes[route].target);
    for (const std::uint32_t route : routes_of(3)) wanted.push_back(two_targets().routes[route].target);
    CHECK(targets == wanted);
    CHECK(erase(bench, **log, id_of(3)).value() == 1);
    CHECK(holders(*bench.disk, 3).empty());
    CHECK(holders(*bench.disk, 2).size() == 1);
    const LaneContent left = read_all(**log, "webhook");
    CHECK(left.damaged.size() == 1);
    CHECK(left.bodies.size() == 3);
}

TEST_CASE("of what a start found damaged or torn and could not write down the bytes go, too")
{
    Bench bench;
    // In a batch above every mark, what rot hit looks torn, and so does what stands behind it.
    const bool torn = GENERATE(false, true);
    flip_body(*bench.disk, five_events(bench, torn), 3);
    bench.disk->fault = [](const std::string& call, const std::string& at) -> std::optional<Error> {
        if (call == "open" && at.ends_with(".tmp")) return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.size() == (torn ? 0 : 1));
    for (const std::uint64_t event : {3U, 4U}) {
        REQUIRE(holders(*bench.disk, event).size() >= 1);
        CHECK_FALSE(erase(bench, **log, id_of(event)).has_value());
    }
    bench.disk->fault = {};
    for (const std::uint64_t event : {3U, 4U}) {
        CHECK(erase(bench, **log, id_of(event)).has_value());
        for (const std::string& left : holders(*bench.disk, event)) CHECK(left.find("/quarantine/") != std::string::npos);
    }
}

TEST_CASE("of an event whose commit failed nothing is left in a segment that was never used")
{
    Bench bench;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    bench.disk->fault = [](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call == "sync") return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    REQUIRE_FALSE((*log)->commit({make_unit(1, 1, *version)}).has_value());
    REQUIRE(holders(*bench.disk, 1).size() == 1);
    CHECK_FALSE(erase(bench, **log, id_of(1)).has_value());
    bench.disk->fault = {};
    CHECK(erase(bench, **log, id_of(1)).value() == 0);
    CHECK(holders(*bench.disk, 1).empty());
}

TEST_CASE("of what rot made look like the torn end of the last write nothing is left by a start")
{
    Bench bench;
    const bool at_once = GENERATE(false, true);
    flip_body(*bench.disk, five_events(bench, at_once), 5);
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK(holders(*bench.disk, 5).empty());
    CHECK(erase(bench, **log, id_of(5)).value() == 0);
    CHECK(read_all(**log, "webhook").bodies.size() == 4);
    log->reset();
    const auto check = check_journal(*bench.disk, bench.options.directory, {});
    REQUIRE(check.has_value());
    CHECK(check->good());
}

TEST_CASE("power that goes at any step of erasing costs no event anything but the body that was to go")
{
    constexpr std::uint64_t last = 40;
    SeededRandom random{11};
    int steps = 0;
    for (const std::uint64_t n : {std::uint64_t{8}, last}) {
        bool finished = false;
        for (int step = 0; !finished; ++step, ++steps) {
            Bench bench;
            bench.options.segment_size = 6000;
            {
                auto log = bench.open();
                REQUIRE(log.has_value());
                const auto version = (*log)->versions().store_version(two_targets());
                REQUIRE(version.has_value());
                for (std::uint64_t i = 1; i <= last; ++i) REQUIRE((*log)->commit({make_unit(i, 1, *version)}).has_value());
                bench.chores(**log);
                int calls = 0;
                bench.disk->fault = [&](const std::string& call, const std::string&) -> std::optional<Error> {
                    if (call == "read" || call == "open" || calls++ < step) return std::nullopt;
                    return fail(Errc::io, "the power is gone");
                };
                finished = erase(bench, **log, id_of(n)).has_value();
                if (finished) CHECK(holders(*bench.disk, n).empty());
            }
            bench.disk->fault = nullptr;
            bench.disk->crash(random);
            INFO("event " << n << ", step " << step);
            JournalMarks marks;
            marks.synced = marks.answered = last;
            auto log = bench.open(marks);
            REQUIRE(log.has_value());
            CHECK((*log)->recovery().damaged.empty());
            CHECK((*log)->recovery().lost_last == 0);
            CHECK((*log)->recovery().events == last);
            const auto left = (*log)->reader().read_event(n);
            REQUIRE(left.has_value());
            check_all_but(**log, last, is_erased((*left)->event) ? std::set{n} : std::set<std::uint64_t>{});
            if (finished) CHECK(is_erased((*left)->event));
            CHECK(erase(bench, **log, id_of(n)).value() == 1);
            CHECK(holders(*bench.disk, n).empty());
            check_all_but(**log, last, {n});
        }
    }
    CHECK(steps > 20);
}
