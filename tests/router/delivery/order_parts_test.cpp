// The parts that order and rates are made of: keys of events, whose turn it is, tokens.
#include <catch2/catch.hpp>

#include "router/delivery/key_order.hpp"
#include "router/delivery/order_key.hpp"
#include "router/delivery/token_bucket.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;

namespace {

std::string key_in(const std::string& path, std::string body)
{
    const auto key = OrderKey::parse(path);
    REQUIRE(key.has_value());
    Event event;
    event.body = std::move(body);
    json::Document scratch;
    return key->of(event, scratch);
}

std::string complaint(const std::string& path)
{
    const auto key = OrderKey::parse(path);
    REQUIRE_FALSE(key.has_value());
    return key.error().what;
}

constexpr SteadyTime t0{1h};

}  // namespace

TEST_CASE("an order key is found by path or by attribute")
{
    const std::string body = R"({"subject":"s","detail":{"id":17,"a b":[{"x":true},"last"],"o":{"k":1}},"n":null})";
    CHECK(key_in("subject", body) == "\"s\"");
    CHECK(key_in("$.subject", body) == "\"s\"");
    CHECK(key_in("$.detail.id", body) == "17");
    CHECK(key_in("$['detail'][\"a b\"][0].x", body) == "true");
    CHECK(key_in("$.detail['a b'][-1]", body) == "\"last\"");
    CHECK(key_in("$.detail.o", body) == R"({"k":1})");
    CHECK(key_in("$.subject", R"({"subject":"\u0073"})") == "\"s\"");  // one string, however it is written
}

TEST_CASE("an event without the value keeps no order")
{
    for (const char* path : {"$.n", "$.absent", "$.detail.id.deeper", "$.detail[0]", "$.list[5]", "$.list[-3]", "$.list.x"})
        CHECK(key_in(path, R"({"n":null,"detail":{"id":1},"list":[1,2]})") == "");
    CHECK(key_in("id", "not json") == "");
}

TEST_CASE("a long key is cut, and stays another one than its like")
{
    const std::string a = key_in("k", R"({"k":")" + std::string(500, 'x') + R"(a"})");
    const std::string b = key_in("k", R"({"k":")" + std::string(500, 'x') + R"(b"})");
    CHECK(a.size() <= OrderKey::length_max);
    CHECK(a != b);
}

TEST_CASE("a wrong order key says where")
{
    CHECK(complaint("") .find("at character 1") != std::string::npos);
    CHECK(complaint("$").find("expected '.' and a member's name") != std::string::npos);
    CHECK(complaint("$..id").find("expected a member's name at character 3") != std::string::npos);
    CHECK(complaint("$.a[*]").find("a quoted name or an index at character 5") != std::string::npos);
    CHECK(complaint("$.a['b").find("the closing quote") != std::string::npos);
    CHECK(complaint("$.a[1").find("']'") != std::string::npos);
    CHECK(complaint("a.b").find("a JSONPath begins with $") != std::string::npos);
    // Nobody means a member that is called so.
    CHECK(complaint("detail/id").find("at character 7") != std::string::npos);
    CHECK(complaint("$.detail/id").find("at character 9") != std::string::npos);
}

TEST_CASE("of a key one is first, the others wait in memory, and as rows once it has failed")
{
    KeyOrder keys{{}};
    CHECK(keys.arrive("k") == KeyOrder::Turn::first);
    CHECK(keys.arrive("other") == KeyOrder::Turn::first);
    CHECK(keys.arrive("k") == KeyOrder::Turn::behind);
    keys.wait("k", {7, 0, nullptr});
    CHECK(keys.waiting() == 1);
    CHECK_FALSE(keys.take());
    CHECK(keys.parked() == 0);

    const auto waited = keys.park("k");
    REQUIRE(waited.size() == 1);
    CHECK(waited[0].slot == 7);
    keys.add_row("k");
    CHECK(keys.parked() == 1);
    CHECK(keys.arrive("k") == KeyOrder::Turn::hold);
    keys.add_row("k");
    CHECK_FALSE(keys.take());

    keys.ended("k");
    auto next = keys.take();
    REQUIRE(next);
    CHECK(next->key == "k");
    CHECK_FALSE(next->waiting);  // a row
    CHECK_FALSE(keys.take());    // one at a time
    keys.ended("k");
    REQUIRE(keys.take());
    keys.ended("k");
    keys.ended("other");
    CHECK(keys.known() == 0);
}

TEST_CASE("a key on hold goes on when it is released")
{
    KeyOrder keys{{{"k", 2, false, true}, {"l", 1, true, false}}};
    CHECK(keys.parked() == 2);
    CHECK(keys.on_hold() == 1);
    CHECK_FALSE(keys.take());  // k is on hold, and the first of l waits for its retry
    CHECK(keys.release("nobody").empty());
    CHECK(keys.release("") == std::vector<std::string>{"k"});
    REQUIRE(keys.take());
    CHECK(keys.on_hold() == 0);
}

TEST_CASE("a bucket gives its burst at once and the rest at its rate")
{
    TokenBucket bucket;
    CHECK(bucket.allows(t0));  // no limit
    bucket.configure({10, 3});
    for (int i = 0; i < 3; ++i) {
        CHECK(bucket.allows(t0));
        bucket.take(t0);
    }
    CHECK_FALSE(bucket.allows(t0));
    CHECK(bucket.next() == t0 + 100ms);
    CHECK(bucket.allows(t0 + 100ms));
    bucket.take(t0 + 100ms);
    CHECK(bucket.lacks(t0 + 100ms) == 300ms);
    CHECK(bucket.lacks(t0 + 10s) == 0ms);
}

TEST_CASE("a bucket restored lacks what it lacked, at most everything")
{
    TokenBucket bucket;
    bucket.configure({2, 4});
    bucket.set_lacks(t0, 1s);
    CHECK(bucket.allows(t0));
    bucket.set_lacks(t0, 100h);  // a clock that jumped
    CHECK(bucket.next() == t0 + 500ms);
    bucket.set_empty(t0);
    CHECK_FALSE(bucket.allows(t0));
    CHECK(bucket.allows(t0 + 500ms));
}
