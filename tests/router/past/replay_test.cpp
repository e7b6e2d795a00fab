// Replays that wait, end and go on: what they count, and what they say.
#include <fcntl.h>
#include <unistd.h>

#include "tests/router/past/bench.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

/// What the log says while this lives.
class Heard {
public:
    Heard() : file_(::open(directory_.file("log").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), stderr_(::dup(2)) { ::dup2(file_, 2); }
    ~Heard()
    {
        ::dup2(stderr_, 2);
        ::close(stderr_);
        ::close(file_);
    }
    [[nodiscard]] bool says(const std::string& what) const
    {
        return support::read_text(directory_.file("log")).find(what) != std::string::npos;
    }

private:
    support::TempDir directory_;
    int file_, stderr_;
};

/// The target refuses what is new.
std::shared_ptr<Gate> close_gate(Bench& bench)
{
    const auto gate = std::make_shared<Gate>();
    gate->target = "hook";
    gate->closed = true;
    bench.table->gates = {gate};
    return gate;
}

std::string body(std::uint64_t n) { return R"({"n":)" + std::to_string(n) + '}'; }

}  // namespace

TEST_CASE("a replay counts what it cannot read once, however often it waits on the way")
{
    Bench bench;
    const WallTime posted = bench.clock.wall();
    bench.post(4, [](std::uint64_t n) { return n == 2 ? std::string{"{"} : body(n); });
    const auto gate = close_gate(bench);
    REQUIRE(bench.replays->replay(*bench.table, {}, {}).has_value());
    for (int turn = 0; turn < 3; ++turn) {
        bench.tick();
        const ReplayJob job = bench.job(1);
        CHECK(job.message.find("over its budget") != std::string::npos);
        CHECK(job.read == 0);
        CHECK(job.unreadable == 0);
        CHECK(job.earliest == WallTime{});
    }
    gate->closed = false;
    bench.tick();
    const ReplayJob job = bench.job(1);
    CHECK(job.state == ReplayState::done);
    CHECK(job.read == 4);
    CHECK(job.unreadable == 1);
    CHECK(job.earliest == job.latest);
    CHECK(job.earliest == posted);
    CHECK(bench.replayed() == std::vector<std::uint64_t>{1, 3, 4});
}

TEST_CASE("a replay that was killed beside its last batch counts that batch once, however often it looks for it")
{
    Bench bench;
    bench.post(10, [](std::uint64_t n) { return n == 2 ? std::string{"{"} : body(n); });
    REQUIRE(bench.replays->replay(*bench.table, {}, {}).has_value());
    const std::string file = "/data/replays/1.json";
    std::string intended;
    bench.journal->before_submit = [&] { intended = bench.disk.content(file); };
    bench.tick();
    REQUIRE(bench.job(1).state == ReplayState::done);
    bench.journal->before_submit = nullptr;
    bench.post(300);  // more than one look takes in
    bench.disk.set_content(file, intended);
    bench.reopen();

    int looks = 0;
    bench.journal->before_read = [&] { ++looks; };
    bench.disk.fault = [&](const std::string& call, const std::string&) -> std::optional<Error> {
        if (call != "read" || looks != 2) return std::nullopt;
        return fail(Errc::io, "the disk is away");
    };
    bench.tick();
    REQUIRE(looks == 2);
    CHECK(bench.job(1).events == 0);
    CHECK_FALSE(bench.job(1).message.empty());
    bench.tick();
    const ReplayJob job = bench.job(1);
    CHECK(job.state == ReplayState::done);
    CHECK(job.events == 9);
    CHECK(job.deliveries == 9);
    CHECK(job.read == 10);
    CHECK(job.unreadable == 1);
    CHECK(job.earliest != WallTime{});
    CHECK(bench.replayed().size() == 9);
}

TEST_CASE("what a replay cannot read is counted with the batch that passes it")
{
    Bench bench;
    bench.post(60);
    // Damage in a block that both batches come from: before the end of the first, and behind it.
    for (const std::uint64_t n : {5, 55})
        for (const std::string& path : bench.disk.paths()) {
            std::string bytes = bench.disk.content(path);
            const auto at = bytes.find(R"({"n":)" + std::to_string(n) + ",");
            if (at == std::string::npos) continue;
            bytes[at + 200] = 'y';
            bench.disk.set_content(path, bytes);
        }
    ReplayRequest request;
    request.per_second = 30;
    REQUIRE(bench.replays->replay(*bench.table, request, {}).has_value());
    bench.tick(0s);
    for (int turn = 0; turn < 1000 && bench.job(1).state == ReplayState::running; ++turn) {
        bench.tick(100ms);
        if (turn % 3 == 0) bench.reopen();
        const ReplayJob job = bench.job(1);
        CHECK(job.unreadable == (job.cursor >= 55 ? 2 : job.cursor >= 5 ? 1 : 0));
    }
    CHECK(bench.job(1).events == 58);
    CHECK(bench.job(1).unreadable == 2);
}

TEST_CASE("a replay that is cancelled at work neither waits nor ends otherwise")
{
    for (const bool committing : {false, true}) {
        INFO("committing: " << committing);
        Bench bench;
        bench.post(3, body);
        REQUIRE(bench.replays->replay(*bench.table, {}, {}).has_value());
        (committing ? bench.journal->before_submit : bench.journal->before_read) = [&] {
            CHECK(bench.replays->cancel(1, {"ann", "a test"}).has_value());
            bench.journal->before_read = bench.journal->before_submit = nullptr;
        };
        const Heard log;
        bench.tick();
        bench.tick();
        CHECK(log.says("a replay was cancelled"));
        CHECK_FALSE(log.says("a replay waits"));
        CHECK_FALSE(log.says("a replay ended"));
        CHECK(bench.job(1).state == ReplayState::cancelled);
        CHECK(bench.job(1).message == "by ann: a test");
        CHECK(bench.job(1).events == (committing ? 3 : 0));
        CHECK(bench.replayed().size() == (committing ? 3 : 0));
        bench.reopen();
        CHECK(bench.job(1).state == ReplayState::cancelled);
        CHECK(bench.job(1).events == (committing ? 3 : 0));
    }
}

TEST_CASE("a replay that is cancelled while it waits says by whom, and no longer what for")
{
    Bench bench;
    bench.post(3, body);
    const auto gate = close_gate(bench);
    REQUIRE(bench.replays->replay(*bench.table, {}, {}).has_value());
    bench.tick();
    CHECK_FALSE(bench.job(1).message.empty());
    REQUIRE(bench.replays->cancel(1, {"ann", "a test"}).has_value());
    bench.tick();
    CHECK(bench.job(1).message == "by ann: a test");
}

TEST_CASE("a replay keeps in the journal what it has still to read, and the batch that a start would look for")
{
    using Ranges = std::vector<std::pair<Sequence, Sequence>>;
    Bench bench;
    const auto kept = [&bench] {
        Ranges all;
        for (const SequenceRange& one : bench.replays->kept()) all.emplace_back(one.after, one.through);
        return all;
    };
    bench.post(300, body);
    CHECK(kept().empty());
    ReplayRequest request;
    request.first = 11;
    REQUIRE(bench.replays->replay(*bench.table, request, {}).has_value());
    request.dry_run = true;
    REQUIRE(bench.replays->replay(*bench.table, request, {}).has_value());
    CHECK(kept() == Ranges{{10, 300}, {10, 300}});

    Ranges beside_commit;
    std::string intended;
    bench.journal->before_submit = [&] {
        beside_commit = kept();
        intended = bench.disk.content("/data/replays/1.json");
    };
    bench.tick();
    CHECK(beside_commit == Ranges{{10, 300}, {300, UINT64_MAX}, {10, 300}});
    REQUIRE(bench.job(1).cursor == 266);
    CHECK(kept() == Ranges{{266, 300}, {300, UINT64_MAX}, {266, 300}});  // the next batch says that this one is there
    bench.disk.set_content("/data/replays/1.json", intended);
    bench.reopen();
    CHECK(kept() == Ranges{{10, 300}, {300, UINT64_MAX}});
    while (bench.tick()) continue;
    REQUIRE(bench.job(1).state == ReplayState::done);
    CHECK(kept().empty());
}

TEST_CASE("a replay keeps nothing that it reads from the archive, and nothing once it is cancelled")
{
    Bench bench;
    bench.archive();
    bench.post(100);
    bench.tick();
    for (int turn = 0; turn < 20; ++turn) bench.tick();
    const Sequence archived = bench.archives->through("default");
    REQUIRE(archived > 0);
    REQUIRE(archived < 100);
    ReplayRequest request;
    request.per_second = 1;
    REQUIRE(bench.replays->replay(*bench.table, request, {}).has_value());
    const auto kept = bench.replays->kept();
    REQUIRE(kept.size() == 1);
    CHECK(kept.front().after == archived);
    CHECK(kept.front().through == 100);
    REQUIRE(bench.replays->cancel(1, {"ann", "a test"}).has_value());
    CHECK(bench.replays->kept().empty());
}
