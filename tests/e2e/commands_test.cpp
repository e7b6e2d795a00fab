// tests/e2e/commands_test.cpp — the commands that ask a daemon, as a person reads them.
#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

std::string command(const Daemon& daemon, std::vector<std::string> arguments)
{
    const auto finished = run(daemon, std::move(arguments));
    INFO(finished.err);
    CHECK(finished.exit.code == 0);
    return finished.out;
}

bool holds(const std::string& text, const std::string& part)
{
    INFO(text);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a delivery to a target that is down is told from dead letter to ledger")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets:\n"
                     "  down:\n"
                     "    webhook: {url: 'http://127.0.0.1:1/'}\n"
                     "    retry: {max_attempts: 2, backoff: {initial: 1ms, max: 1ms}}\n"
                     "    dead_letter: {target: graveyard}\n"
                     "  graveyard: {file: {path: " + directory.file("dead.jsonl") + "}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [down]}\n");
    daemon.start();
    REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"a":1})").status == 202);
    daemon.settle();
    REQUIRE(eventually([&] { return holds(daemon.status().dump(), R"("forwarded":1)"); }));

    const std::string list = command(daemon, {"dead-letters"});
    CHECK(holds(list, "GROUP  TARGET  CAUSE    COUNT  FIRST "));
    CHECK(holds(list, "connect: connection refused (#)       1\n"));
    CHECK(holds(list, "\n1 dead letter, bodies of 7 B."));
    const std::string singles = command(daemon, {"dead-letters", "list", "--all"});
    CHECK(holds(singles, "ID  DEAD SINCE "));
    CHECK(holds(singles, "max_attempts         2  -       connect: connection refused (127.0.0.1:1)\n"));
    const std::string letter = command(daemon, {"dead-letters", "show", "1"});
    CHECK(holds(letter, "dead since             2"));
    CHECK(holds(letter, "last status            -\n"));
    CHECK(holds(letter, "last error             connect: connection refused (127.0.0.1:1)\n"));
    CHECK_FALSE(holds(letter, "last response"));
    CHECK(holds(letter, "\n{\"a\":1}\n"));

    const std::string status = command(daemon, {"status"});
    CHECK(holds(status, "; configuration 1 with 1 rule, loaded "));
    CHECK(holds(status, "journal: 1 segment, "));
    CHECK(holds(status, "DEAD-LETTERED  TAKEN FOR OTHERS  LAST ERROR\n"));
    CHECK(holds(status, "graveyard  file     running        0          0          0        0"
                        "              0                 1\n"));
    CHECK(holds(status, "ledger: 1 routed = 0 delivered + 1 dead-lettered + 0 otherwise ended + 0 pending: balanced\n"));
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("dead letters are redriven with their ids over a restart, discarded, and exported")
{
    TempDir directory;
    Daemon daemon{directory};
    Sink sink{{"--respond", "400x50,200"}};
    daemon.configure("targets:\n  hook: {webhook: {url: '" + sink.url() + "'}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [hook]}\n");
    daemon.start();
    for (int n = 0; n < 40; ++n)
        REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"a":1,"n":)" + std::to_string(n) + "}").status == 202);
    daemon.settle();
    CHECK(sink.ids().size() == 40);

    // The target still refuses: ten try, the others are spared.
    const auto stopped = support::run({EVENTYARD_BINARY, "dead-letters", "redrive", "--target", "hook", "--admin", daemon.admin_address()});
    CHECK(stopped.exit.code == 1);
    CHECK(holds(stopped.out, "redrive 1 is stopped: 10 of 40 dead letters redriven; 10 of the first 10 deliveries failed: HTTP 400\n"));

    const std::string file = directory.file("out.jsonl");
    const std::string exported = command(daemon, {"dead-letters", "export", "--output", file});
    CHECK(exported.empty());
    const auto lines = support::lines_of(support::read_text(file));
    REQUIRE(lines.size() == 40);
    const auto last = nlohmann::json::parse(lines.back());
    CHECK(last.at("body").get<std::string>().find(R"({"a":1)") == 0);
    CHECK(last.at("trail").size() == 2);  // before the redrive and after
    CHECK(last.at("redrives") == 1);
    CHECK(command(daemon, {"dead-letters", "discard", std::to_string(last.at("id").get<int>()), "--why", "a test"}) ==
          "discarded 1 dead letter\n");

    command(daemon, {"dead-letters", "redrive", "--all", "--per-second", "20", "--no-wait"});
    REQUIRE(eventually([&] { return sink.summary().at("requests") >= 60; }));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    CHECK(holds(command(daemon, {"dead-letters", "follow", "2"}), "redrive 2 is done: "));
    daemon.settle();
    const auto ids = sink.ids();
    CHECK(ids.size() == 40);  // the ids are as they were
    CHECK(std::count_if(ids.begin(), ids.end(), [](const auto& one) { return one.second > 1; }) >= 39);
    CHECK(command(daemon, {"dead-letters"}) == "no dead letters\n");
    CHECK(holds(command(daemon, {"dead-letters", "redrives"}), "10 of the first 10 deliveries failed: HTTP 400\n"));
    CHECK(holds(command(daemon, {"status"}),
                "ledger: 40 routed = 39 delivered + 0 dead-lettered + 1 otherwise ended + 0 pending: balanced\n"));
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("an audit recounts a running daemon and a data directory that none uses, and changes neither")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("journal: {segment_size: 64KiB}\n"
                     "targets:\n"
                     "  out: {file: {path: " + directory.file("out.jsonl") + "}}\n"
                     "  down: {webhook: {url: 'http://127.0.0.1:1/'}, retry: {max_attempts: 2, backoff: {initial: 1ms, max: 1ms}}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [out]}\n"
                     "  - {name: some, pattern: {b: [1]}, targets: [out, down]}\n");
    daemon.start();
    const std::string pad(2000, 'x');
    for (int n = 0; n < 150; ++n)
        REQUIRE(support::http_post(daemon.http(), "/v1/events",
                                   R"({"a":1,"b":)" + std::to_string(n % 50 == 0 ? 1 : 2) + R"(,"pad":")" + pad + "\"}").status == 202);
    REQUIRE(eventually([&] { return nlohmann::json::parse(command(daemon, {"audit", "--json"})).at("counted_through") > 0; }));
    const std::string said = command(daemon, {"audit"});
    CHECK(holds(said, "good: 3 pairs of rule and target, no difference\n"));
    CHECK(holds(said, "all   out           150     150 "));
    const std::vector<std::string> offline{EVENTYARD_BINARY, "audit", "--data-dir", directory.file("data"), "--json"};
    CHECK(support::run(offline).exit.code == 2);  // in use
    daemon.kill();
    const std::string before = support::read_text(directory.file("data/state.db"));
    const auto dead = support::run(offline);
    INFO(dead.err);
    CHECK(dead.exit.code == 0);
    CHECK(nlohmann::json::parse(dead.out).at("rows").size() == 3);
    CHECK(support::read_text(directory.file("data/state.db")) == before);
    daemon.start();
    CHECK(holds(command(daemon, {"audit"}), "good: "));
    CHECK(daemon.terminate().code == 0);
    const auto stopped = support::run(offline);
    CHECK(stopped.exit.code == 0);
    const auto rows = nlohmann::json::parse(stopped.out).at("rows");  // by target, then rule
    CHECK(rows.at(1).at("rule") == "all");
    CHECK(rows.at(1).at("recounted") == 150);
}

TEST_CASE("a reload with mistakes is logged by mistake, each on a line")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets:\n  out: {file: {path: " + directory.file("out.jsonl") + "}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [out]}\n");
    daemon.start();
    directory.write("rules.yaml", "rules:\n  - {name: all, pattern: {a: [1]}, targets: [uot], x: 1}\n");
    const auto refused = support::run({EVENTYARD_BINARY, "reload", "--admin", daemon.admin_address()});
    CHECK(refused.exit.code == 1);
    CHECK(holds(refused.err, "eventyard: reload failed, the old configuration stays\n"));
    CHECK(daemon.terminate().code == 0);
    const std::string log = daemon.process().err();
    CHECK(holds(log, "reload failed, the old configuration stays  generation=1 errors=2\n"));
    CHECK(holds(log, "ERROR config    " + directory.file("rules.yaml") +
                         ":2:46: unknown target 'uot'\n"));
    CHECK(holds(log, "ERROR config    " + directory.file("rules.yaml") + ":2:52: unknown key 'x'; a rule has bus, "));
}

TEST_CASE("commands say when what answered them is no admin listener, and claim nothing done")
{
    TempDir directory;
    Sink other;  // answers every request with 200
    Daemon daemon{directory};
    daemon.configure("targets:\n  out: {file: {path: " + directory.file("out.jsonl") + "}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [out]}\n");
    daemon.start();
    const std::vector<std::vector<std::string>> commands{
        {"status"}, {"audit"}, {"reload"}, {"targets"}, {"targets", "pause", "out"}, {"targets", "move", "a", "b", "--dry-run"},
        {"deliveries"}, {"deliveries", "discard", "--all", "--reason", "x", "--yes"}, {"dead-letters"},
        {"dead-letters", "show", "1"}, {"dead-letters", "redrive", "--all"}, {"dead-letters", "discard", "--all", "--yes"},
        {"dead-letters", "cancel", "1"}, {"replay", "--dry-run"}, {"replay", "--cancel", "1"}, {"state", "export"},
        {"erase", "019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d", "--reason", "x"}, {"backup", directory.file("backup")}};
    for (const std::uint16_t port : {daemon.http(), other.port()})
        for (std::vector<std::string> arguments : commands) {
            arguments.insert(arguments.begin(), EVENTYARD_BINARY);
            arguments.insert(arguments.end(), {"--admin", "127.0.0.1:" + std::to_string(port)});
            const auto finished = support::run(arguments);
            INFO(arguments[1] + ": " + finished.out + finished.err);
            CHECK(finished.exit.code == 2);
            CHECK(finished.err.find("is no admin listener of Eventyard: it answered HTTP ") != std::string::npos);
            CHECK(finished.out.empty());
        }
    CHECK(daemon.status().at("targets").at(0).at("state") == "running");
}

TEST_CASE("a name that nothing has is told, not answered with nothing")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets:\n  orders: {webhook: {url: 'http://127.0.0.1:1/'}, retry: {max_attempts: 1}}\n",
                     "rules:\n  - {name: all, pattern: {a: [1]}, targets: [orders]}\n");
    daemon.start();
    const std::vector<std::vector<std::string>> commands{
        {"deliveries", "list"}, {"deliveries", "discard", "--yes", "--reason", "x"}, {"deliveries", "retry-now"}, {"dead-letters", "list"},
        {"dead-letters", "list", "--all"}, {"dead-letters", "redrive"}, {"dead-letters", "discard", "--yes"}, {"dead-letters", "export"}};
    for (std::vector<std::string> arguments : commands) {
        arguments.insert(arguments.end(), {"--target", "oders"});
        const auto finished = run(daemon, arguments);
        INFO(arguments[0] + " " + arguments[1] + ": " + finished.out);
        CHECK(finished.exit.code == 1);
        CHECK(holds(finished.err, "no target 'oders'; did you mean 'orders'?"));
    }
    // A filter wants the number of what it ends typed.
    REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"a":1})").status == 202);
    daemon.settle();
    const auto asked = run(daemon, {"dead-letters", "discard", "--target", "orders"}, "2\n");
    CHECK(asked.exit.code == 1);
    CHECK(asked.err == "this ends 1 dead letter for good. Type that number to do it: nothing was discarded\n");
    CHECK(run(daemon, {"dead-letters", "discard", "--target", "orders"}, "1\n").out == "discarded 1 dead letter\n");
    CHECK(run(daemon, {"targets", "retry-now", "orders", "--why", "x"}).exit.code == 0);
    CHECK(run(daemon, {"replay", "--sequence", "9000000.."}).exit.code == 1);
}

TEST_CASE("a reload says which changes wait for a start")
{
    TempDir directory;
    Daemon daemon{directory};
    const std::string targets = "targets:\n  out: {file: {path: " + directory.file("out.jsonl") + "}}\n";
    const std::string rules = "rules:\n  - {name: all, pattern: {a: [1]}, targets: [out]}\n";
    daemon.configure("journal: {segment_size: 64KiB}\n" + targets, rules);
    daemon.start();
    CHECK(command(daemon, {"reload"}) == "reloaded: configuration 2 is in effect\n");
    daemon.configure("journal: {segment_size: 1MiB}\n" + targets, rules);
    for (const char* generation : {"3", "4"})  // it still waits
        CHECK(command(daemon, {"reload"}) == "warning: journal.segment_size: this change takes effect at the next start only\n"
                                             "reloaded: configuration " + std::string(generation) + " is in effect\n");
    daemon.configure("journal: {segment_size: 64KiB}\n" + targets, rules);
    CHECK(command(daemon, {"reload"}) == "reloaded: configuration 5 is in effect\n");
}
