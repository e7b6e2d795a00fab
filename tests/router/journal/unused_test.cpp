// Segments that end without an event: what their headers tell, and how long they stay.
#include <catch2/catch.hpp>

#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

namespace {

/// Events 1 to 3 in one segment, and a second one that has its header only.
struct TwoSegments : Bench {
    std::unique_ptr<Log> log;
    RoutingVersionPtr version;
    JournalMarks marks;
    std::string used, unused;  // paths

    explicit TwoSegments(std::uint32_t spares = 0)
    {
        options.spare_segments = spares;
        log = *open();
        marks = {log->recovery().store, 500, 3, 3};
        version = *log->versions().store_version(two_targets());
        REQUIRE(log->commit({make_unit(1, 3, version)}).has_value());
        reopen();
        const auto infos = log->segments().infos();
        REQUIRE(infos.size() == 2);
        used = options.directory + '/' + infos[0].name;
        unused = options.directory + '/' + infos[1].name;
    }
    void reopen()
    {
        log.reset();
        auto opened = open(marks);
        REQUIRE(opened.has_value());
        log = std::move(*opened);
    }
    void release_used() { log->keeper().release({used.substr(options.directory.size() + 1)}); }
};

}  // namespace

TEST_CASE("a segment that failed unused hides nothing behind it, should its name stay")
{
    Bench bench;
    bool failing = false;
    bench.disk->fault = [&](const std::string& call, const std::string&) {
        return failing && (call == "sync" || call == "unlink") ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
    };
    {
        auto log = bench.open();
        auto version = (*log)->versions().store_version(two_targets());
        std::vector<CommitUnit> units;
        units.push_back(make_unit(1, 1, *version));
        failing = true;
        REQUIRE_FALSE((*log)->commit(units).has_value());
        bench.chores(**log);
        failing = false;
        units.front() = make_unit(2, 1, *version);
        REQUIRE((*log)->commit(units).has_value());
    }
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK((*log)->reader().read_event(2).has_value());
}

TEST_CASE("what was let go is not taken for lost when only an unused segment is left")
{
    TwoSegments bench{1};
    bench.release_used();
    for (int start = 0; start < 3; ++start) {
        bench.reopen();
        CHECK(bench.log->recovery().lost_last == 0);
        CHECK(bench.log->appender().last() >= 500);
    }
    // With no segment at all something is missing.
    bench.log.reset();
    for (const std::string& name : *bench.disk->list("/data/journal"))
        if (name.ends_with(".seg")) REQUIRE(bench.disk->unlink("/data/journal/" + name).has_value());
    bench.reopen();
    CHECK(bench.log->recovery().lost_first == 1);
    CHECK(bench.log->recovery().lost_last == 3);
}

TEST_CASE("what was let go is not taken for lost when the first write to the next segment fails")
{
    TwoSegments bench;
    bench.release_used();
    REQUIRE_FALSE(bench.disk->exists(bench.used));
    bench.disk->fault = [](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call == "write") return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    CHECK_FALSE(bench.log->commit({make_unit(4, 1, bench.version)}).has_value());
    bench.log->chores(0);
    bench.log.reset();
    bench.disk->fault = {};
    bench.reopen();
    CHECK(bench.log->recovery().lost_last == 0);
    CHECK(bench.log->recovery().damaged.empty());
    CHECK(bench.log->appender().last() >= 500);
}

TEST_CASE("the only header stays until the next one is on disk, also over starts that cannot write it")
{
    TwoSegments bench;
    bench.release_used();
    bench.log.reset();
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (call == "sync" && path.ends_with(".seg") && path != bench.unused) return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    for (int start = 0; start < 3; ++start) {
        bench.reopen();
        bench.log->chores(0);
        CHECK(bench.disk->exists(bench.unused));
        CHECK(bench.log->recovery().lost_last == 0);
    }
    bench.log.reset();
    bench.disk->fault = {};
    bench.reopen();
    bench.log->chores(0);
    CHECK_FALSE(bench.disk->exists(bench.unused));
    bench.reopen();
    CHECK(bench.log->recovery().lost_last == 0);
}

TEST_CASE("a segment whose first write failed goes once the next one has begun")
{
    Bench bench;
    bench.options.spare_segments = 0;
    auto log = bench.open();
    auto version = (*log)->versions().store_version(two_targets());
    const std::string first = bench.options.directory + '/' + (*log)->segments().infos()[0].name;
    bench.disk->fault = [](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call == "write") return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    CHECK_FALSE((*log)->commit({make_unit(1, 1, *version)}).has_value());
    (*log)->chores(0);
    CHECK(bench.disk->exists(first));
    bench.disk->fault = {};
    REQUIRE((*log)->commit({make_unit(2, 1, *version)}).has_value());
    (*log)->chores(0);
    CHECK_FALSE(bench.disk->exists(first));
    log->reset();
    log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK(read_all(**log, "webhook").bodies.size() == 1);
}

TEST_CASE("what tells of a segment that was never used stays as long as that one cannot be removed")
{
    Bench bench;
    bench.options.spare_segments = 0;
    auto log = bench.open();
    const JournalMarks marks{(*log)->recovery().store, 500, 0, 0};
    auto version = (*log)->versions().store_version(two_targets());
    const std::string unused = bench.options.directory + '/' + (*log)->segments().infos()[0].name;
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (path == unused && (call == "unlink" || call == "sync")) return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    CHECK_FALSE((*log)->commit({make_unit(1, 3, *version)}).has_value());
    std::uint64_t n = 3;
    while ((*log)->segments().infos().size() < 3) REQUIRE((*log)->commit({make_unit(++n, 1, *version)}).has_value());
    (*log)->chores(0);
    const SegmentInfo next = (*log)->segments().infos()[0];
    (*log)->keeper().release({next.name});
    CHECK(bench.disk->exists(unused));
    CHECK(bench.disk->exists(bench.options.directory + '/' + next.name));
    const JournalMarks later{marks.store, 500, n, n};
    log->reset();
    log = bench.open(later);
    REQUIRE_FALSE(log.has_value());  // it cannot be removed now either: a start that goes on would know less
    bench.disk->fault = {};
    log = bench.open(later);
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK_FALSE(bench.disk->exists(unused));
    (*log)->keeper().release({next.name});
    CHECK_FALSE(bench.disk->exists(bench.options.directory + '/' + next.name));
}

TEST_CASE("what a failed write left in a segment is not taken for damage once the header that told of it went")
{
    TwoSegments bench;
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (call == "unlink" || (call == "sync" && path == bench.unused)) return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    CHECK_FALSE(bench.log->commit({make_unit(4, 2, bench.version)}).has_value());
    bench.log->chores(0);
    bench.disk->fault = {};
    REQUIRE(bench.log->appender().ready(0).has_value());  // its header tells of the hole
    bench.log.reset();
    flip_body(*bench.disk, bench.unused, 4);  // the power took it
    for (int start = 0; start < 3; ++start) {
        bench.reopen();
        CHECK(bench.log->recovery().damaged.empty());
        CHECK(bench.log->recovery().lost_last == 0);
        CHECK(read_all(*bench.log, "webhook").bodies.size() == 3);
        CHECK_FALSE(bench.disk->exists(bench.unused));
    }
}

// A bug once, found by the simulator: the header that told of the hole went with its segment, and a start took in what
// had been answered as unknown, behind events that were counted already.
TEST_CASE("what a commit left uncertain stays out when the segment that said so was never used")
{
    Bench bench;
    std::string failing;
    bench.disk->fault = [&](const std::string& call, const std::string&) {
        return call == failing ? std::optional{fail(Errc::io, "EIO")} : std::nullopt;
    };
    {
        auto log = bench.open();
        const auto version = (*log)->versions().store_version(two_targets());
        std::vector<CommitUnit> units;
        units.push_back(make_unit(1, 1, *version));
        REQUIRE((*log)->commit(units).has_value());
        failing = "sync";
        units.front() = make_unit(2, 1, *version);
        REQUIRE_FALSE((*log)->commit(units).has_value());  // written, not synced: uncertain
        failing = "";
        REQUIRE((*log)->appender().ready(1000).has_value());  // the next segment, whose header says so
        failing = "write";
        units.front() = make_unit(3, 1, *version);
        REQUIRE_FALSE((*log)->commit(units).has_value());
        bench.chores(**log);  // removes it, and cannot seal the first
        failing = "";
        units.front() = make_unit(4, 1, *version);
        REQUIRE((*log)->commit(units).has_value());
    }
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK((*log)->recovery().events == 2);
    CHECK((*log)->reader().read_event(2).error().code == Errc::not_found);
    CHECK((*log)->reader().read_event(4).has_value());
}

// As above, over a start: an older segment that is sealed says nothing of the hole.
TEST_CASE("what a commit left uncertain stays out as long as the segment that holds it cannot be sealed")
{
    TwoSegments bench;  // the first one is sealed
    bool sync_fails = false, full = false, directory_fails = false, teller_fails = false;
    std::string teller;
    int writes = 0;  // the second of a start is the one that would seal in place
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (((sync_fails || (teller_fails && path == teller)) && call == "sync") || (directory_fails && call == "sync_directory")) return fail(Errc::io, "EIO");
        const bool new_file = call == "open" && (path.ends_with(".tmp") || path.find("/spare-") != std::string::npos);
        if (full && (new_file || (call == "write" && ++writes == 2))) return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    REQUIRE(bench.log->commit({make_unit(4, 1, bench.version)}).has_value());
    sync_fails = true;
    REQUIRE_FALSE(bench.log->commit({make_unit(5, 1, bench.version)}).has_value());  // written, not synced: uncertain
    sync_fails = false;
    REQUIRE(bench.log->appender().ready(1000).has_value());  // the next segment, whose header says so
    teller = bench.options.directory + '/' + bench.log->segments().infos().back().name;
    full = true;
    for (int start = 0; start < 3; ++start) {
        writes = 0;
        bench.reopen();
        bench.log->chores(0);
        CHECK(bench.log->recovery().damaged.empty());
        CHECK(bench.log->recovery().last == 501);
        CHECK(bench.disk->exists(teller));
        CHECK(bench.log->decided() > 501);
    }
    // A header that may be in the page cache only could go with the power, and what it cuts come back.
    teller_fails = true;
    writes = 0;
    bench.reopen();
    CHECK(bench.log->recovery().last == 501);
    CHECK(bench.log->decided() == 501);
    teller_fails = false;
    full = false;
    directory_fails = true;  // a crash may show the former file again, though it was rewritten
    bench.log->chores(0);
    bench.log->chores(0);
    CHECK(bench.disk->exists(teller));
    directory_fails = false;
    bench.log->chores(0);
    CHECK_FALSE(bench.disk->exists(teller));
    bench.reopen();
    CHECK(bench.log->recovery().last == 501);
    CHECK(read_all(*bench.log, "webhook").damaged.empty());
}
