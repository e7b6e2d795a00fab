// A target that is behind: what goes first.
#include <catch2/catch.hpp>

#include "tests/router/delivery/lane_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

LaneSettings one_at_a_time(CatchUp catch_up = CatchUp::fair)
{
    LaneSettings settings;
    settings.concurrency = 1;
    settings.catch_up = catch_up;
    return settings;
}

/// Eight deliveries in memory, four of a read.
LaneLimits small()
{
    LaneLimits limits;
    limits.window.deliveries = 8;
    limits.window.read_items = 4;
    return limits;
}

/// Answers what is out and reads what is wanted, until so many requests were made; their sequences in order.
std::vector<Sequence> run(Bench& bench, std::size_t requests)
{
    std::vector<Sequence> order;
    for (int turns = 0; turns < 10'000 && order.size() < requests; ++turns) {
        for (const auto& request : bench.pump()) order.insert(order.end(), request.begin(), request.end());
        if (const auto read = std::exchange(bench.todo.lane, std::nullopt)) {
            LaneChunk chunk;
            chunk.through = read->through;
            for (Sequence n = read->after.route == UINT32_MAX ? read->after.sequence + 1 : read->after.sequence; n <= read->through; ++n) {
                if (DeliveryKey{n, 0} <= read->after) continue;
                if (chunk.items.size() == read->max_items) {
                    chunk.through = n - 1;
                    break;
                }
                chunk.items.push_back({bench.events[n - 1], 0});
            }
            bench.lane.on_chunk(bench.now, std::move(chunk), bench.todo);
        }
        while (!bench.flying.empty()) bench.answer({taken});
        if (bench.lane.unflushed()) bench.lane.on_durable(bench.lane.take_unflushed());
        bench.pass(100ms);
    }
    return order;
}

}  // namespace

TEST_CASE("new deliveries and old ones go in turn while a target is behind, and each once")
{
    Bench bench{one_at_a_time(), small()};
    bench.pump();
    bench.offer(40);  // 9 fell behind, what came after it is new
    const auto order = run(bench, 40);
    CHECK(std::vector<Sequence>(order.begin(), order.begin() + 8) == std::vector<Sequence>{10, 1, 11, 2, 12, 3, 13, 4});
    std::vector<Sequence> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < 40; ++i) CHECK(sorted[i] == i + 1);
    CHECK(bench.lane.pending().sum() == 0);
    CHECK(bench.lane.position(bench.now).cursor == 40);
    CHECK(bench.lane.position(bench.now).settled.empty());
}

TEST_CASE("a target that wants the oldest first, has an order, or drains gets them as they were accepted")
{
    LaneSettings settings = one_at_a_time();
    SECTION("oldest_first") { settings.catch_up = CatchUp::oldest_first; }
    SECTION("order") { settings.order.order = Order::strict; }
    SECTION("draining") {}
    Bench bench{settings, small()};
    bench.pump();
    bench.offer(40);
    if (settings.catch_up == CatchUp::fair && settings.order.order == Order::none) bench.lane.drain(bench.now.seen, "test", bench.todo);
    const auto order = run(bench, 40);
    REQUIRE(order.size() == 40);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("what does not fit a batch is not passed over for good, be it new or old")
{
    LaneSettings settings = one_at_a_time();
    settings.batch = {100, 1000, Duration{0}};
    Bench bench{settings, small()};
    bench.pump();
    bench.offer(60, "\"" + std::string(600, 'x') + "\"");  // one a request
    const auto order = run(bench, 20);
    const auto fresh = std::count_if(order.begin(), order.begin() + 12, [](Sequence n) { return n > 9; });
    CHECK(fresh >= 5);
    CHECK(fresh <= 7);
}

TEST_CASE("a target that pauses leaves what is new to the disk")
{
    Bench bench{one_at_a_time(), small()};
    bench.pump();
    bench.offer(40);
    CHECK(bench.pump() == Sent{{10}});
    bench.lane.pause("test", bench.todo);
    bench.answer({taken});
    CHECK(bench.pump().empty());
    CHECK(bench.lane.window().settled_ahead() == 1);  // the one that was taken
    bench.lane.resume(bench.todo);
    const auto order = run(bench, 39);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(order.size() == 39);
    CHECK(bench.lane.pending().sum() == 0);
}
