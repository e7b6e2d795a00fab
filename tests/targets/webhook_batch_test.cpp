// A webhook's batches: their three forms, and answers that name single deliveries.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "targets/standard_webhooks.hpp"
#include "targets/webhook_batch.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::targets;
using nlohmann::json;

namespace {

struct Two {
    Two() { second.format = EventFormat::cloudevents; }
    Event first = support::make_event("{\"n\":\n1}");
    Event second = support::make_event(R"( {"specversion":"1.0","id":"7","source":"/s","type":"t","eventyarddelivery":"dlv_0"} )");
    std::vector<Delivery> deliveries{{"dlv_1", "r1", "t", first, 1, 1}, {"dlv_2", "r2", "t", second, 2, 3}};
};

std::vector<int> statuses_of(const std::string& body)
{
    Two two;
    std::vector<int> statuses;
    for (const auto& status : batch_results(body, two.deliveries)) statuses.push_back(status ? static_cast<int>(*status) : 0);
    return statuses;
}

support::ReadTarget hook(const support::HookServer& server, const std::string& more = "")
{
    return support::read_target("webhook", R"({"url":")" + server.url() + "\"" + more + "}");
}

}  // namespace

TEST_CASE("a batch is lines, an array, or a batch of CloudEvents, with the id of each delivery")
{
    const Two two;
    const std::string lines = batch_body(BatchFormat::ndjson, two.deliveries);
    CHECK(std::count(lines.begin(), lines.end(), '\n') == 2);
    const json line = json::parse(lines.substr(0, lines.find('\n')));
    CHECK(line == json{{"delivery", "dlv_1"}, {"id", two.first.id.text()}, {"rule", "r1"}, {"bus", "default"},
                       {"received", to_rfc3339(two.first.received)}, {"event", {{"n", 1}}}});
    const json list = json::parse(batch_body(BatchFormat::json, two.deliveries));
    REQUIRE(list.size() == 2);
    CHECK(list[0] == line);
    CHECK(list[1].at("delivery") == "dlv_2");

    const std::string text = batch_body(BatchFormat::cloudevents, two.deliveries);
    CHECK(text.find("dlv_0") == std::string::npos);  // of another daemon, on its way here
    const json events = json::parse(text);
    REQUIRE(events.size() == 2);
    CHECK(events[0] == json{{"specversion", "1.0"}, {"id", two.first.id.text()}, {"source", "/eventyard/default"},
                            {"type", "eventyard.event"}, {"time", to_rfc3339(two.first.received)},
                            {"datacontenttype", "application/json"}, {"data", {{"n", 1}}}, {"eventyarddelivery", "dlv_1"}});
    CHECK(events[1] == json{{"specversion", "1.0"}, {"id", "7"}, {"source", "/s"}, {"type", "t"}, {"eventyarddelivery", "dlv_2"}});
    CHECK(content_type(BatchFormat::cloudevents) == std::string{"application/cloudevents-batch+json"});
}

TEST_CASE("a batch's own id is that of its deliveries")
{
    const Two two;
    const std::span<const Delivery> all{two.deliveries};
    CHECK(batch_id(all) == batch_id(Two{}.deliveries));
    CHECK(batch_id(all) != batch_id(all.first(1)));
    CHECK(batch_id(all).starts_with("bat_"));
}

TEST_CASE("an answer may give single deliveries a status of their own")
{
    struct Case {
        const char* body;
        std::vector<int> statuses;
    };
    const Case cases[] = {
        {R"([{"delivery":"dlv_2","status":503}])", {0, 503}},
        {R"({"took":3,"results":[{"status":422,"delivery":"dlv_1"},{"delivery":"dlv_2","status":200}]})", {422, 200}},
        {R"([{"delivery":"dlv_9","status":503}, 7, {"status":500}])", {0, 0}},
        {R"([{"delivery":"dlv_1","status":"503"},{"delivery":"dlv_2","status":99}])", {0, 0}},
        {"[]", {0, 0}},
        {R"({"ok":true})", {}},
        {R"({"results":"all"})", {}},
        {"thanks", {}},
        {"", {}},
    };
    for (const Case& one : cases) DYNAMIC_SECTION(one.body) { CHECK(statuses_of(one.body) == one.statuses); }
}

TEST_CASE("webhook: a batch is one signed request, and what its answer names is judged alone")
{
    support::HookRequest seen;
    std::string results;
    int status = 200;
    support::HookServer server{[&](const support::HookRequest& request) {
        seen = request;
        json named = json::array();
        const int answers[] = {200, 503, 422, 410};
        std::size_t i = 0;
        for (const std::string& line : support::lines_of(request.body))
            if (const std::size_t at = i++; at > 0) named.push_back({{"delivery", json::parse(line).at("delivery")}, {"status", answers[at]}});
        return support::answer(status, "", named.dump());
    }};
    support::TargetRunner runner;
    const auto target = runner.make(hook(server, R"(,"signing":{"secret":"whsec_aHVzaC1odXNoLXNlY3JldGh1c2gtaHVzaC1zZWNyZXQ="})"));
    std::vector<Event> events;
    for (int i = 0; i < 4; ++i) events.push_back(support::make_event("{\"n\":" + std::to_string(i) + "}"));
    const auto outcomes = runner.deliver_batch(*target, events);
    REQUIRE(outcomes.size() == 4);
    CHECK(outcomes[0].verdict == Verdict::delivered);  // not named
    CHECK(outcomes[1].verdict == Verdict::retry);
    CHECK(outcomes[1].status == 503);
    CHECK(outcomes[1].detail == "status 503 in the answer to a batch");
    CHECK(outcomes[2].verdict == Verdict::reject);
    CHECK(outcomes[3].verdict == Verdict::reject);  // others were taken: no reason to pause
    CHECK(seen.header("eventyard-batch") == "4");
    CHECK(seen.header("content-type") == "application/x-ndjson");
    CHECK(seen.header("webhook-id").starts_with("bat_"));
    CHECK(seen.header("eventyard-attempt").empty());
    const auto key = decode_webhook_secret(Secret{"whsec_aHVzaC1odXNoLXNlY3JldGh1c2gtaHVzaC1zZWNyZXQ="});
    CHECK(seen.header("webhook-signature") ==
          sign_webhook({*key}, seen.header("webhook-id"), std::stoll(seen.header("webhook-timestamp")), seen.body));

    // What is no success holds for all of them, whatever else it says.
    status = 422;
    const auto refused = runner.deliver_batch(*target, events);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].verdict == Verdict::reject);
    status = 503;
    CHECK(runner.deliver_batch(*target, events).front().verdict == Verdict::retry);
}

TEST_CASE("webhook: an answer that names a thousand deliveries is read whole, and kept in part")
{
    support::HookServer server{[&](const support::HookRequest& request) {
        json named = json::array();
        for (const json& one : json::parse(request.body)) named.push_back({{"delivery", one.at("delivery")}, {"status", 429}});
        return support::answer(207, "", named.dump());
    }};
    support::TargetRunner runner;
    const auto target = runner.make(hook(server, R"(,"batch_format":"json")"));
    std::vector<Event> events(1000, support::make_event("{}"));
    SystemRandom random;
    for (Event& event : events) event.id = random_id(random);
    const auto outcomes = runner.deliver_batch(*target, events);
    REQUIRE(outcomes.size() == 1000);
    for (const Outcome& outcome : outcomes) CHECK(outcome.verdict == Verdict::retry);
    CHECK(outcomes[0].response.size() == 1024);
}
