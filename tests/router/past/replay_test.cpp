// Replays that wait, end and go on: what they count, and what they say.
#include "tests/router/past/bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

std::string body(std::uint64_t n) { return R"({"n":)" + std::to_string(n) + '}'; }

}  // namespace

TEST_CASE("a replay counts what it cannot read once, however often it waits on the way")
{
    Bench bench;
    const WallTime posted = bench.clock.wall();
    bench.post(4, [](std::uint64_t n) { return n == 2 ? std::string{"{"} : body(n); });
    const auto gate = std::make_shared<Gate>();
    gate->target = "hook";
    gate->closed = true;
    bench.table->gates = {gate};
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
