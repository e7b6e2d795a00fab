#include "router/admin/status.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

using namespace eventyard;
using namespace eventyard::router;
using admin::StatusReport;

namespace {

StatusReport sample()
{
    StatusReport report;
    report.version = "1.2.3";
    report.started = WallTime{std::chrono::seconds{1'700'000'000}};
    report.now = report.started + std::chrono::seconds{90};
    report.rules = 3;
    report.buses = {{"default", 3, "fsync", "drop", {3, 7, 2, 4096}, std::chrono::milliseconds{250}, {}}};
    MatchTotals& matching = report.buses[0].matching;
    matching.events = 1000;
    matching.cost = {50, 40, 30};
    matching.sampled_events = 4;
    matching.sampled_time = std::chrono::microseconds{8};
    for (int i = 0; i < 12; ++i)
        matching.paths["detail.f" + std::to_string(i)] = {static_cast<std::uint64_t>(i), std::chrono::nanoseconds{100 * i}};
    TargetStatus orders;
    orders.name = "orders";
    orders.kind = "webhook";
    orders.pending = {5, 2, 1};
    orders.counters.attempts = 12;
    orders.counters.latency.add(std::chrono::milliseconds{3});
    orders.counters.latency.add(std::chrono::minutes{2});
    orders.counters.last_error = "HTTP 503\n\xff";
    report.targets = {orders};
    LedgerRow row;
    row.rule = "paid";
    row.target = "orders";
    row.routed = 20;
    row.ended = {{Ending::delivered, 11}, {Ending::dead_lettered, 1}};
    report.ledger = {row};
    report.events = {{"default", "http", 18, 1, 2, 15, 3}};
    report.ingest.requests = {{202, 18}, {400, 2}};
    report.ingest.connections_refused = 4;
    report.ingest.buffered_bytes = 70'000;
    return report;
}

}  // namespace

TEST_CASE("what replays routed is joined to the row of its rule, as replayed")
{
    LedgerRow own, replay, other;
    own.rule = "paid";
    own.target = replay.target = other.target = "orders";
    own.routed = 20;
    own.ended = {{Ending::delivered, 20}};
    replay.rule = "replay:1.0badcafe:paid";
    replay.routed = 5;
    replay.ended = {{Ending::delivered, 3}, {Ending::expired, 2}};
    other.rule = "replay:2.0badcafe:same:new";
    other.routed = 7;
    const auto rows = admin::with_replays({own, replay, other});
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].rule == "new");
    CHECK(rows[0].routed == 0);
    CHECK(rows[0].replayed == 7);
    CHECK(rows[1].rule == "paid");
    CHECK(rows[1].routed == 20);
    CHECK(rows[1].replayed == 5);
    CHECK(rows[1].ended.at(Ending::delivered) == 23);
    CHECK(rows[1].ended.at(Ending::expired) == 2);
}

TEST_CASE("the ledger balances when routed equals ended plus pending")
{
    StatusReport report = sample();
    CHECK(admin::balance(report).routed == 20);
    CHECK(admin::balance(report).ended == 12);
    CHECK(admin::balance(report).pending == 8);
    CHECK(admin::balance(report).holds());
    report.targets[0].pending.waiting = 4;
    CHECK_FALSE(admin::balance(report).holds());
    const auto json = nlohmann::json::parse(admin::status_json(report));
    CHECK(json.at("balanced") == false);
    CHECK(json.at("difference") == 1);
}

TEST_CASE("a ledger of one cut has what was routed at the cut and how the targets saw it end")
{
    const auto row = [](const char* target, const char* rule, std::uint64_t routed, std::uint64_t delivered) {
        LedgerRow made{rule, target, routed, 0, {}, 0};
        if (delivered > 0) made.ended[Ending::delivered] = delivered;
        return made;
    };
    TargetStatus a, b;
    a.name = "a";
    a.ledger = {row("a", "r", 7, 3)};  // routed: of another moment
    b.name = "b";                      // the state did not answer
    const auto ledger = admin::ledger_at_cut({row("a", "r", 9, 5), row("a", "s", 1, 1), row("b", "r", 4, 4)}, {a, b});
    REQUIRE(ledger.size() == 3);
    CHECK(ledger[0].routed == 9);
    CHECK(ledger[0].ended.at(Ending::delivered) == 3);
    CHECK(ledger[1].ended.empty());  // it ended after the cut
    CHECK(ledger[2].ended.at(Ending::delivered) == 4);
}

TEST_CASE("what was moved balances at the cut, also to a target that nothing is routed to")
{
    TargetStatus a, b;
    a.name = "a";
    a.ledger = {{"r", "a", 0, 0, {{Ending::moved, 4}}, 0, 0}};
    b.name = "b";
    b.ledger = {{"r", "b", 0, 0, {{Ending::delivered, 1}}, 0, 4}};
    b.pending.retry = 3;
    admin::StatusReport report;
    report.ledger = admin::with_replays(admin::ledger_at_cut({{"r", "a", 4, 0, {{Ending::delivered, 4}}, 0, 0}}, {a, b}));  // read before the move
    report.targets = {a, b};
    REQUIRE(report.ledger.size() == 2);
    CHECK(report.ledger[1].moved_in == 4);
    CHECK(report.ledger[1].ended.at(Ending::delivered) == 1);
    CHECK(admin::balance(report).holds());
}

TEST_CASE("status JSON says what is known, also when an error text is not UTF-8")
{
    const auto json = nlohmann::json::parse(admin::status_json(sample()));
    CHECK(json.at("version") == "1.2.3");
    CHECK(json.at("uptime_seconds") == 90);
    CHECK(json.at("ready") == true);
    CHECK(json.at("last_reload").is_null());
    CHECK(json.at("targets").at(0).at("pending").at("total") == 8);
    CHECK(json.at("targets").at(0).at("last_error").get<std::string>().rfind("HTTP 503", 0) == 0);
    CHECK(json.at("ledger").at(0).at("dead_lettered") == 1);
    CHECK(json.at("ledger").at(0).at("expired") == 0);
    CHECK(json.at("events").at(0).at("received") == 21);
    CHECK(json.at("ingest").at("requests").at("400") == 2);
    CHECK(json.at("ingest").at("connections_refused") == 4);
    CHECK(json.at("ingest").at("buffered_bytes") == 70'000);
}

TEST_CASE("status JSON says what each bus's rules hold and cost, ten paths at most")
{
    const auto bus = nlohmann::json::parse(admin::status_json(sample())).at("buses").at(0);
    CHECK(bus.at("rules") == 3);
    CHECK(bus.at("rule_set") ==
          nlohmann::json{{"predicates", 7}, {"keys", 2}, {"bytes", 4096}, {"compile_seconds", 0.25}});
    const auto& matching = bus.at("matching");
    CHECK(matching.at("events") == 1000);
    CHECK(matching.at("touched") == 50);
    CHECK(matching.at("candidates") == 40);
    CHECK(matching.at("matches") == 30);
    const auto& sampled = matching.at("sampled");
    CHECK(sampled.at("events") == 4);
    CHECK(sampled.at("seconds") == Approx(8e-6));
    REQUIRE(sampled.at("paths").size() == 10);
    CHECK(sampled.at("paths").at(0).at("path") == "detail.f11");
    CHECK(sampled.at("paths").at(0).at("candidates") == 11);
    CHECK(sampled.at("paths").at(0).at("seconds") == Approx(1.1e-6));
}

TEST_CASE("metrics follow Prometheus' conventions")
{
    const std::string page = admin::metrics_text(sample());
    for (const char* line : {
             "eventyard_target_pending{target=\"orders\",where=\"waiting\"} 5",
             "eventyard_events_total{bus=\"default\",result=\"matched\"} 15",
             "eventyard_http_requests_total{status=\"400\"} 2",
             "eventyard_http_connections_refused_total 4",
             "eventyard_http_buffered_bytes 70000",
             "eventyard_target_attempt_seconds_bucket{target=\"orders\",le=\"0.005\"} 1",
             "eventyard_target_attempt_seconds_bucket{target=\"orders\",le=\"+Inf\"} 2",
             "eventyard_target_attempt_seconds_count{target=\"orders\"} 2",
             "eventyard_ledger_balanced 1",
             "eventyard_ledger_endings{ending=\"expired\"} 0",
             "eventyard_target_expired_total{target=\"orders\"} 0",
             "eventyard_rules{bus=\"default\"} 3",
             "eventyard_rule_set_predicates{bus=\"default\"} 7",
             "eventyard_rule_set_keys{bus=\"default\"} 2",
             "eventyard_rule_set_bytes{bus=\"default\"} 4096",
             "eventyard_rule_set_compile_seconds{bus=\"default\"} 0.25",
             "eventyard_match_events_total{bus=\"default\"} 1000",
             "eventyard_match_touched_total{bus=\"default\"} 50",
             "eventyard_match_candidates_total{bus=\"default\"} 40",
             "eventyard_match_matches_total{bus=\"default\"} 30",
             "eventyard_match_sampled_events_total{bus=\"default\"} 4",
         }) {
        INFO(page);
        CHECK(page.find(std::string(line) + "\n") != std::string::npos);
    }
    // HELP and TYPE stand once, before all samples of a family; counters end in _total.
    std::set<std::string> typed;
    std::string family, type;
    std::istringstream lines{page};
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("# TYPE ", 0) == 0) {
            std::istringstream parts{line.substr(7)};
            parts >> family >> type;
            CHECK(typed.insert(family).second);
            CHECK((type == "counter") == (family.size() > 6 && family.substr(family.size() - 6) == "_total"));
        } else if (line.rfind("#", 0) != 0) {
            INFO(line);
            CHECK(line.rfind(family, 0) == 0);
        }
    }
    CHECK(typed.size() > 30);
}
