// Routing versions: equal contents share a number, single copies mend, lost ones are told.
#include <catch2/catch.hpp>

#include <fstream>

#include "core/bytes.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

TEST_CASE("equal routing versions share a number and a lost copy is mended at start")
{
    Bench bench;
    {
        auto log = bench.open();
        CHECK((*(*log)->versions().store_version(two_targets()))->number == 1);
        RoutingVersion other = two_targets();
        other.routes = {{"renamed", "webhook", {}, "", {}, {}}};
        for (std::size_t i = 1; i < two_targets().routes.size(); ++i) other.routes.push_back(two_targets().routes.at(i));
        CHECK((*(*log)->versions().store_version(other))->number == 2);
        CHECK((*(*log)->versions().store_version(two_targets()))->number == 1);
    }
    bench.disk->remove("/data/journal/routing/1.a");
    auto log = bench.open();
    REQUIRE(log.has_value());
    CHECK((*log)->versions().find(1)->routes == two_targets().routes);
    CHECK(bench.disk->exists("/data/journal/routing/1.a"));
    CHECK((*(*log)->versions().store_version(two_targets()))->number == 1);
}

TEST_CASE("an event whose routing version is lost is reported as damaged, not forgotten")
{
    Bench bench;
    {
        auto log = bench.open();
        auto version = (*log)->versions().store_version(two_targets());
        std::vector<CommitUnit> units;
        units.push_back(make_unit(1, 3, *version));
        REQUIRE((*log)->commit(units).has_value());
    }
    bench.disk->remove("/data/journal/routing/1.a");
    bench.disk->remove("/data/journal/routing/1.b");
    for (int start = 0; start < 2; ++start) {
        auto log = bench.open();
        REQUIRE(log.has_value());
        CHECK((*log)->recovery().damaged.size() == (start == 0 ? 3 : 0));
        CHECK((*log)->reader().read_event(2).error().code == Errc::corrupt);
        CHECK((*log)->appender().last() == 3);
    }
}

TEST_CASE("a routing version comes back as it was stored, with all that its routes say")
{
    Bench bench;
    RoutingVersion version;
    version.buses = {"default", "other"};
    version.routes = {{"a", "one", {}, "", {}, {}},
                      {"a", "two", *Input::parse(Input::path_text("$.detail")), "$.key", std::chrono::seconds{5}, std::chrono::hours{1}, "$.when"},
                      {"b", "one", {}, "", {}, {}}};
    version.routes.push_back("", "");
    {
        auto log = bench.open();
        REQUIRE((*log)->versions().store_version(version).has_value());
    }
    auto log = bench.open();
    const RoutingVersionPtr stored = (*log)->versions().find(1);
    REQUIRE(stored);
    CHECK(stored->buses == version.buses);
    CHECK(stored->routes == version.routes);
    const Route second = stored->routes.at(1);
    CHECK(second.rule == "a");
    CHECK(second.target == "two");
    CHECK(second.input.text() == R"({"path":"$.detail"})");
    CHECK(second.order_key == "$.key");
    CHECK(second.delay == std::chrono::seconds{5});
    CHECK(second.expire_after == std::chrono::hours{1});
    CHECK(second.deliver_at == "$.when");
    CHECK(stored->routes.targets() == std::vector<std::string>{"one", "two", ""});
    version.routes.push_back("c", "one");
    CHECK(!(stored->routes == version.routes));
}

TEST_CASE("a routing version of format 1 is read: its routes say nothing of deliver_at")
{
    std::ifstream file{std::string{EVENTYARD_SOURCE_DIR} + "/tests/cases/journal/routing-format-1.bin", std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
    const auto read = decode_version(bytes);
    REQUIRE(read.has_value());
    const RoutingVersion& version = read->second;
    CHECK(version.number == 7);
    CHECK(version.buses == std::vector<std::string>{"default"});
    const RouteList expected = {{"r1", "a", {}, {}, {}, {}}, {"r2", "b", {}, "$.k", std::chrono::seconds{5}, std::chrono::hours{1}}};
    CHECK(version.routes == expected);
}

TEST_CASE("a routing version without inputs is of format 2, one with an input is refused by binaries that would not heed it")
{
    RoutingVersion version;
    version.number = 9;
    version.buses = {"default"};
    version.routes = {{"r1", "a", {}, {}, {}, {}}, {"r2", "b", {}, "$.k", std::chrono::seconds{5}, {}, "$.when"}};
    Id store;
    store.bytes.fill(4);
    std::ifstream file{std::string{EVENTYARD_SOURCE_DIR} + "/tests/cases/journal/routing-format-2.bin", std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
    CHECK(encode_version(store, version) == bytes);
    const auto read = decode_version(bytes);
    REQUIRE(read.has_value());
    CHECK(read->second.routes == version.routes);

    const std::string form = Input::template_text({{"id", "$.detail.id"}}, R"({"order": <id>})");
    version.routes.push_back("r3", "a", RouteExtras{*Input::parse(form), {}, {}, {}, {}});
    const std::string with_input = encode_version(store, version);
    CHECK(with_input[8] == 3);
    const auto again = decode_version(with_input);
    REQUIRE(again.has_value());
    CHECK(again->second.routes == version.routes);
    CHECK(again->second.routes.at(2).input.text() == form);
}

TEST_CASE("a routing version of a newer format is refused by name")
{
    RoutingVersion version;
    version.routes = {{"r1", "a", {}, {}, {}, {}}};
    std::string bytes = encode_version({}, version);
    bytes[8] = 4;
    bytes.resize(bytes.size() - 4);
    ByteWriter{bytes}.fixed(crc32c(0, bytes.data(), bytes.size()));
    CHECK(decode_version(bytes).error().code == Errc::unsupported);
}

// A bug once: a segment that the power brought back needed a version that was gone, and where the state was lost as
// well its deliveries were counted as damaged, not made again.
TEST_CASE("a routing version goes after the segments that need it are gone for good")
{
    Bench bench;
    bench.options.segment_size = 6000;
    bench.options.spare_segments = 0;
    {
        auto log = bench.open();
        const auto version = (*log)->versions().store_version(two_targets());
        for (Sequence n = 1; (*log)->segments().infos().size() < 2; n += 2) {
            REQUIRE((*log)->commit({make_unit(n, 2, *version)}).has_value());
            bench.chores(**log);
        }
    }
    auto log = bench.open();
    REQUIRE(log.has_value());
    const std::vector<SegmentInfo> former = (*log)->segments().infos();
    RoutingVersionPtr version;
    for (const char* const rule : {"a", "b", "c", "d"}) {  // so many that the first is in no cache any more
        RoutingVersion other = two_targets();
        other.routes = {{rule, "webhook", {}, "", {}, {}}, {rule, "archive", {}, "", {}, {}}, {rule, "pager", {}, "", {}, {}}};
        version = *(*log)->versions().store_version(other);
    }
    while ((*log)->segments().infos().size() <= former.size()) {
        REQUIRE((*log)->commit({make_unit((*log)->appender().last() + 1, 2, version)}).has_value());
        bench.chores(**log);
    }
    std::vector<std::string> names;
    for (const SegmentInfo& segment : former) names.push_back(segment.name);
    const auto kept = [&] { return bench.disk->exists("/data/journal/routing/1.a") && bench.disk->exists("/data/journal/routing/1.b"); };

    const std::string failing = GENERATE("sync_directory", "unlink");
    CAPTURE(failing);
    bench.disk->fault = [&](const std::string& call, const std::string& path) -> std::optional<Error> {
        if (call == failing && path.find("routing") == std::string::npos) return fail(Errc::io, "EIO");
        return std::nullopt;
    };
    (*log)->keeper().release(names);
    CHECK(kept());
    bench.disk->fault = nullptr;
    (*log)->keeper().release({});
    CHECK(kept() == (failing == "unlink"));  // such a file is there again at the next start
    if (failing == "sync_directory") return;
    log->reset();
    log = bench.open();
    REQUIRE(log.has_value());
    (*log)->keeper().release(names);
    CHECK_FALSE(kept());
}
