// A copy of a journal that is written to: what was committed by then, and nothing else.
#include <catch2/catch.hpp>

#include "router/journal/check.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

TEST_CASE("a copied journal opens as the one it is a copy of, as far as that was written")
{
    Bench bench;
    bench.options.segment_size = 6000;
    Sequence last = 0;
    {
        auto log = bench.open();
        REQUIRE(log.has_value());
        const auto version = (*log)->versions().store_version(two_targets());
        REQUIRE(version.has_value());
        const auto more = [&] {
            REQUIRE((*log)->commit({make_unit(last + 1, 2, *version)}).has_value());
            last += 2;
        };
        // One that is sealed, one that waits for it, one that is written to, and a named one that is not used.
        while ((*log)->segments().infos().size() < 2) more();
        bench.chores(**log);
        while ((*log)->segments().infos().size() < 3) more();
        more();
        const auto copy = (*log)->keeper().copy_to("/backup/journal");
        REQUIRE(copy.has_value());
        CHECK(copy->last == last);
        CHECK(copy->segments.size() == 3);
        CHECK_FALSE((*log)->keeper().copy_to("/backup/journal").has_value());
        const Sequence until = last;
        for (int n = 0; n < 20; ++n) more();
        last = until;
    }
    const auto check = check_journal(*bench.disk, "/backup/journal", {});
    REQUIRE(check.has_value());
    CHECK(check->good());

    bench.options.directory = "/backup/journal";
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->recovery().damaged.empty());
    CHECK((*log)->recovery().events == last);
    CHECK((*log)->recovery().last == last);
    const LaneContent content = read_all(**log, "webhook");
    for (const auto& [sequence, body] : content.bodies) CHECK(body == body_of(sequence));
    CHECK(content.bodies.rbegin()->first <= last);
}

TEST_CASE("a copy that fails is told, and the journal goes on")
{
    Bench bench;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    REQUIRE((*log)->commit({make_unit(1, 2, *version)}).has_value());
    bench.disk->fault = [](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (call == "write" && path.rfind("/backup", 0) == 0) return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    const auto copy = (*log)->keeper().copy_to("/backup/journal");
    REQUIRE_FALSE(copy.has_value());
    CHECK(copy.error().code == Errc::no_space);
    CHECK((*log)->commit({make_unit(3, 2, *version)}).has_value());
}
