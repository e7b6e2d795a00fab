// The window over the journal: order, bounds, cursor, following and catching up.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <map>

#include "router/delivery/window.hpp"
#include "tests/support/fake_journal_lanes.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

constexpr std::uint32_t all_routes = UINT32_MAX;

/// Events with `routes` deliveries each, all for the target "t".
struct Fixture {
    SeededRandom random{1};
    RoutingVersionPtr version = [] {
        RoutingVersion made;
        made.number = 1;
        for (const char* rule : {"a", "b", "c"}) made.routes.push_back({rule, "t", {}, {}, {}, {}});
        return std::make_shared<const RoutingVersion>(made);
    }();
    EventLog log;

    StoredEventPtr add(std::uint32_t routes, std::size_t size = 2)
    {
        std::vector<std::uint32_t> indices;
        for (std::uint32_t i = 0; i < routes; ++i) indices.push_back(i);
        auto event = make_event(version, indices, random, {}, std::string(size, 'x'));
        event->sequence = log.events.size() + 1;
        log.events.push_back(event);
        return event;
    }
    void offer(Window& window, std::uint32_t routes, std::size_t size = 2)
    {
        const auto event = add(routes, size);
        for (std::uint32_t i = 0; i < routes; ++i) window.offer(event, i);
    }
    [[nodiscard]] Sequence seen() const { return log.events.size(); }
    [[nodiscard]] LaneChunk answer(const Window::Read& read) const
    {
        return log.read({"t", read.after, read.through, read.max_items, read.max_bytes});
    }
};

WindowLimits small(std::size_t deliveries)
{
    WindowLimits limits;
    limits.deliveries = deliveries;
    limits.read_items = 4;
    return limits;
}

}  // namespace

TEST_CASE("a window that follows starts deliveries in journal order")
{
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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

// --- What starts before its turn --------------------------------------------------------------------------

namespace {

/// Eight in memory, the others on disk, and from then on fresh ones are kept.
struct Behind : Fixture {
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
