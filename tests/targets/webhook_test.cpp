// The webhook against real servers on loopback: what the conformance suite does not ask of all kinds.
#include <atomic>
#include <catch2/catch.hpp>

#include "core/json.hpp"
#include "targets/standard_webhooks.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

std::string status_of(const Target& target, const std::string& key)
{
    for (const StatusItem& item : target.status())
        if (item.key == key) return item.value;
    return {};
}

}  // namespace

TEST_CASE("a webhook keeps its connection and sends the headers it promises")
{
    std::vector<HookRequest> seen;
    HookServer server{[&](const HookRequest& request) {
        seen.push_back(request);
        return answer(204);
    }};
    TargetRunner runner;
    const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const auto target = runner.make(read_target(
        "webhook", R"({"url":")" + server.url("/in?x=1") + R"(","method":"PUT","headers":{"X-Env":"prod"},"signing":{"secret":")" + secret + "\"}}"));
    Event cloud = make_event("{\"b\":2}");
    cloud.format = EventFormat::cloudevents;
    const std::vector<Event> events{make_event("{\"a\":1}"), cloud};
    for (const Outcome& outcome : runner.deliver(*target, events, 1)) {
        CHECK(outcome.verdict == Verdict::delivered);
        CHECK(outcome.cause == Cause::none);
        CHECK(outcome.status == 204);
        CHECK(outcome.detail == "HTTP 204");
        CHECK(outcome.latency > Duration{0});
    }
    CHECK(server.connections() == 1);
    CHECK(status_of(*target, "requests_on_kept_connections") == "1");
    REQUIRE(seen.size() == 2);
    CHECK(seen[0].head.substr(0, 23) == "PUT /in?x=1 HTTP/1.1\r\nh");
    CHECK(seen[0].header("x-env") == "prod");
    CHECK(seen[0].header("content-type") == "application/json");
    CHECK(seen[1].header("content-type") == "application/cloudevents+json");
    CHECK(seen[0].header("host") == "127.0.0.1:" + std::to_string(server.port()));
    const std::string id = delivery_id(events[0].id, "rule", "tested");
    CHECK(seen[0].header("webhook-id") == id);
    CHECK(seen[0].header("eventyard-event-id") == events[0].id.text());
    CHECK(seen[0].header("eventyard-attempt") == "1");
    const Secret signing_key = *decode_webhook_secret(Secret{secret});
    CHECK(seen[0].header("webhook-signature") ==
          sign_webhook({signing_key}, id, std::stoll(seen[0].header("webhook-timestamp")), "{\"a\":1}"));
}

TEST_CASE("answers are judged by status, redirects are not followed, Retry-After is handed on")
{
    std::string script;
    int requests = 0;
    HookServer server{[&](const HookRequest&) {
        ++requests;
        return HookReply{script, false, false};
    }};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + "\"}"));
    const auto send = [&](const HookReply& reply) {
        script = reply.bytes;
        return runner.deliver(*target, "{}");
    };
    const Outcome busy = send(answer(503, "Retry-After: 7\r\n", "come back"));
    CHECK(busy.verdict == Verdict::retry);
    CHECK(busy.cause == Cause::status);
    CHECK(busy.status == 503);
    CHECK(busy.detail == "HTTP 503");
    CHECK(busy.response == "come back");
    CHECK(busy.retry_after == Duration{std::chrono::seconds{7}});
    CHECK(send(answer(302, "Location: " + server.url("/other") + "\r\n")).verdict == Verdict::reject);
    CHECK(send(answer(410)).verdict == Verdict::pause);
    CHECK(send(answer(489)).verdict == Verdict::reject);
    CHECK(send(answer(489, "upstash-nonretryable-error: true\r\n")).verdict == Verdict::reject);
    CHECK(send({"HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, false}).verdict == Verdict::delivered);
    CHECK(requests == 6);
    CHECK(server.connections() == 1);
    const Outcome garbage = send({"SSH-2.0-x\r\n\r\n", false, false});
    CHECK(garbage.verdict == Verdict::retry);
    CHECK(garbage.cause == Cause::protocol);
}

TEST_CASE("a kept connection that was closed is replaced once, and a fresh one that is lost is not")
{
    std::atomic<int> requests{0};  // counted on the server's threads
    std::atomic<bool> answering{true};
    HookServer server{[&](const HookRequest& request) {
        ++requests;
        if (!answering) return HookReply{"", true, false};
        if (request.connection == 1 && requests > 1) return HookReply{"", true, false};
        return answer(200);
    }};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + "\"}"));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);  // resent on connection 2
    CHECK(requests.load() == 3);
    CHECK(server.connections() == 2);
    answering = false;
    requests = 0;
    const Outcome lost = runner.deliver(*target, "{}");  // the kept one, then a new one
    CHECK(lost.verdict == Verdict::retry);
    CHECK(lost.cause == Cause::lost);
    CHECK(lost.detail == "lost: the connection was closed before an answer");
    CHECK(requests.load() == 2);
    const Outcome again = runner.deliver(*target, "{}");
    CHECK(again.cause == Cause::lost);
    CHECK(requests.load() == 3);
}

TEST_CASE("an answer cut short is not taken for a whole one")
{
    HookServer server{[](const HookRequest&) {
        return HookReply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, false};
    }};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + "\"}"));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.cause == Cause::lost);
    CHECK(outcome.verdict == Verdict::retry);
}

TEST_CASE("a long answer is capped, its connection closed, and its status decides")
{
    HookServer server{[](const HookRequest&) { return answer(200, "", std::string(1 << 20, 'r')); }};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + "\"}"));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.verdict == Verdict::delivered);
    CHECK(outcome.response == std::string(1024, 'r'));
    CHECK(status_of(*target, "connections_idle") == "0");
}

TEST_CASE("idle connections end after their time and beyond their number")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TargetRunner runner;
    const auto target = runner.make(read_target(
        "webhook", R"({"url":")" + server.url() + R"(","idle_connections":2,"idle_timeout":"200ms"})"));
    std::vector<Event> events;
    for (int i = 0; i < 40; ++i) events.push_back(make_event("{}"));
    runner.deliver(*target, events, 8);
    CHECK(std::stoi(status_of(*target, "connections_idle")) <= 2);
    CHECK(runner.run_until([&] { return status_of(*target, "connections_idle") == "0"; },
                           std::chrono::seconds{5}));
}

TEST_CASE("a secret that a server echoes does not reach the outcome")
{
    HookServer server{[](const HookRequest& request) { return answer(400, "", "you said " + request.header("authorization") + " and failed"); }};
    TargetRunner runner;
    const auto target = runner.make(read_target(
        "webhook", R"({"url":")" + server.url() + R"(","headers":{"Authorization":"${test:Bearer topsecret}"}})"));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.verdict == Verdict::reject);
    CHECK(outcome.response == "you said *** and failed");
}

TEST_CASE("nor does one that it repeats as JSON, or the query of its URL")
{
    HookServer server{[](const HookRequest& request) {
        std::string said;
        json::append_quoted(said, request.header("authorization"));
        return answer(400, "", said + " at " + request.head.substr(0, request.head.find("\r\n")));
    }};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + R"(?token=query-secret","headers":{"Authorization":"${test:a/b+c\"d=e}"}})"));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.verdict == Verdict::reject);
    CHECK(outcome.response.rfind("\"***\" at POST /", 0) == 0);
    CHECK(outcome.response.find("query-secret") == std::string::npos);
}

TEST_CASE("a name is resolved by /etc/hosts, and one nobody has is named")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TargetRunner runner;
    const auto local = runner.make(read_target(
        "webhook", R"({"url":"http://localhost:)" + std::to_string(server.port()) + "/\"}"));
    CHECK(runner.deliver(*local, "{}").verdict == Verdict::delivered);
    // This machine, though /etc/hosts does not say so (a container may have none) and no server is asked.
    const auto dotted = runner.make(
        read_target("webhook", R"({"url":"http://LocalHost.:)" + std::to_string(server.port()) +
                                   R"(/","dns_servers":["127.0.0.1:1"]})"));
    CHECK(runner.deliver(*dotted, "{}").verdict == Verdict::delivered);
    // Nobody listens there: refused at once, so no name server answers.
    const auto nowhere = runner.make(read_target(
        "webhook", R"({"url":"http://nobody.example/","dns_servers":["127.0.0.1:1"]})"));
    const Outcome outcome = runner.deliver(*nowhere, "{}");
    CHECK(outcome.verdict == Verdict::retry);
    CHECK(outcome.cause == Cause::resolve);
    CHECK(outcome.detail.find("'nobody.example'") != std::string::npos);
}

TEST_CASE("retry_on can make a failure without an answer final")
{
    TargetRunner runner;
    const auto target = runner.make(
        read_target("webhook", R"({"url":"http://127.0.0.1:1/","retry_on":["timeout"]})"));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.verdict == Verdict::reject);
    CHECK(outcome.cause == Cause::connect);
    CHECK(outcome.detail == "connect: connection refused (127.0.0.1:1)");
}
