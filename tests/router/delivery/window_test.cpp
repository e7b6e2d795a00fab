// The window over the journal: order, bounds, cursor, following and catching up.
#include <catch2/catch.hpp>

#include <map>

#include "tests/router/delivery/window_bench.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

constexpr std::uint32_t all_routes = UINT32_MAX;

}  // namespace

TEST_CASE("a window that follows starts deliveries in journal order")
{
    WindowBench f;
    Window window{small(100), {}};
    REQUIRE(window.empty());
    f.offer(window, 2);
    f.offer(window, 1);
    std::vector<DeliveryKey> started;
    while (window.can_start()) {
        const auto next = window.start();
        started.push_back({next.event->sequence, next.route});
    }
    CHECK(started == std::vector<DeliveryKey>{{1, 0}, {1, 1}, {2, 0}});
    CHECK(window.cursor(f.seen()) == 0);
    CHECK(window.settled(f.seen()).empty());
}

TEST_CASE("the cursor stops before the first delivery that is not settled and lists those after it")
{
    WindowBench f;
    Window window{small(100), {}};
    f.offer(window, 2);
    f.offer(window, 1);
    f.offer(window, 1);
    std::vector<std::uint64_t> slots;
    while (window.can_start()) slots.push_back(window.start().slot);
    window.settle(slots[3]);
    CHECK(window.cursor(3) == 0);
    CHECK(window.settled(3) == std::vector<DeliveryKey>{{3, 0}});
    window.settle(slots[0]);  // the first of two of event 1: the cursor cannot say that
    CHECK(window.cursor(3) == 0);
    CHECK(window.settled(3) == std::vector<DeliveryKey>{{1, 0}, {3, 0}});
    window.settle(slots[1]);
    CHECK(window.cursor(3) == 1);
    CHECK(window.settled(3) == std::vector<DeliveryKey>{{3, 0}});
    window.settle(slots[2]);
    CHECK(window.cursor(3) == 3);
    CHECK(window.cursor(9) == 9);  // nothing waits: it moves with what is seen
    CHECK(window.settled(9).empty());
    CHECK(window.empty());
}

TEST_CASE("a delivery that is given back is the next one again")
{
    WindowBench f;
    Window window{small(100), {}};
    for (int i = 0; i < 4; ++i) f.offer(window, 1);
    const auto a = window.start().slot;
    const auto b = window.start().slot;
    window.give_back(b);
    window.give_back(a);
    CHECK(window.waiting() == 4);
    CHECK(window.start().event->sequence == 1);
    CHECK(window.start().event->sequence == 2);
    CHECK(window.start().event->sequence == 3);
}

TEST_CASE("a full window counts what comes and reads it from disk later, in order")
{
    WindowBench f;
    Window window{small(8), {}};
    for (int i = 0; i < 30; ++i) f.offer(window, 1);
    CHECK(window.held() == 8);
    CHECK(!window.following());
    CHECK(window.waiting() == 30);
    CHECK(!window.want_read(f.seen()));  // no room yet
    std::vector<Sequence> started;
    int rounds = 0;
    while (started.size() < 30) {
        REQUIRE(++rounds < 1000);
        while (window.can_start()) {
            const auto next = window.start();
            started.push_back(next.event->sequence);
            window.settle(next.slot);
        }
        if (const auto read = window.want_read(f.seen())) {
            CHECK(window.reading());
            CHECK(!window.want_read(f.seen()));
            CHECK(window.took(f.answer(*read), f.seen()).empty());
        }
        CHECK(window.held() <= 8 + 4);
        CHECK(window.waiting() == 30 - started.size());
    }
    for (std::size_t i = 0; i < started.size(); ++i) CHECK(started[i] == i + 1);
    CHECK(window.following());
    CHECK(window.cursor(f.seen()) == 30);
}

TEST_CASE("a window falls behind in the middle of an event without losing its other deliveries")
{
    WindowBench f;
    Window window{small(2), {}};
    f.offer(window, 1);
    f.offer(window, 3);  // one fits
    CHECK(window.held() == 2);
    CHECK(window.waiting() == 4);
    std::vector<DeliveryKey> started;
    for (int i = 0; i < 20; ++i) {
        while (window.can_start()) {
            const auto next = window.start();
            started.push_back({next.event->sequence, next.route});
            window.settle(next.slot);
        }
        if (started.size() == 2) {
            CHECK(window.cursor(2) == 1);
            CHECK(window.settled(2) == std::vector<DeliveryKey>{{2, 0}});
        }
        if (const auto read = window.want_read(f.seen())) (void)window.took(f.answer(*read), f.seen());
    }
    CHECK(started == std::vector<DeliveryKey>{{1, 0}, {2, 0}, {2, 1}, {2, 2}});
}

TEST_CASE("bytes bound a window too, but one delivery always fits")
{
    WindowBench f;
    WindowLimits limits = small(100);
    limits.bytes = 4000;
    Window window{limits, {}};
    f.offer(window, 1, 100'000);
    CHECK(window.held() == 1);
    f.offer(window, 1);
    CHECK(window.held() == 1);
    CHECK(window.waiting() == 2);
    const auto next = window.start();
    window.settle(next.slot);
    CHECK(window.held_bytes() == 0);
    const auto read = window.want_read(f.seen());
    REQUIRE(read);
    (void)window.took(f.answer(*read), f.seen());
    CHECK(window.start().event->sequence == 2);
}

TEST_CASE("commits during the last read are bridged, so a busy journal is caught up with")
{
    WindowBench f;
    for (int i = 0; i < 3; ++i) f.add(1);
    Window window{small(100), {0, {}, 3, 3}};
    CHECK(!window.following());
    const auto read = window.want_read(f.seen());
    REQUIRE(read);
    const LaneChunk chunk = f.answer(*read);
    f.offer(window, 1);
    f.offer(window, 2);
    CHECK(window.waiting() == 6);
    (void)window.took(chunk, f.seen());
    CHECK(window.following());
    CHECK(window.waiting() == 6);
    std::vector<DeliveryKey> started;
    while (window.can_start()) {
        const auto next = window.start();
        started.push_back({next.event->sequence, next.route});
    }
    CHECK(started == std::vector<DeliveryKey>{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {5, 1}});
}

TEST_CASE("more commits than the bridge holds are read from disk")
{
    WindowBench f;
    f.add(1);
    Window window{small(100), {0, {}, 1, 1}};
    const auto read = window.want_read(f.seen());
    const LaneChunk chunk = f.answer(*read);
    for (int i = 0; i < 10; ++i) f.offer(window, 1);
    (void)window.took(chunk, f.seen());
    CHECK(!window.following());
    CHECK(window.waiting() == 11);
    int rounds = 0;
    while (const auto again = window.want_read(f.seen())) {
        REQUIRE(++rounds < 10);
        (void)window.took(f.answer(*again), f.seen());
    }
    CHECK(window.following());
    CHECK(window.held() == 11);
}

TEST_CASE("a start respects what was settled above the cursor and keeps listing it")
{
    WindowBench f;
    for (int i = 0; i < 6; ++i) f.add(2);
    Window window{small(100), {2, {{3, 1}, {5, 0}, {5, 1}}, 5, 6}};
    CHECK(window.cursor(6) == 2);
    CHECK(window.settled(6) == std::vector<DeliveryKey>{{3, 1}, {5, 0}, {5, 1}});
    CHECK(window.waiting() == 5);
    std::vector<DeliveryKey> started;
    bool first = true;
    while (started.size() < 5) {
        if (const auto read = window.want_read(f.seen())) (void)window.took(f.answer(*read), f.seen());
        while (window.can_start()) {
            const auto next = window.start();
            started.push_back({next.event->sequence, next.route});
            if (!std::exchange(first, false)) window.settle(next.slot);
        }
    }
    CHECK(started == std::vector<DeliveryKey>{{3, 0}, {4, 0}, {4, 1}, {6, 0}, {6, 1}});
    CHECK(window.cursor(6) == 2);
    CHECK(window.settled(6).size() == 7);
    window.settle(0);
    CHECK(window.cursor(6) == 6);
}

TEST_CASE("an idle start reads nothing")
{
    Window window{small(10), {50, {}, 0, 90}};
    CHECK(window.following());
    CHECK(!window.want_read(90));
    CHECK(window.cursor(90) == 90);
}

TEST_CASE("damaged deliveries settle where they lay, once")
{
    WindowBench f;
    for (int i = 0; i < 5; ++i) f.add(1);
    f.log.damaged = {2, 4};
    Window window{small(100), {0, {{4, 0}}, 4, 5}};
    std::vector<DeliveryKey> damaged;
    std::vector<Sequence> started;
    while (!window.following()) {
        const auto read = window.want_read(f.seen());
        REQUIRE(read);
        for (const auto& one : window.took(f.answer(*read), f.seen())) damaged.push_back(one.key);
    }
    CHECK(damaged == std::vector<DeliveryKey>{{2, 0}});  // 4 was settled before
    CHECK(window.waiting() == 3);
    CHECK(window.settled(5) == std::vector<DeliveryKey>{{2, 0}, {4, 0}});
    std::vector<std::uint64_t> slots;
    while (window.can_start()) {
        const auto next = window.start();
        started.push_back(next.event->sequence);
        slots.push_back(next.slot);
    }
    CHECK(started == std::vector<Sequence>{1, 3, 5});
    window.settle(slots[0]);
    CHECK(window.cursor(5) == 2);
}

TEST_CASE("a read that brings nothing new is noticed, and a failed one can be repeated")
{
    WindowBench f;
    f.add(1);
    Window window{small(10), {0, {}, 1, 1}};
    const auto read = window.want_read(1);
    REQUIRE(read);
    (void)window.took({}, 1);
    CHECK(window.stuck());
    REQUIRE(window.want_read(1));
    window.read_failed();
    const auto again = window.want_read(1);
    REQUIRE(again);
    CHECK(again->after == DeliveryKey{0, all_routes});
    (void)window.took(f.answer(*again), 1);
    CHECK(!window.stuck());
    CHECK(window.can_start());
}

TEST_CASE("what is discarded ahead of a window is met as settled, also when its commit came during the last read")
{
    WindowBench f;
    Window window{small(2), {}};
    for (int i = 0; i < 8; ++i) f.offer(window, 1);  // two in memory, six on disk
    REQUIRE_FALSE(window.following());
    CHECK(window.find({2, 0}).place == Window::Place::waiting);
    CHECK(window.find({3, 0}).place == Window::Place::ahead);
    window.settle_ahead({{4, 0}, {8, 0}});
    CHECK(window.find({4, 0}).place == Window::Place::gone);
    CHECK(window.waiting() == 6);
    CHECK(window.settled(f.seen()) == std::vector<DeliveryKey>{{4, 0}, {8, 0}});
    window.settle_waiting(window.find({1, 0}).slot);
    CHECK(window.cursor(f.seen()) == 1);

    std::vector<Sequence> started;
    while (!window.empty()) {
        if (const auto read = window.want_read(f.seen())) {
            if (f.seen() == 8) {
                f.offer(window, 1);  // 9 and 10 come while 3 to 8 are read
                f.offer(window, 1);
                window.settle_ahead({{9, 0}});
            }
            CHECK(window.took(f.answer(*read), f.seen()).empty());
        }
        while (window.can_start()) {
            const auto next = window.start();
            started.push_back(next.event->sequence);
            window.settle(next.slot);
        }
    }
    CHECK(started == std::vector<Sequence>{2, 3, 5, 6, 7, 10});
    CHECK(window.waiting() == 0);
    CHECK(window.cursor(f.seen()) == 10);
    CHECK(window.settled(f.seen()).empty());
    CHECK(window.settled_ahead() == 0);
}
