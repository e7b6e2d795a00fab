// The simulator in CI: many seeds, the same run from the same seed, and every planted mistake found.
//
//   EVENTYARD_SEED=N   begin with that seed
//   EVENTYARD_LONG=1   a hundred times as many; tests/sim/long.py does the million, in parallel
#include <catch2/catch.hpp>

#include <cstdlib>

#include "core/log.hpp"
#include "tests/sim/run.hpp"

using namespace eventyard;
using sim::Plant;

#if defined(__SANITIZE_ADDRESS__)
/// A crash leaves attempts in the air that nobody ends: their coroutines hold one another, as they would
/// in a process that is killed. All other mistakes are still found.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t slower = 20;
#else
constexpr std::uint64_t slower = 1;
#endif

sim::RunResult run(std::uint64_t seed, std::uint64_t steps, Plant plant = Plant::none)
{
    log::configure(log::Format::text, log::Level::off);
    return sim::run({seed, steps, plant, nullptr});
}

/// One quarter of the seeds: four tests, so that four cores can share them.
void judge(std::uint64_t quarter)
{
    const char* const given = std::getenv("EVENTYARD_SEED");
    const std::uint64_t first = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
    const std::uint64_t runs = (std::getenv("EVENTYARD_LONG") != nullptr ? 60'000 : 600) / slower;
    for (std::uint64_t i = 0; i < runs; ++i) {
        const std::uint64_t seed = first + 4 * i + quarter;
        const sim::RunResult result = run(seed, 500);
        INFO("replay: sim --seed " << seed << " --steps 500 --trace   (step " << result.step << ")");
        REQUIRE(result.fault == "");
    }
}

}  // namespace

TEST_CASE("whatever happens, what was accepted ends and is accounted for: first quarter of the seeds") { judge(0); }
TEST_CASE("whatever happens, what was accepted ends and is accounted for: second quarter of the seeds") { judge(1); }
TEST_CASE("whatever happens, what was accepted ends and is accounted for: third quarter of the seeds") { judge(2); }
TEST_CASE("whatever happens, what was accepted ends and is accounted for: last quarter of the seeds") { judge(3); }

TEST_CASE("one seed is one run")
{
    std::uint64_t accepted = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const sim::RunResult once = run(seed, 300), again = run(seed, 300);
        CAPTURE(seed);
        CHECK(once.hash == again.hash);
        CHECK(once.coverage.counts() == again.coverage.counts());
        accepted += once.accepted;
    }
    CHECK(accepted > 500);
    CHECK(run(1, 300).hash != run(2, 300).hash);
}

TEST_CASE("every mistake put in on purpose is found")
{
    struct Case {
        Plant plant;
        std::uint64_t seeds;  // within which it has to be found
    };
    const Case cases[] = {
        {Plant::sync_skipped, 20},       {Plant::stale_frame, 2000}, {Plant::sequence_reused, 40},
        {Plant::released_unsynced, 20},  {Plant::sync_retried, 200}, {Plant::new_cursor_at_end, 400},
        {Plant::cursor_early, 20},       {Plant::retry_dropped, 60},  {Plant::key_overtaken, 100},
        {Plant::erase_unsynced, 100},
        {Plant::input_of_new_table, 20},
        {Plant::key_unsynced, 400},
    };
    for (const Case& one : cases) {
        if (slower > 1 && one.seeds > 60) continue;  // rare catches: the release build looks for them
        DYNAMIC_SECTION(sim::name_of(one.plant)) {
            std::string found;
            for (std::uint64_t seed = 1; seed <= one.seeds && found.empty(); ++seed)
                found = run(seed, 500, one.plant).fault;
            CHECK(found != "");
        }
    }
}
