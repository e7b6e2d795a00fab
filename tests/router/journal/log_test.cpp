// The journal without threads: commits, segments, lanes, sealing, releasing and rewriting.
#include <catch2/catch.hpp>

#include <functional>

#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

namespace {

/// Commits events first..last in units of 1, 2, 3, 1, ...
void fill(Log& log, Bench& bench, const RoutingVersionPtr& version, std::uint64_t first,
          std::uint64_t last)
{
    for (std::uint64_t n = first; n <= last;) {
        const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(n % 3 + 1, last - n + 1));
        std::vector<CommitUnit> units;
        units.push_back(make_unit(n, size, version));
        REQUIRE(log.commit(units).has_value());
        n += size;
        bench.chores(log);
    }
}

}  // namespace

TEST_CASE("what was committed is read back by each target, in order, across segments and restarts")
{
    Bench bench;
    for (int life = 0; life < 3; ++life) {
        auto log = bench.open();
        REQUIRE(log.has_value());
        auto version = (*log)->versions().store_version(two_targets());
        REQUIRE(version.has_value());
        CHECK((*version)->number == 1);
        const std::uint64_t before = static_cast<std::uint64_t>(life) * 100;
        CHECK((*log)->appender().last() == before);
        CHECK((*log)->recovery().events == before);
        CHECK((*log)->recovery().damaged.empty());
        fill(**log, bench, *version, before + 1, before + 100);
        CHECK((*log)->segments().all().size() > 3);

        const std::string targets[] = {"webhook", "archive", "pager"};
        for (std::uint32_t t = 0; t < 3; ++t) {
            const LaneContent content = read_all(**log, targets[t]);
            CHECK(content.damaged.empty());
            std::size_t expected = 0;
            for (std::uint64_t n = 1; n <= before + 100; ++n) {
                const auto routes = routes_of(n);
                const auto at = std::find(routes.begin(), routes.end(), t);
                if (at == routes.end()) continue;
                ++expected;
                REQUIRE(content.bodies.contains(n));
                CHECK(content.bodies.at(n) == body_of(n));
                CHECK(content.keys.contains({n, static_cast<std::uint32_t>(at - routes.begin())}));
            }
            CHECK(content.keys.size() == expected);
            CHECK(*(*log)->reader().count_after(targets[t], {0, UINT32_MAX}) == expected);
        }
        for (std::uint64_t n = 1; n <= before + 100; ++n) {
            auto event = (*log)->reader().read_event(n);
            REQUIRE(event.has_value());
            CHECK((*event)->event.body == body_of(n));
            CHECK((*event)->routes == routes_of(n));
            CHECK((*event)->event.bus == (n % 2 ? "audit" : "default"));
        }
        CHECK((*log)->reader().read_event(before + 101).error().code == Errc::not_found);
    }
}

TEST_CASE("what a target must give up to keep within a limit is found by the index")
{
    Bench bench;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    fill(**log, bench, *version, 1, 200);
    REQUIRE((*log)->segments().all().size() > 5);
    const std::string targets[] = {"webhook", "archive", "pager"};
    for (std::uint32_t t = 0; t < 3; ++t)
        for (const DeliveryKey after : {DeliveryKey{0, UINT32_MAX}, DeliveryKey{57, UINT32_MAX}, DeliveryKey{200, UINT32_MAX}})
            for (const std::uint64_t limit : {0U, 100U, 1500U, 9000U, 20'000U, 1'000'000U})
            for (const auto& ended : std::vector<std::function<bool(std::uint64_t)>>{
                     [](std::uint64_t) { return false; }, [](std::uint64_t n) { return n % 3 == 0; },
                     [](std::uint64_t n) { return n > 120 && n <= 180; }, [](std::uint64_t n) { return n > 150; }}) {
                std::vector<DeliveryKey> settled;
                Excess wanted;
                const std::uint64_t rows = 3;
                std::uint64_t all = 0, deliveries = 0;
                for (std::uint64_t n = 1; n <= 200; ++n)
                    for (const std::uint32_t route : routes_of(n)) {
                        all += route == t ? body_of(n).size() : 0;
                        deliveries += route == t ? 1 : 0;
                    }
                wanted.rows_bytes = static_cast<std::uint64_t>(static_cast<double>(all) / static_cast<double>(deliveries) * rows);
                for (std::uint64_t n = 200; n > after.sequence; --n) {
                    const auto routes = routes_of(n);
                    const auto place = std::find(routes.begin(), routes.end(), t);
                    if (place == routes.end()) continue;
                    if (ended(n)) {
                        settled.insert(settled.begin(), {n, static_cast<std::uint32_t>(place - routes.begin())});
                        continue;
                    }
                    wanted.bytes += body_of(n).size();
                    if (wanted.through == 0 && wanted.bytes > limit) wanted.through = n;
                }
                const auto excess = (*log)->reader().excess({targets[t], after, rows, limit, settled});
                REQUIRE(excess.has_value());
                CHECK(excess->rows_bytes == wanted.rows_bytes);
                CHECK(excess->bytes == wanted.bytes);
                CHECK(excess->through == wanted.through);
            }
}

TEST_CASE("a segment whose file grows gives way to one that is written ahead, once")
{
    Bench bench;
    bench.options.segment_size = 64U << 10;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    std::uint64_t n = 0;
    const auto fill = [&](std::uint64_t events) {
        for (const std::uint64_t last = n + events; n < last;) REQUIRE((*log)->commit({make_unit(++n, 1, *version)}).has_value());
    };
    const auto size_of_newest = [&] {
        return bench.disk->content(bench.options.directory + '/' + (*log)->segments().infos().back().name).size();
    };
    fill(5);
    bench.chores(**log);  // as good as idle: nothing is prepared
    fill(60);
    CHECK((*log)->segments().infos().size() == 1);
    CHECK(size_of_newest() < bench.options.segment_size);
    bench.chores(**log);
    fill(1);
    CHECK((*log)->segments().infos().size() == 2);
    CHECK(size_of_newest() == bench.options.segment_size);
    bench.chores(**log);
    fill(100);
    CHECK((*log)->segments().infos().size() == 2);
    CHECK(size_of_newest() == bench.options.segment_size);
    CHECK(read_all(**log, "webhook").bodies.size() == n - n / 5 + n / 35);
}
