#include <catch2/catch.hpp>

#include "tests/conformance/suite.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/target_runner.hpp"

namespace eventyard::conformance {
namespace {

using namespace targets;

class RedisHarness final : public Harness {
public:
    ReadTarget good(const std::string& timeout) override
    {
        return support::read_target("redis_stream", R"({"stream":"s","address":")" + server_.address() +
                                                        R"(","password":")" + secret +
                                                        R"(","timeout":")" + timeout + "\"}");
    }
    std::vector<Arrived> arrived() override
    {
        std::vector<Arrived> all;
        for (const auto& entry : server_.entries("s"))
            all.push_back({entry.fields.at(2).second, entry.fields.at(0).second});
        return all;
    }
    void hang() override { server_.stop(); }
    void resume() override { server_.resume(); }
    ReadTarget unreachable() override
    {
        return support::read_target("redis_stream", R"({"stream":"s","address":"127.0.0.1:1"})");
    }
    std::string unreachable_place() override { return "127.0.0.1:1"; }
    std::optional<ReadTarget> behind_silent_dns(const std::string& server,
                                                const std::string& timeout) override
    {
        return support::read_target("redis_stream",
                                    R"({"stream":"s","address":"silent.example","timeout":")" + timeout +
                                        R"(","dns_servers":[")" + server + "\"]}");
    }

private:
    support::RedisServer server_{secret};
};

ReadTarget settings(const support::RedisServer& server, const std::string& more = "")
{
    return support::read_target("redis_stream",
                                R"({"stream":"s","address":")" + server.address() + "\"" + more + "}");
}

}  // namespace

std::unique_ptr<Harness> redis_harness() { return std::make_unique<RedisHarness>(); }

TEST_CASE("redis_stream: an entry has the documented fields, and the stream is trimmed")
{
    support::RedisServer server;
    support::TargetRunner runner;
    const auto target = runner.make(settings(server, R"(,"max_length":100)"));
    const Event event = support::make_event("{\"a\":1}");
    const Outcome outcome = runner.deliver(*target, std::vector<Event>{event}).front();
    CHECK(outcome.verdict == Verdict::delivered);
    const auto entries = server.entries("s");
    REQUIRE(entries.size() == 1);
    CHECK(outcome.response == entries[0].id);
    using Fields = std::vector<std::pair<std::string, std::string>>;
    CHECK(entries[0].fields == Fields{{"event", "{\"a\":1}"},
                                      {"id", event.id.text()},
                                      {"delivery", delivery_id(event.id, "rule", "tested")},
                                      {"rule", "rule"},
                                      {"bus", "default"},
                                      {"content_type", "application/json"}});
    std::vector<Event> many;
    for (int i = 0; i < 1000; ++i) many.push_back(support::make_event("{}"));
    runner.deliver(*target, many, 100);
    CHECK(server.entries("s").size() >= 100);
    CHECK(server.entries("s").size() <= 300);  // "~" trims whole nodes of 100
}

TEST_CASE("redis_stream: a server that went away and came back is found again")
{
    support::RedisServer server;
    support::TargetRunner runner;
    const auto target = runner.make(settings(server, R"(,"timeout":"2s")"));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);
    server.kill();
    server.start();
    // The kept connection is dead, which shows at the next use: replaced within the attempt.
    CHECK(runner.deliver(*target, "{\"n\":2}").verdict == Verdict::delivered);
    server.kill();
    const Outcome down = runner.deliver(*target, "{}");
    CHECK(down.verdict == Verdict::retry);
    CHECK(down.cause == Cause::connect);
    server.start();
    Outcome outcome;
    CHECK(runner.run_until([&] {
        outcome = runner.deliver(*target, "{\"n\":3}");
        return outcome.verdict == Verdict::delivered;
    }, std::chrono::seconds{10}));
    CHECK(server.entries("s").size() == 1);
}

TEST_CASE("redis_stream: errors are final or pass, by their class")
{
    support::RedisServer server{"right"};
    support::TargetRunner runner;
    const auto target = runner.make(settings(server, R"(,"password":"right")"));
    static_cast<void>(server.run({"SET", "s", "a string"}));
    const Outcome wrong_type = runner.deliver(*target, "{}");
    CHECK(wrong_type.verdict == Verdict::reject);
    CHECK(wrong_type.cause == Cause::status);
    CHECK(wrong_type.detail.find("redis: WRONGTYPE") == 0);
    static_cast<void>(server.run({"DEL", "s"}));
    static_cast<void>(server.run({"CONFIG", "SET", "maxmemory", "1"}));
    const Outcome full = runner.deliver(*target, "{}");
    CHECK(full.verdict == Verdict::retry);
    CHECK(full.detail.find("redis: OOM") == 0);
    static_cast<void>(server.run({"CONFIG", "SET", "maxmemory", "0"}));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);

    const auto stranger = runner.make(settings(server, R"(,"password":"wrong")"));
    const Outcome refused = runner.deliver(*stranger, "{}");
    CHECK(refused.verdict == Verdict::reject);
    CHECK(refused.detail.find("redis: WRONGPASS") == 0);
    const auto nameless = runner.make(settings(server));
    CHECK(runner.deliver(*nameless, "{}").verdict == Verdict::reject);
    CHECK(server.entries("s").size() == 1);
}

}  // namespace eventyard::conformance
