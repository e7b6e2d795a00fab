#include <catch2/catch.hpp>

#include "router/archive/replay.hpp"
#include "router/replay_name.hpp"

using namespace eventyard;
using namespace eventyard::router;

TEST_CASE("a replay comes back from its file as it was")
{
    ReplayJob job;
    job.id = 7;
    job.tag = "7.0badcafe";
    job.request = {"orders", 3, 900, WallTime{Duration{5}}, WallTime{Duration{6}}, "paid", "hook", 12.5, false, true};
    job.begin = 3;
    job.through = 800;
    job.cursor = 100;
    job.next = 120;
    job.mark = 1000;
    job.next_read = 20;
    job.next_unreadable = 1;
    job.read = 98;
    job.events = 50;
    job.deliveries = 70;
    job.routes = {{{"paid", "hook"}, 70}};
    job.message = "waits";
    job.who = "me";
    const auto read = decode_replay(encode_replay(job));
    REQUIRE(read.has_value());
    CHECK(encode_replay(*read) == encode_replay(job));
    CHECK(read->routes == job.routes);
    CHECK(read->next_unreadable == 1);
    CHECK(decode_replay("{").error().code == Errc::corrupt);
    CHECK(decode_replay("{\"format\":2}").error().code == Errc::unsupported);
}

TEST_CASE("a replay's delivery has an id of its own, or the original's where that is asked for")
{
    const Id event = *parse_id("01936f0e-0000-7000-8000-000000000001");
    const std::string original = delivery_id(event, "paid", "hook");
    const std::string fresh = replay_name({"7.0badcafe", false, "paid"});
    const std::string same = replay_name({"7.0badcafe", true, "paid"});
    CHECK(stored_delivery_id(event, "paid", "hook") == original);
    CHECK(stored_delivery_id(event, same, "hook") == original);
    CHECK(stored_delivery_id(event, fresh, "hook") != original);
    CHECK(stored_delivery_id(event, replay_name({"8.0badcafe", false, "paid"}), "hook") !=
          stored_delivery_id(event, fresh, "hook"));
    for (const std::string& name : {fresh, same}) {
        CHECK(plain_rule(name) == "paid");
        CHECK(parse_replay_name(name)->tag == "7.0badcafe");
        CHECK(replayed_delivery_id(event, name, "hook") == original);
    }
    CHECK(replayed_delivery_id(event, "paid", "hook").empty());
    CHECK_FALSE(parse_replay_name("replay/paid"));
    CHECK_FALSE(parse_replay_name("replay:paid"));
}
