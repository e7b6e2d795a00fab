// The window of a lane that lags: what starts before its turn.
#include <catch2/catch.hpp>

#include <functional>

#include "tests/router/delivery/window_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

/// Eight in memory, the others on disk, and from then on fresh ones are kept.
struct Behind : WindowBench {
    Window window;
    explicit Behind(int events, WindowLimits limits = small(8)) : window(limits, {})
    {
        window.serve_fresh(true);
        for (int i = 0; i < events; ++i) offer(window, 1);
    }
    /// Reads once; what is damaged of it.
    std::vector<DamagedDelivery> read(const std::function<void(LaneChunk&)>& spoil = {})
    {
        const auto wanted = window.want_read(seen());
        REQUIRE(wanted);
        LaneChunk chunk = answer(*wanted);
        if (spoil) spoil(chunk);
        return window.took(std::move(chunk), seen());
    }
    Sequence start(std::uint64_t& slot)
    {
        const auto one = window.start();
        slot = one.slot;
        return one.event->sequence;
    }
    Sequence start_fresh(std::uint64_t& slot)
    {
        const auto one = window.start_fresh();
        slot = one.slot;
        return one.event->sequence;
    }
    /// Delivers all the rest; the sequences in their order.
    std::vector<Sequence> finish()
    {
        std::vector<Sequence> order;
        for (int rounds = 0; rounds < 1000 && !window.empty(); ++rounds) {
            while (window.can_start()) {
                std::uint64_t slot = 0;
                order.push_back(start(slot));
                window.settle(slot);
            }
            if (window.want_read(seen())) {
                window.read_failed();
                read();
            }
        }
        return order;
    }
};

std::vector<Sequence> from_to(Sequence first, Sequence last)
{
    std::vector<Sequence> all;
    for (Sequence n = first; n <= last; ++n) all.push_back(n);
    return all;
}

}  // namespace

TEST_CASE("while a window lags, what is committed can start before what waits on disk, once")
{
    Behind f{20};  // 1 to 8 in memory, 9 fell behind, 10 to 20 are kept
    REQUIRE(f.window.can_start_fresh());
    CHECK(f.window.waiting() == 20);
    std::uint64_t a = 0, b = 0;
    CHECK(f.start_fresh(a) == 10);
    CHECK(f.start_fresh(b) == 11);
    CHECK(f.window.waiting() == 18);
    f.window.settle(a);
    CHECK(f.window.waiting() == 18);
    CHECK(f.window.cursor(f.seen()) == 0);
    CHECK(f.window.settled(f.seen()) == std::vector<DeliveryKey>{{10, 0}});
    f.window.settle(b);
    CHECK(f.window.settled(f.seen()) == std::vector<DeliveryKey>{{10, 0}, {11, 0}});
    auto wanted = from_to(1, 20);
    wanted.erase(wanted.begin() + 9, wanted.begin() + 11);
    CHECK(f.finish() == wanted);
    CHECK(f.window.cursor(f.seen()) == 20);
    CHECK(f.window.settled(f.seen()).empty());
    CHECK_FALSE(f.window.can_start_fresh());
}

TEST_CASE("one that started early and is met on disk is under way there, and holds the cursor")
{
    Behind f{14};
    std::uint64_t fresh = 0;
    REQUIRE(f.start_fresh(fresh) == 10);
    auto wanted = from_to(1, 14);
    wanted.erase(wanted.begin() + 9);
    CHECK(f.finish() == wanted);  // everything but that one
    CHECK_FALSE(f.window.empty());
    CHECK(f.window.cursor(f.seen()) == 9);
    CHECK(f.window.waiting() == 0);
    SECTION("it ends")
    {
        f.window.settle(fresh);
        CHECK(f.window.empty());
        CHECK(f.window.cursor(f.seen()) == 14);
    }
    SECTION("it comes back")
    {
        f.window.give_back(fresh);
        CHECK(f.window.waiting() == 1);
        CHECK(f.finish() == std::vector<Sequence>{10});
        CHECK(f.window.empty());
    }
}

TEST_CASE("one that is met and comes back behind others that wait does not hide them")
{
    Behind f{14, small(16)};
    for (int i = 0; i < 6; ++i) f.offer(f.window, 1);  // 17 falls behind
    std::uint64_t fresh = 0;
    REQUIRE(f.start_fresh(fresh) == 18);
    for (int i = 0; i < 12; ++i) {
        std::uint64_t slot = 0;
        CHECK(f.start(slot) == static_cast<Sequence>(i + 1));
        f.window.settle(slot);
    }
    f.read();  // 17 to 20; 13 to 16 wait before them
    f.window.give_back(fresh);
    CHECK(f.finish() == from_to(13, 20));
    CHECK(f.window.cursor(f.seen()) == 20);
}

TEST_CASE("one that started early and comes back before it is met is kept again, in its place")
{
    Behind f{20};
    std::uint64_t a = 0, b = 0;
    REQUIRE(f.start_fresh(a) == 10);
    REQUIRE(f.start_fresh(b) == 11);
    f.window.give_back(b);
    f.window.give_back(a);
    CHECK(f.window.waiting() == 20);
    CHECK(f.start_fresh(a) == 10);
    CHECK(f.start_fresh(b) == 11);
    f.window.serve_fresh(false);
    CHECK_FALSE(f.window.can_start_fresh());
    f.window.give_back(b);
    CHECK_FALSE(f.window.can_start_fresh());
    f.window.settle(a);
    auto wanted = from_to(1, 20);
    wanted.erase(wanted.begin() + 9);
    CHECK(f.finish() == wanted);
}

TEST_CASE("one that was read from memory is not damaged, whatever the disk says")
{
    Behind f{14};
    std::uint64_t ended = 0, flying = 0, slot = 0;
    REQUIRE(f.start_fresh(ended) == 10);
    REQUIRE(f.start_fresh(flying) == 11);
    f.window.settle(ended);
    while (f.window.can_start()) {
        f.start(slot);
        f.window.settle(slot);
    }
    const auto damaged = f.read([](LaneChunk& chunk) {  // 9 to 12
        REQUIRE(chunk.items.size() == 4);
        for (const LaneItem& item : chunk.items) chunk.damaged.push_back({{item.event->sequence, 0}, "a"});
        chunk.items.clear();
    });
    std::vector<Sequence> told;
    for (const DamagedDelivery& one : damaged) told.push_back(one.key.sequence);
    CHECK(told == std::vector<Sequence>{9, 12});
    CHECK(f.window.cursor(f.seen()) == 10);
    f.window.settle(flying);
    CHECK(f.finish() == from_to(13, 14));
    CHECK(f.window.waiting() == 0);
    CHECK(f.window.cursor(f.seen()) == 14);
}

TEST_CASE("what starts early is bounded by number, bytes and how much has ended ahead")
{
    WindowLimits limits = small(8);
    SECTION("number")
    {
        limits.fresh = 3;
        Behind f{20, limits};
        std::uint64_t slot = 0;
        for (Sequence n = 10; n <= 12; ++n) CHECK(f.start_fresh(slot) == n);
        CHECK_FALSE(f.window.can_start_fresh());
        f.offer(f.window, 1);
        CHECK(f.start_fresh(slot) == 21);
    }
    SECTION("bytes")
    {
        limits.bytes = 64U << 10;
        Behind f{9, limits};
        for (int i = 0; i < 6; ++i) f.offer(f.window, 1, 3000);  // a quarter holds four
        std::uint64_t slot = 0;
        for (Sequence n = 10; n <= 13; ++n) CHECK(f.start_fresh(slot) == n);
        CHECK_FALSE(f.window.can_start_fresh());
        f.offer(f.window, 1, 3000);  // they count while they are under way
        CHECK_FALSE(f.window.can_start_fresh());
        f.window.settle(slot);
        f.offer(f.window, 1, 3000);
        REQUIRE(f.window.can_start_fresh());
        CHECK(f.start_fresh(slot) == 17);
    }
    SECTION("ended ahead")
    {
        limits.fresh_ahead = 5;
        Behind f{20, limits};
        std::uint64_t slot = 0;
        for (Sequence n = 10; n <= 14; ++n) {
            CHECK(f.start_fresh(slot) == n);
            f.window.settle(slot);
        }
        f.offer(f.window, 1);
        CHECK_FALSE(f.window.can_start_fresh());
        CHECK(f.window.settled_ahead() == 5);
        CHECK(f.finish().size() == 16);
    }
}

TEST_CASE("one is kept, however large")
{
    WindowLimits limits = small(8);
    limits.bytes = 64U << 10;
    Behind f{9, limits};
    f.offer(f.window, 1, 60'000);
    f.offer(f.window, 1, 10);
    std::uint64_t slot = 0;
    CHECK(f.start_fresh(slot) == 10);
    CHECK_FALSE(f.window.can_start_fresh());
}

TEST_CASE("one that started early and that the disk does not have any more ends or starts again, and holds the cursor")
{
    Behind f{14};
    std::uint64_t fresh = 0, slot = 0;
    REQUIRE(f.start_fresh(fresh) == 10);
    while (f.window.can_start()) {
        f.start(slot);
        f.window.settle(slot);
    }
    CHECK(f.read([](LaneChunk& chunk) { chunk.items.clear(); }).empty());  // 9 to 12 are gone, and nobody says so
    CHECK(f.window.cursor(f.seen()) == 9);
    const std::uint64_t waiting = f.window.waiting();
    SECTION("it ends") { f.window.settle(fresh); }
    SECTION("it comes back")
    {
        f.window.give_back(fresh);
        CHECK(f.window.waiting() == waiting + 1);
        CHECK(f.window.cursor(f.seen()) == 9);
        f.window.serve_fresh(false);
        CHECK(f.start_fresh(fresh) == 10);
        f.window.settle(fresh);
    }
    CHECK(f.window.waiting() == waiting);
    CHECK(f.finish() == from_to(13, 14));
    CHECK(f.window.cursor(f.seen()) == 14);
    CHECK(f.window.waiting() == 0);
}

TEST_CASE("what is discarded before it started early does not start")
{
    Behind f{20};
    f.window.settle_ahead({{10, 0}, {12, 0}});
    std::uint64_t slot = 0;
    CHECK(f.start_fresh(slot) == 11);
    f.window.settle(slot);
    CHECK(f.start_fresh(slot) == 13);
    f.window.settle(slot);
    CHECK(f.window.waiting() == 16);
    CHECK(f.finish().size() == 16);
}

TEST_CASE("a restart meets what went early as settled")
{
    Behind f{20};
    std::uint64_t a = 0, b = 0;
    f.start_fresh(a);
    f.start_fresh(b);
    f.window.settle(b);  // 11; 10 is under way when it ends
    WindowStart start;
    start.cursor = f.window.cursor(f.seen());
    start.settled = f.window.settled(f.seen());
    start.behind = 20 - start.settled.size();
    start.seen = f.seen();
    f.window = Window{small(8), start};
    auto wanted = from_to(1, 20);
    wanted.erase(wanted.begin() + 10);
    CHECK(f.finish() == wanted);
}
