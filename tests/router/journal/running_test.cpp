// The journal with its threads: who is answered when, and who is refused.
#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <future>
#include <thread>

#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

TEST_CASE("who looks after an answer finds what was answered")
{
    Running running;
    std::uint64_t told = 0;
    running.journal->set_listener([&](const CommitBatchPtr& batch) {
        std::this_thread::sleep_for(std::chrono::milliseconds{2});  // a look that did not wait would come before
        told += batch->events.size();
    });
    for (std::uint64_t n = 0; n < 50; ++n) {
        running.submit(make_unit(n, 1, running.version)).wait();
        std::uint64_t seen = 0;
        running.journal->between_commits([&] { seen = told; });
        REQUIRE(seen == n + 1);
    }
    running.journal->stop();
}

TEST_CASE("many threads submit, everything is answered once and read back")
{
    Bench bench;
    bench.options.segment_size = 64U << 10;
    SystemClock clock;
    SystemRandom random;
    auto opened = Journal::open(*bench.disk, clock, random, bench.options, {});
    REQUIRE(opened.has_value());
    Journal& journal = **opened;
    std::atomic<std::uint64_t> heard{0};
    journal.set_listener([&](CommitBatchPtr batch) { heard += batch->events.size(); });
    journal.set_reserver([&](Sequence up_to) { journal.reserved(up_to); });
    auto version = journal.store_version(two_targets());
    REQUIRE(version.has_value());
    std::atomic<std::uint64_t> answered{0}, failed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::uint64_t n = 0; n < 200; ++n) {
                CommitUnit unit = make_unit(n, static_cast<std::uint32_t>(1 + n % 3), *version);
                const std::uint64_t size = unit.events.size();
                unit.done = [&, size](const Result<CommitResult>& result) {
                    (result.has_value() ? answered : failed) += size;
                };
                journal.submit(std::move(unit));
            }
        });
    for (auto& thread : threads) thread.join();
    while (answered + failed < 4 * 399) std::this_thread::yield();
    CHECK(failed == 0);
    std::uint64_t read = 0;
    DeliveryKey after{0, UINT32_MAX};
    while (after.sequence < journal.synced()) {
        std::promise<Result<LaneChunk>> answer;
        journal.read_lane({"archive", after, journal.synced(), 100, 1U << 20},
                          [&](Result<LaneChunk> chunk) { answer.set_value(std::move(chunk)); });
        auto chunk = answer.get_future().get();
        REQUIRE(chunk.has_value());
        CHECK(chunk->damaged.empty());
        read += chunk->items.size();
        after = {chunk->through, UINT32_MAX};
    }
    auto tally = journal.tally(0, journal.synced());
    REQUIRE(tally.has_value());
    CHECK(tally->at({"orders", "archive"}) == read);
    CHECK(*journal.count_after("archive", {0, UINT32_MAX}) == read);
    journal.stop();
    CHECK(heard == answered);
    bool cancelled = false;
    CommitUnit late = make_unit(1, 1, *version);
    late.done = [&](const Result<CommitResult>& result) {
        cancelled = !result.has_value() && result.error().code == Errc::cancelled;
    };
    journal.submit(std::move(late));
    CHECK(cancelled);
}

TEST_CASE("events for which no numbers can be reserved are refused in the end, and taken again by themselves")
{
    Bench bench;
    bench.options.reserve_patience = std::chrono::milliseconds{100};
    SystemClock clock;
    SystemRandom random;
    auto journal = Journal::open(*bench.disk, clock, random, bench.options, {});
    REQUIRE(journal.has_value());
    auto version = (*journal)->store_version(two_targets());
    std::atomic<Sequence> asked{0};
    (*journal)->set_reserver([&](Sequence up_to) { asked = up_to; });  // a state that cannot write
    const auto try_one = [&] {
        std::promise<Result<CommitResult>> answer;
        CommitUnit unit = make_unit(1, 1, *version);
        unit.done = [&](const Result<CommitResult>& result) { answer.set_value(result); };
        (*journal)->submit(std::move(unit));
        auto future = answer.get_future();
        REQUIRE(future.wait_for(std::chrono::seconds{10}) == std::future_status::ready);
        return future.get();
    };
    for (int n = 0; n < 2; ++n) {
        const auto refused = try_one();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == Errc::unavailable);
    }
    CHECK((*journal)->stats().queued_bytes == 0);
    REQUIRE(asked > 0);
    (*journal)->reserved(asked);
    CHECK(try_one().has_value());
}

TEST_CASE("below min_free events are refused and taken again by themselves")
{
    Bench bench;
    bench.options.min_free = 1000;
    bench.disk->free_bytes = 10;
    SystemClock clock;
    SystemRandom random;
    auto journal = Journal::open(*bench.disk, clock, random, bench.options, {});
    REQUIRE(journal.has_value());
    auto version = (*journal)->store_version(two_targets());
    const auto try_one = [&] {
        std::promise<Result<CommitResult>> answer;
        CommitUnit unit = make_unit(1, 1, *version);
        unit.done = [&](const Result<CommitResult>& result) { answer.set_value(result); };
        (*journal)->submit(std::move(unit));
        return answer.get_future().get();
    };
    auto refused = try_one();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::no_space);
    CHECK_FALSE((*journal)->stats().accepting);
    bench.disk->set_free(1U << 30);
    while (!(*journal)->stats().accepting) std::this_thread::yield();
    CHECK(try_one().has_value());
}

namespace {

/// Unit n, of one event with a body of that size.
CommitUnit unit_of(std::uint64_t n, std::size_t bytes, const RoutingVersionPtr& version)
{
    CommitUnit unit = make_unit(n, 1, version);
    auto sized = std::make_shared<StoredEvent>(*unit.events.front());
    sized->event.body = std::string(bytes, 'x');
    unit.events.front() = std::move(sized);
    return unit;
}

}  // namespace

TEST_CASE("a unit above the queue's limit is taken into an empty queue, not refused for ever")
{
    Running running{[](JournalOptions& options) { options.max_queued_bytes = 4000; }};
    for (std::uint64_t n = 1; n <= 3; ++n) {
        const auto result = running.submit(unit_of(n, 50'000, running.version)).get();  // above the segment's size, too
        REQUIRE(result.has_value());
        CHECK(result->first == n);
    }
    running.journal.reset();
    auto log = running.open();
    REQUIRE(log.has_value());
    CHECK((*log)->appender().last() == 3);
}

TEST_CASE("of units that come together each is taken or refused for itself")
{
    Running running{[](JournalOptions& options) { options.max_queued_bytes = 4000; }};
    std::vector<CommitUnit> units;
    for (const std::size_t bytes : {100U, 5000U, 100U, 100U, 100U}) units.push_back(unit_of(units.size(), bytes, running.version));
    units[2].events.clear();
    std::vector<std::future<Result<CommitResult>>> answers;
    for (CommitUnit& unit : units) answers.push_back(Running::answer_of(unit));
    running.journal->submit_all(units);
    std::vector<Result<CommitResult>> results;
    for (auto& answer : answers) results.push_back(answer.get());
    REQUIRE_FALSE(results[1].has_value());
    CHECK(results[1].error().code == Errc::unavailable);  // it does not fit beside the first
    REQUIRE_FALSE(results[2].has_value());
    CHECK(results[2].error().code == Errc::invalid);
    for (const auto& [place, sequence] : {std::pair{0, 1}, {3, 2}, {4, 3}}) {
        REQUIRE(results[static_cast<std::size_t>(place)].has_value());
        CHECK(results[static_cast<std::size_t>(place)]->first == static_cast<Sequence>(sequence));
    }
    CHECK(running.journal->stats().queued_bytes == 0);
    running.journal->stop();
    units.assign(1, unit_of(9, 100, running.version));
    auto late = Running::answer_of(units.front());
    running.journal->submit_all(units);
    CHECK(late.get().error().code == Errc::cancelled);
}
