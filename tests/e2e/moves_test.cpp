// Deliveries moved from a target that is gone to another one, by a running daemon that is killed on the way.
#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

std::string webhook(const std::string& name, const std::string& url)
{
    return "  " + name + ":\n    webhook: {url: '" + url + "'}\n";
}

std::string rule(const std::string& targets)
{
    return "rules:\n  - name: all\n    pattern: {source: [s]}\n    targets: [" + targets + "]\n";
}

json ledger_of(const json& status, const std::string& target)
{
    for (const json& row : status.at("ledger"))
        if (row.at("target") == target) return row;
    return nullptr;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("what an orphaned target has pending goes out through another, under its own ids, over a kill")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    const std::string fresh = webhook("new", sink.url());
    const std::string ordered = webhook("ordered", sink.url()) + "    order: {by: strict}\n";
    daemon.configure("threads: 2\ntargets:\n" + webhook("old", sink.url()) + fresh + ordered, rule("old, new"));
    daemon.start();
    REQUIRE(run(daemon, {"targets", "pause", "old"}).exit.code == 0);
    std::set<std::string> ids;
    for (int n = 0; n < 500; ++n) {
        const auto answer = support::http_post(daemon.http(), "/v1/events", R"({"source":"s","n":)" + std::to_string(n) + "}");
        REQUIRE(answer.status == 202);
        const auto event = parse_id(json::parse(answer.body).at("id").get<std::string>());
        REQUIRE(event.has_value());
        for (const char* const target : {"old", "new"}) ids.insert(delivery_id(*event, "all", target));
    }
    REQUIRE(eventually([&] { return sink.ids().size() == 500; }));

    // Refused: a target at work, itself, none, an ordered one, no reason, not the number.
    CHECK(run(daemon, {"targets", "move", "new", "old", "--yes", "--reason", "x"}).exit.code == 1);
    CHECK(run(daemon, {"targets", "move", "old", "old", "--yes", "--reason", "x"}).exit.code == 2);
    CHECK(holds(run(daemon, {"targets", "move", "old", "knew", "--yes", "--reason", "x"}).err, "did you mean 'new'"));
    CHECK(holds(run(daemon, {"targets", "move", "old", "ordered", "--yes", "--reason", "x"}).err, "keeps an order"));
    CHECK(run(daemon, {"targets", "move", "old", "new", "--yes"}).exit.code == 2);
    CHECK(run(daemon, {"targets", "move", "old"}).exit.code == 2);
    CHECK(run(daemon, {"targets", "move", "old", "new", "--reason", "x"}, "7\n").exit.code == 1);
    CHECK(daemon.status().at("pending") == 500);
    daemon.terminate();

    daemon.configure("threads: 2\ntargets:\n" + fresh, rule("new"));
    daemon.start();
    REQUIRE(run(daemon, {"targets", "pause", "new"}).exit.code == 0);
    CHECK(run(daemon, {"targets", "move", "old", "new", "--dry-run"}).out == "would move 500 pending deliveries\n");
    CHECK(run(daemon, {"targets", "move", "old", "new", "--rule", "none", "--dry-run"}).exit.code == 1);
    std::atomic<bool> over{false};
    std::thread looker{[&] {  // whole at every look
        while (!over)
            if (const json status = daemon.status(); status.is_object() && !status.at("balanced").get<bool>()) FAIL_CHECK(status.dump());
    }};
    const auto moved = run(daemon, {"targets", "move", "old", "new", "--reason", "the old one is gone", "--who", "me"}, "500\n");
    over = true;
    looker.join();
    CHECK(moved.exit.code == 0);
    CHECK(moved.out == "moved 500 pending deliveries from old to new\n");
    daemon.kill();
    CHECK(holds(daemon.process().err(), "moved to another target by an operator"));
    CHECK(holds(daemon.process().err(), "the old one is gone"));

    daemon.start();
    REQUIRE(run(daemon, {"targets", "resume", "new"}).exit.code == 0);
    const json status = daemon.settle();
    std::set<std::string> taken;
    for (const auto& [id, times] : sink.ids()) taken.insert(id);
    CHECK(taken == ids);
    CHECK(ledger_of(status, "old").at("moved") == 500);
    CHECK(ledger_of(status, "new").at("moved_in") == 500);
    CHECK(ledger_of(status, "new").at("delivered") == 1000);
    const auto audit = run(daemon, {"audit"});
    INFO(audit.out);
    CHECK(audit.exit.code == 0);
    CHECK(holds(run(daemon, {"status"}).out, "500 moved in"));
}

TEST_CASE("a drain finishes what was accepted before, over a kill, and keeps what came later")
{
    TempDir directory;
    Sink sink{{"--respond", "503"}};
    const std::uint16_t port = sink.port();
    Daemon daemon{directory};
    daemon.configure("targets:\n" + webhook("out", sink.url()) + "    retry: {backoff: {initial: 10ms, max: 50ms}}\n"
                     "    circuit_breaker: {failures: 100000}\n", rule("out"));
    daemon.start();
    const auto post = [&](int count) {
        for (int n = 0; n < count; ++n)
            REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"source":"s","n":)" + std::to_string(n) + "}").status == 202);
    };
    post(40);
    const auto drained = run(daemon, {"targets", "drain", "out", "--reason", "a new disk", "--who", "me"});
    CHECK(drained.exit.code == 0);
    CHECK(holds(drained.out, "out: draining, "));
    CHECK(holds(drained.out, " left; then it is paused\n"));
    CHECK(run(daemon, {"targets", "drain", "nobody"}).exit.code == 1);
    post(30);
    CHECK(holds(run(daemon, {"targets"}).out, "draining: 40 left (a new disk)"));
    daemon.kill();
    CHECK(holds(daemon.process().err(), "what=drain"));
    CHECK(holds(daemon.process().err(), "who=me"));
    daemon.start();
    CHECK(daemon.status().at("targets").at(0).at("draining") == json{{"left", 40}, {"reason", "a new disk"}});

    { const Sink gone = std::move(sink); }
    Sink well{{}, port};
    REQUIRE(eventually([&] { return daemon.status().at("targets").at(0).at("state") == "paused"; }));
    const json target = daemon.status().at("targets").at(0);
    CHECK(target.at("reason") == "drained: a new disk");
    CHECK(target.at("pending").at("total") == 30);
    CHECK_FALSE(target.contains("draining"));
    CHECK(well.ids().size() == 40);
    CHECK(run(daemon, {"targets", "resume", "out"}).exit.code == 0);
    daemon.settle();
    CHECK(well.ids().size() == 70);
    CHECK(run(daemon, {"audit"}).exit.code == 0);
}
