// Start, stop, signals, dead letters, pauses and what the admin listener says, on the real binary.
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

const std::string one_rule =
    "rules:\n  - name: r\n    pattern: {source: [life]}\n    targets: [out]\n";

std::string to(const std::string& url, const std::string& more = "")
{
    return "targets:\n  out:\n    webhook: {url: '" + url + "'}\n" + more;
}

support::HttpAnswer post(const Daemon& daemon, const std::string& body = R"({"source":"life"})")
{
    return support::http_post(daemon.http(), "/v1/events", body);
}

nlohmann::json target_status(const Daemon& daemon, const std::string& name)
{
    const auto status = daemon.status();
    for (const auto& target : status.at("targets"))
        if (target.at("name") == name) return target;
    return nlohmann::json::object();
}

}  // namespace

TEST_CASE("an event goes in by HTTP and out to a webhook, and the ledger balances")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    daemon.configure(to(sink.url()), one_rule);
    daemon.start();
    const auto answer = post(daemon);
    REQUIRE(answer.status == 202);
    const auto json = nlohmann::json::parse(answer.body);
    CHECK(json.at("sequence").get<std::uint64_t>() >= 1);
    // The answer may come before a lane was told: then nothing is pending yet either.
    REQUIRE(eventually([&] { return daemon.status().at("ledger").size() == 1; }));
    const auto status = daemon.settle();
    CHECK(status.at("balanced") == true);
    REQUIRE(status.at("ledger").size() == 1);
    CHECK(status.at("ledger").at(0).at("routed") == 1);
    CHECK(status.at("ledger").at(0).at("delivered") == 1);
    CHECK(sink.ids().count(delivery_of(json.at("id"), "r", "out")) == 1);
    CHECK(post(daemon, R"({"source":"nobody"})").status == 202);
    REQUIRE(eventually([&] { return daemon.status().at("events").at(0).value("unmatched", 0) == 1; }, 5s));
    const auto bus = daemon.status().at("buses").at(0);
    CHECK(bus.at("rule_set").at("bytes") > 0);
    CHECK(bus.at("matching").at("events") == 2);
    CHECK(bus.at("matching").at("matches") == 1);
    CHECK(bus.at("matching").at("sampled").at("events") >= 1);
    CHECK(daemon.metric("eventyard_rules{bus=\"default\"}") == 1);
    CHECK(daemon.metric("eventyard_match_matches_total{bus=\"default\"}") == 1);
    const auto shown = support::run({EVENTYARD_BINARY, "status", "--admin", daemon.admin_address()});
    INFO(shown.out << shown.err);
    CHECK(shown.exit.code == 0);
    CHECK(shown.out.find("CANDIDATES EACH") != std::string::npos);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("kills while idle are no loss, and none is reported")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    daemon.configure(to(sink.url()), one_rule);
    daemon.start();
    REQUIRE(post(daemon).status == 202);
    daemon.settle();
    for (int n = 0; n < 3; ++n) {
        std::this_thread::sleep_for(n == 1 ? 4s : 300ms);  // time for totals; once, to let segments go
        daemon.kill();
        daemon.start();
        INFO(daemon.process().err());
        CHECK(daemon.process().err().find("are gone") == std::string::npos);
        CHECK(daemon.status().at("journal").at("last") != 0);
    }
    CHECK(daemon.status().at("balanced") == true);
    CHECK(sink.ids().size() == 1);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("failed deliveries are retried and then dead-lettered with their last answer")
{
    TempDir directory;
    Sink sink{{"--respond", "503"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    retry: {max_attempts: 3, backoff: {initial: 20ms, max: 50ms}}\n"
                                    "    dead_letter: {target: dead}\n"
                                    "  dead:\n    file: {path: " + directory.file("dead.jsonl") + "}\n"),
                     one_rule);
    daemon.start();
    REQUIRE(post(daemon).status == 202);
    const auto status = daemon.settle();
    CHECK(status.at("balanced") == true);
    CHECK(status.at("ledger").at(0).at("dead_lettered") == 1);
    CHECK(sink.summary().at("requests") == 3);
    REQUIRE(eventually([&] { return support::read_text(directory.file("dead.jsonl")).find("life") != std::string::npos; }, 10s));

    const auto exported = support::run({EVENTYARD_BINARY, "state", "export", "--admin", daemon.admin_address()});
    REQUIRE(exported.exit.code == 0);
    CHECK(support::read_text(exported.out.substr(0, exported.out.find('\n'))).rfind("SQLite format 3", 0) == 0);
    const auto list = support::run({EVENTYARD_BINARY, "dead-letters", "list", "--all", "--admin", daemon.admin_address()});
    CHECK(list.exit.code == 0);
    CHECK(list.out.find("max_attempts") != std::string::npos);
    const auto show = support::run({EVENTYARD_BINARY, "dead-letters", "show", "1", "--json", "--admin", daemon.admin_address()});
    CHECK(show.exit.code == 0);
    const auto letter = nlohmann::json::parse(show.out);
    CHECK(letter.at("last_status") == 503);
    CHECK(letter.at("attempts") == 3);
    CHECK(letter.at("trail").size() == 3);
    CHECK(letter.at("body") == R"({"source":"life"})");
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a target that answers 410 is paused with an alert, over restarts, until it is resumed")
{
    TempDir directory;
    Sink sink{{"--respond", "410,200"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url()), one_rule);
    daemon.start();
    REQUIRE(post(daemon).status == 202);
    REQUIRE(eventually([&] { return target_status(daemon, "out").value("state", "") == "paused"; }, 10s));
    CHECK(target_status(daemon, "out").at("pending").at("total") == 1);
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    CHECK(target_status(daemon, "out").value("state", "") == "paused");
    const auto resumed = support::run({EVENTYARD_BINARY, "targets", "resume", "out", "--admin", daemon.admin_address()});
    INFO(resumed.err);
    CHECK(resumed.exit.code == 0);
    const auto status = daemon.settle();
    CHECK(status.at("balanced") == true);
    CHECK(status.at("ledger").at(0).at("delivered") == 1);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a second daemon on the same data directory is refused")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(to("http://127.0.0.1:9/"), one_rule);
    daemon.start();
    Daemon second{directory};
    directory.write("second.yaml", "listen: {http: 127.0.0.1:" + std::to_string(second.http()) +
                                       ", admin: 127.0.0.1:" + std::to_string(second.admin()) +
                                       "}\ndata_dir: " + directory.file("data") + "\nrules: [rules.yaml]\n" +
                                       to("http://127.0.0.1:9/"));
    const auto refused = support::run({EVENTYARD_BINARY, "serve", "--config", directory.file("second.yaml")});
    CHECK(refused.exit.code == 2);
    CHECK(refused.err.find("another") != std::string::npos);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("SIGTERM waits for attempts in flight, and a second SIGTERM does not")
{
    TempDir directory;
    Sink slow{{"--delay", "1500ms"}};
    Daemon daemon{directory};
    daemon.configure(to(slow.url()) + "shutdown_grace: 20s\n", one_rule);
    daemon.start();
    REQUIRE(post(daemon).status == 202);
    REQUIRE(eventually([&] { return target_status(daemon, "out").at("pending").value("in_flight", 0) == 1; }, 5s));
    SECTION("one")
    {
        CHECK(daemon.terminate().code == 0);
        CHECK(slow.summary().at("requests") == 1);
        daemon.start();
        CHECK(daemon.settle().at("ledger").at(0).at("delivered") == 1);
        CHECK(slow.summary().at("requests") == 1);
        CHECK(daemon.terminate().code == 0);
    }
    SECTION("two")
    {
        const auto begin = std::chrono::steady_clock::now();
        daemon.process().signal(SIGTERM);
        REQUIRE(daemon.process().wait_for_line("stopping", 5s));
        daemon.process().signal(SIGTERM);
        const auto exit = daemon.process().wait(5s);
        CHECK(exit.code == 130);
        CHECK(std::chrono::steady_clock::now() - begin < 1400ms);
    }
}

TEST_CASE("a configuration with mistakes does not start, and every mistake is shown")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets:\n  out:\n    webhok: {url: 'http://127.0.0.1:9/'}\nlimts: {body: 1}\n",
                     "rules:\n  - name: r\n    patern: {source: [life]}\n    targets: [uot]\n");
    const auto refused = support::run({EVENTYARD_BINARY, "serve", "--config", daemon.config()});
    CHECK(refused.exit.code == 2);
    for (const char* part : {"did you mean 'webhook'", "did you mean 'limits'", "did you mean 'pattern'", "rules.yaml:3:5"}) {
        INFO(refused.err);
        CHECK(refused.err.find(part) != std::string::npos);
    }
}

TEST_CASE("systemd is told of readiness, reloading and stopping, and gets its watchdog pings")
{
    TempDir directory;
    const std::string path = directory.file("notify");
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const auto wait_for = [&](const std::string& part) {
        for (int i = 0; i < 200; ++i) {
            char buffer[4096];
            const auto n = ::recv(fd, buffer, sizeof buffer, 0);
            if (n <= 0) return false;
            if (std::string(buffer, static_cast<std::size_t>(n)).find(part) != std::string::npos) return true;
        }
        return false;
    };
    Daemon daemon{directory};
    daemon.configure(to("http://127.0.0.1:9/"), one_rule);
    support::ProcessOptions options;
    options.environment = {{"NOTIFY_SOCKET", path}, {"WATCHDOG_USEC", "400000"}};
    Process process{{EVENTYARD_BINARY, "serve", "--config", daemon.config()}, options};
    CHECK(wait_for("READY=1"));
    CHECK(wait_for("WATCHDOG=1"));
    process.signal(SIGHUP);
    CHECK(wait_for("RELOADING=1"));
    CHECK(wait_for("READY=1"));
    process.signal(SIGTERM);
    CHECK(wait_for("STOPPING=1"));
    CHECK(process.wait(20s).code == 0);
    ::close(fd);
}

TEST_CASE("health, readiness and metrics answer, and secrets show nowhere")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    daemon.configure("targets:\n  out:\n    webhook:\n      url: '" + sink.url() +
                         "'\n      headers: {Authorization: 'Bearer ${env:E2E_SECRET}'}\n",
                     one_rule);
    ::setenv("E2E_SECRET", "hunter2-hunter2", 1);
    daemon.start();
    ::unsetenv("E2E_SECRET");
    REQUIRE(post(daemon).status == 202);
    daemon.settle();
    CHECK(support::http_get(daemon.admin(), "/healthz").status == 200);
    CHECK(support::http_get(daemon.admin(), "/readyz").status == 200);
    CHECK(support::http_get(daemon.admin(), "/nothing").status == 404);
    const auto metrics = support::http_get(daemon.admin(), "/metrics");
    CHECK(metrics.status == 200);
    CHECK(metrics.headers.size() > 0);
    for (const char* name : {"eventyard_events_total{", "eventyard_target_attempts_total{", "eventyard_target_pending{",
                             "eventyard_journal_commits_total", "eventyard_ledger_balanced 1"}) {
        INFO(metrics.body);
        CHECK(metrics.body.find(name) != std::string::npos);
    }
    const auto status = support::http_get(daemon.admin(), "/v1/status");
    CHECK(daemon.terminate().code == 0);
    for (const std::string& text : {metrics.body, status.body, daemon.process().err(), daemon.process().out()})
        CHECK(text.find("hunter2") == std::string::npos);
    support::ProcessOptions options;
    options.environment = {{"E2E_SECRET", "hunter2-hunter2"}};
    const auto check = support::run({EVENTYARD_BINARY, "check", "--config", daemon.config(), "--json"}, options);
    CHECK((check.out + check.err).find("hunter2") == std::string::npos);
}
