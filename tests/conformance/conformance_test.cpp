// The suite every kind of target must pass: one row a kind, one section a promise.
#include <catch2/catch.hpp>
#include <algorithm>
#include <map>
#include <set>

#include "tests/conformance/suite.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"

using namespace eventyard;
using namespace eventyard::conformance;
using namespace eventyard::support;
using namespace eventyard::targets;
using namespace std::chrono_literals;

namespace {

struct Row {
    const char* kind;
    std::unique_ptr<Harness> (*make)();
};

const Row rows[] = {
    {"webhook", &webhook_harness},
    {"file", &file_harness},
    {"redis_stream", &redis_harness},
};

std::vector<Event> numbered(int count)
{
    std::vector<Event> events;
    for (int i = 0; i < count; ++i)
        events.push_back(make_event("{\"n\":" + std::to_string(i) + ",\"pad\":\"" +
                                    std::string(static_cast<std::size_t>(i % 700), 'p') + "\"}"));
    return events;
}

bool within(Duration latency, Duration low, Duration high) { return latency >= low && latency <= high; }

/// The median latency of deliveries, one after another, to a webhook that answers at once.
Duration median_latency(TargetRunner& runner, Target& target)
{
    std::vector<Duration> latencies;
    for (const Outcome& outcome : runner.deliver(target, numbered(101), 1)) {
        REQUIRE(outcome.verdict == Verdict::delivered);
        latencies.push_back(outcome.latency);
    }
    std::sort(latencies.begin(), latencies.end());
    return latencies[latencies.size() / 2];
}

}  // namespace

TEST_CASE("every kind of target has a row in the suite")
{
    std::vector<std::string> names;
    for (const Row& row : rows) names.emplace_back(row.kind);
    CHECK(names == kind_names());
}

TEST_CASE("payloads arrive byte for byte")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const auto target = runner.make(harness->good("20s"));
        std::string all = "{\"text\":\"";
        for (int c = 0x20; c < 0x7f; ++c)
            if (c != '"' && c != '\\') all.push_back(static_cast<char>(c));
        all += "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x9f\x98\x80 \\u0000 \\r\\n \\\" \\ud800\",\t\"x\" : -1e+400 }";
        const std::vector<std::string> bodies{
            "{}", all, "{\"big\":\"" + std::string(1 << 20, 'b') + "\"}", "{\"a\":1,\"a\":2}",
            "{\"$5\":\"*3\"}"};
        for (const std::string& body : bodies) {
            const Outcome outcome = runner.deliver(*target, body);
            INFO(outcome.detail);
            CHECK(outcome.verdict == Verdict::delivered);
            CHECK(outcome.cause == Cause::none);
        }
        const auto arrived = harness->arrived();
        REQUIRE(arrived.size() == bodies.size());
        for (std::size_t i = 0; i < bodies.size(); ++i) CHECK((arrived[i].body == bodies[i]));
    }
}

TEST_CASE("a thousand deliveries at once all arrive, each once and under its own id")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const auto target = runner.make(harness->good("30s"));
        const std::vector<Event> events = numbered(1000);
        for (const Outcome& outcome : runner.deliver(*target, events, 1000)) {
            INFO(outcome.detail);
            REQUIRE(outcome.verdict == Verdict::delivered);
        }
        std::map<std::string, std::string> expected;
        for (const Event& event : events) expected[delivery_id(event.id, "rule", "tested")] = event.body;
        const auto arrived = harness->arrived();
        CHECK(arrived.size() == 1000);
        std::map<std::string, std::string> got;
        for (const Arrived& one : arrived) got[one.delivery] = one.body;
        CHECK((got == expected));
        // Another attempt has the same id.
        runner.deliver(*target, {events[7]});
        CHECK(harness->arrived().back().delivery == delivery_id(events[7].id, "rule", "tested"));
    }
}

TEST_CASE("a batch arrives as its deliveries, in order and each under its own id, and is worth another attempt when it cannot")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const auto target = runner.make(harness->good("30s"));
        const std::vector<Event> events = numbered(1000);
        for (const Outcome& outcome : runner.deliver_batch(*target, events)) {
            INFO(outcome.detail);
            CHECK(outcome.verdict == Verdict::delivered);
        }
        const auto arrived = harness->arrived();
        REQUIRE(arrived.size() == events.size());
        for (std::size_t i = 0; i < events.size(); ++i) {
            CHECK(arrived[i].delivery == delivery_id(events[i].id, "rule", "tested"));
            CHECK(arrived[i].body == events[i].body);
        }
        const auto nowhere = runner.make(harness->unreachable());
        for (const Outcome& outcome : runner.deliver_batch(*nowhere, numbered(3))) CHECK(outcome.verdict == Verdict::retry);
    }
}

TEST_CASE("a target that cannot be reached is worth another attempt, and the outcome says where")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const auto target = runner.make(harness->unreachable());
        const Outcome outcome = runner.deliver(*target, "{}");
        INFO(outcome.detail);
        CHECK(outcome.verdict == Verdict::retry);
        CHECK((outcome.cause == Cause::connect || outcome.cause == Cause::disk));
        CHECK(outcome.detail.find(harness->unreachable_place()) != std::string::npos);
        CHECK(outcome.detail.find('\n') == std::string::npos);
    }
}

TEST_CASE("a target that hangs ends each attempt in time, and works again when it wakes up")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const auto target = runner.make(harness->good("400ms"));
        Outcome first;
        CHECK(runner.run_until([&] {  // a loaded machine may need a second go
            first = runner.deliver(*target, "{}");
            return first.verdict == Verdict::delivered;
        }));
        harness->hang();
        for (const Outcome& outcome : runner.deliver(*target, numbered(40), 20)) {
            INFO(outcome.detail);
            CHECK(outcome.verdict == Verdict::retry);
            CHECK(outcome.cause == Cause::timeout);
            CHECK(outcome.detail.find("timeout after") == 0);
            CHECK(within(outcome.latency, 300ms, 3s));
        }
        harness->resume();
        CHECK(runner.run_until([&] {
            return runner.deliver(*target, "{\"awake\":1}").verdict == Verdict::delivered;
        }));
        CHECK(harness->arrived().back().body == "{\"awake\":1}");
    }
}

TEST_CASE("a name server that never answers costs an attempt its timeout and nothing else")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        const SilentDns dns;
        TargetRunner runner;
        const auto settings = harness->behind_silent_dns(dns.address(), "300ms");
        if (!settings) continue;  // a kind without host names
        const auto target = runner.make(*settings);
        for (const Outcome& outcome : runner.deliver(*target, numbered(10), 5)) {
            INFO(outcome.detail);
            CHECK(outcome.verdict == Verdict::retry);
            CHECK(outcome.cause == Cause::timeout);
            CHECK(outcome.detail.find("'silent.example'") != std::string::npos);
            CHECK(within(outcome.latency, 250ms, 2s));
        }
        CHECK(dns.asked());
    }
}

TEST_CASE("while one target hangs, another on the same thread keeps its pace")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        HookServer server{[](const HookRequest&) { return answer(200); }};
        TargetRunner runner;
        const auto hanging = runner.make(harness->good("10s"), "hanging");
        const auto other = runner.make(read_target("webhook", R"({"url":")" + server.url() + "\"}"), "other");
        const Duration before = median_latency(runner, *other);
        REQUIRE(runner.deliver(*hanging, "{}").verdict == Verdict::delivered);
        harness->hang();
        const auto stuck = runner.start(*hanging, numbered(200), 200);
        const Duration during = median_latency(runner, *other);
        INFO("median before " << before.count() << " ns, while hanging " << during.count() << " ns");
        CHECK(stuck->ended == 0);
        // Noise of a shared machine, not the 10 s of the one that hangs.
        CHECK(during < before * 4 + 5ms);
        hanging->close();
        CHECK(runner.run_until([&] { return stuck->done(); }, 2s));
        harness->resume();
    }
}

TEST_CASE("closing a target ends its waiting attempts soon, as nobody's fault")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        auto target = runner.make(harness->good("30s"));
        REQUIRE(runner.deliver(*target, "{}").verdict == Verdict::delivered);
        harness->hang();
        const auto stuck = runner.start(*target, numbered(50), 50);
        CHECK_FALSE(runner.run_until([&] { return stuck->done(); }, 200ms));
        target->close();
        REQUIRE(runner.run_until([&] { return stuck->done(); }, 2s));
        for (const auto& outcome : stuck->outcomes) {
            CHECK(outcome->verdict == Verdict::retry);
            CHECK(outcome->cause == Cause::internal);
        }
        CHECK(runner.deliver(*target, "{}").cause == Cause::internal);
        target.reset();
        harness->resume();
    }
}

TEST_CASE("no secret shows in an outcome, the status, the fingerprint or the address")
{
    for (const Row& row : rows) DYNAMIC_SECTION(row.kind)
    {
        const auto harness = row.make();
        TargetRunner runner;
        const ReadTarget read = harness->good("400ms");
        const auto target = runner.make(read);
        std::vector<std::string> said{read.blueprint->fingerprint(), read.blueprint->address()};
        const auto listen = [&](const Outcome& outcome) {
            said.push_back(outcome.detail);
            said.push_back(outcome.response);
        };
        listen(runner.deliver(*target, "{}"));
        harness->hang();
        listen(runner.deliver(*target, "{}"));
        harness->resume();
        for (const StatusItem& item : target->status()) said.push_back(item.key + "=" + item.value);
        for (const std::string& text : said) {
            INFO(text);
            CHECK(text.find(secret) == std::string::npos);
            CHECK(text.find("aHVzaC1odXNo") == std::string::npos);  // its base64
        }
        const std::string again = harness->good("400ms").blueprint->fingerprint();
        CHECK(again == read.blueprint->fingerprint());
    }
}
