// Archives at work: what retention removes, and what a full disk makes them wait for.
#include "tests/router/past/bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

void archive_all(Bench& bench)
{
    for (int turn = 0; turn < 30; ++turn) bench.tick(1s);
}

ArchiveStatus status(const Bench& bench)
{
    const auto all = bench.archives->status();
    REQUIRE(all.size() == 1);
    return all.front();
}

/// Sequences in the archive, as they stand there.
std::vector<Sequence> archived(Bench& bench)
{
    std::vector<Sequence> all;
    for (const ArchiveFilePtr& file : bench.archives->files("default"))
        for (std::size_t i = 0; i < file->footer.blocks.size(); ++i) {
            const auto open = bench.disk.open(file->path, OpenMode::read);
            REQUIRE(open.has_value());
            const auto events = read_archive_block(**open, file->footer, i);
            REQUIRE(events.has_value());
            for (const ArchivedEvent& event : *events) all.push_back(event.sequence);
        }
    return all;
}

std::vector<Sequence> between(Sequence first, Sequence last)
{
    std::vector<Sequence> all;
    for (Sequence n = first; n <= last; ++n) all.push_back(n);
    return all;
}

}  // namespace

TEST_CASE("retention by age removes a file when its youngest event is too old, and counts what went")
{
    Bench bench;
    bench.archive(1h);
    bench.post(57);
    archive_all(bench);
    bench.clock.pass(30min);
    const Sequence morning = status(bench).through;
    bench.post(60);
    archive_all(bench);
    const Sequence through = status(bench).through;
    REQUIRE(morning > 20);
    REQUIRE(through > 80);
    CHECK(archived(bench) == between(1, through));

    // One segment holds events of both times: it stays as long as the younger ones may.
    bench.clock.pass(30min);
    archive_all(bench);
    CHECK(archived(bench) == between(morning + 1, through));
    CHECK(status(bench).removed == morning);
    CHECK(status(bench).oldest == morning + 1);
    CHECK(status(bench).through == through);

    bench.clock.pass(1h);
    archive_all(bench);
    CHECK(archived(bench).empty());
    CHECK(status(bench).removed == through);
    for (const std::string& path : bench.disk.paths()) CHECK_FALSE(path.ends_with(".eya"));

    // What went is not archived again, and what comes is.
    bench.post(60);
    archive_all(bench);
    CHECK(archived(bench) == between(through + 1, status(bench).through));
    CHECK(status(bench).through > through + 40);
}

TEST_CASE("an archive on a full disk waits and says so, its segments are kept, and it goes on when there is space")
{
    // The archive's file, or the mark that it is there.
    const std::string full = GENERATE(".eya.tmp", "/through");
    INFO(full);
    Bench bench;
    bench.archive();
    bench.post(5);
    archive_all(bench);
    REQUIRE(status(bench).error.empty());
    const Sequence before = status(bench).through;
    REQUIRE(before < 5);
    bool space = false;
    bench.disk.fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (space || call != "write" || path.find("/archive/") == std::string::npos || path.find(full) == std::string::npos)
            return std::nullopt;
        return fail(Errc::no_space, "no space left on '" + path + "'");
    };
    bench.post(60);
    archive_all(bench);
    CHECK(status(bench).error.find("no space left") != std::string::npos);
    CHECK(status(bench).through == before);
    CHECK(bench.archives->through(*bench.table) == before);  // up to which segments may go
    for (const std::string& path : bench.disk.paths()) CHECK_FALSE(path.ends_with(".eya.tmp"));

    space = true;
    archive_all(bench);
    const Sequence through = status(bench).through;
    CHECK(status(bench).error.empty());
    CHECK(through > 40);
    CHECK(archived(bench) == between(1, through));
    bench.reopen();
    archive_all(bench);
    CHECK(archived(bench) == between(1, status(bench).through));
}
