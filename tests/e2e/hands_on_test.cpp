// What an operator does to single deliveries of a running daemon, and a ledger that balances at every look.
#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

std::string targets(const std::string& url, const std::string& more = "")
{
    return "targets:\n  out:\n    webhook: {url: '" + url + "'}\n    concurrency: 4\n    retry: {backoff: {initial: 1h, max: 1h}}\n"
           "    circuit_breaker: {failures: 100000}\n" + more;
}

constexpr const char* two_rules =
    "rules:\n  - name: all\n    pattern: {source: [s]}\n    targets: [out]\n"
    "  - name: big\n    pattern: {source: [s], n: [{numeric: ['>', 5]}]}\n    targets: [out]\n";

std::string event(std::uint64_t n) { return R"({"source":"s","n":)" + std::to_string(n) + "}"; }

json post(const Daemon& daemon, std::uint64_t n)
{
    const auto answer = support::http_post(daemon.http(), "/v1/events", event(n));
    REQUIRE(answer.status == 202);
    return json::parse(answer.body);
}

std::uint64_t ended(const Daemon& daemon, const std::string& rule, const char* ending)
{
    const json status = daemon.status();
    for (const json& row : status.at("ledger"))
        if (row.at("rule") == rule) return row.at(ending).get<std::uint64_t>();
    return 0;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("pending deliveries of a paused target are listed, some discarded, and the rest goes out after a kill")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    daemon.configure(targets(sink.url()), two_rules);
    daemon.start();
    REQUIRE(run(daemon, {"targets", "pause", "out"}).exit.code == 0);
    std::string last;
    for (std::uint64_t n = 1; n <= 10; ++n) last = post(daemon, n).at("id");
    REQUIRE(eventually([&] { return daemon.status().at("pending") == 15; }));

    const auto table = run(daemon, {"deliveries", "list", "--rule", "big"});
    CHECK(table.exit.code == 0);
    CHECK(holds(table.out, "SEQUENCE  RULE  TARGET  STATE"));
    CHECK(support::lines_of(table.out).size() == 6);
    const json all = json::parse(run(daemon, {"deliveries", "list", "--json", "--limit", "4"}).out);
    CHECK(all.at("deliveries").size() == 4);
    const json rest = json::parse(run(daemon, {"deliveries", "--json", "list", "--after", all.at("next")}).out);
    CHECK(rest.at("deliveries").size() == 11);
    CHECK(json::parse(run(daemon, {"deliveries", "list", "--id", last, "--json"}).out).at("deliveries").size() == 2);

    CHECK(run(daemon, {"deliveries", "discard", "--yes", "--reason", "x"}).exit.code == 2);       // which?
    CHECK(run(daemon, {"deliveries", "discard", "--rule", "big", "--yes"}).exit.code == 2);       // why?
    CHECK(run(daemon, {"deliveries", "discard", "--rule", "big", "--reason", "x"}, "4\n").exit.code == 1);  // not the number
    CHECK(run(daemon, {"deliveries", "discard", "--rule", "big", "--older-than", "1h", "--reason", "x", "--yes"}).exit.code == 1);
    CHECK(daemon.status().at("pending") == 15);
    const auto discarded = run(daemon, {"deliveries", "discard", "--rule", "big", "--reason", "a test", "--who", "me"}, "5\n");
    CHECK(discarded.exit.code == 0);
    CHECK(holds(discarded.err, "5 pending deliveries"));
    CHECK(discarded.out == "discarded 5 pending deliveries\n");
    daemon.kill();
    CHECK(holds(daemon.process().err(), "discarded by an operator"));
    CHECK(holds(daemon.process().err(), "a test"));
    daemon.start();
    CHECK(ended(daemon, "big", "discarded_operator") == 5);
    REQUIRE(run(daemon, {"targets", "resume", "out"}).exit.code == 0);
    const json status = daemon.settle();
    CHECK(sink.ids().size() == 10);
    CHECK(ended(daemon, "all", "delivered") == 10);
    CHECK(run(daemon, {"audit"}).exit.code == 0);
}

TEST_CASE("retries picked by hand go out now, and one in flight is discarded when its attempt fails")
{
    TempDir directory;
    Sink sink{{"--respond-each", "503,200"}};
    Daemon daemon{directory};
    daemon.configure(targets(sink.url()), two_rules);
    daemon.start();
    post(daemon, 1);
    post(daemon, 7);
    REQUIRE(eventually([&] {
        const auto listed = json::parse(run(daemon, {"deliveries", "list", "--json"}).out).at("deliveries");
        return listed.size() == 3 && std::all_of(listed.begin(), listed.end(), [](const json& one) {
                   return one.at("state") == "retry" && one.at("attempts") == 1 && one.at("due").is_string();
               });
    }));
    const auto due = run(daemon, {"deliveries", "retry-now", "--rule", "big"});
    CHECK(due.exit.code == 0);
    CHECK(due.out == "1 delivery due now\n");
    REQUIRE(eventually([&] { return ended(daemon, "big", "delivered") == 1; }));
    CHECK(daemon.status().at("pending") == 2);
    CHECK(run(daemon, {"deliveries", "discard", "--all", "--yes", "--reason", "over"}).out == "discarded 2 pending deliveries\n");
    CHECK(run(daemon, {"deliveries", "list"}).out == "no pending deliveries\n");
    daemon.terminate();

    Sink slow{{"--delay", "1s", "--respond", "503"}};
    daemon.configure(targets(slow.url()), two_rules);
    daemon.start();
    post(daemon, 2);
    REQUIRE(eventually([&] { return daemon.status().at("targets").at(0).at("in_flight") == 1; }));
    CHECK(holds(run(daemon, {"deliveries", "list"}).out, "in flight"));
    const auto flying = run(daemon, {"deliveries", "discard", "--target", "out", "--yes", "--reason", "over"});
    CHECK(flying.exit.code == 0);
    CHECK(holds(flying.out, "1 in flight"));
    daemon.settle();
    CHECK(ended(daemon, "all", "discarded_operator") == 3);
}

TEST_CASE("under load the ledger balances at every look, and so does the audit")
{
    TempDir directory;
    Sink sink{{"--respond-each", "503,200"}};
    Daemon daemon{directory};
    daemon.configure("threads: 2\ntargets:\n  out:\n    webhook: {url: '" + sink.url() + "'}\n    retry: {backoff: {initial: 5ms, max: 50ms}}\n"
                     "    circuit_breaker: {failures: 100000}\n  file:\n    file: {path: '" + directory.file("out.jsonl") + "'}\n",
                     "rules:\n  - name: all\n    pattern: {source: [s]}\n    targets: [out, file]\n"
                     "  - name: odd\n    pattern: {source: [s], n: [{numeric: ['<', 200]}]}\n    targets: [file]\n");
    daemon.start();
    std::atomic<std::uint64_t> next{0};
    Load load{daemon.http(), 3, event, next};
    std::uint64_t looks = 0, with_pending = 0;
    const auto end = std::chrono::steady_clock::now() + 6s;
    for (; std::chrono::steady_clock::now() < end; ++looks) {
        const json status = daemon.status();
        INFO(status.at("difference") << " " << status.at("pending") << " " << status.at("ledger").dump());
        REQUIRE(status.at("balanced") == true);
        with_pending += status.at("pending") > 0 ? 1 : 0;
        if (looks % 5 == 0) {
            const json audit = json::parse(support::http_get(daemon.admin(), "/v1/audit").body);
            INFO(audit.dump(2));
            REQUIRE(audit.at("good") == true);
        }
        if (looks % 7 == 0) REQUIRE(daemon.metric("eventyard_ledger_balanced") == 1);
    }
    load.stop();
    CHECK(looks > 20);
    CHECK(with_pending > 0);
    CHECK(load.accepted().size() > 500);
    daemon.settle();
}
