// Order, rates, delays and expiry, on the real binary.
#include <algorithm>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

/// A receiver that prints what it gets, in the order in which it got it.
class Recorder {
public:
    explicit Recorder(std::vector<std::string> options)
    {
        std::vector<std::string> arguments{EVENTYARD_BINARY, "sink", "--json", "--listen", "127.0.0.1:0"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        process_ = std::make_unique<Process>(std::move(arguments));
        const auto line = process_->wait_for_line("listening on");
        REQUIRE(line);
        port_ = line->substr(line->rfind(':') + 1);
    }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + port_ + "/"; }
    /// Ends it. The requests, in order.
    std::vector<json> requests()
    {
        process_->signal(SIGTERM);
        (void)process_->wait(20s);
        std::vector<json> all;
        for (const std::string& line : support::lines_of(process_->out())) {
            json one = json::parse(line, nullptr, false);
            if (one.is_object() && one.contains("webhook_id")) all.push_back(std::move(one));
        }
        return all;
    }

private:
    std::unique_ptr<Process> process_;
    std::string port_;
};

std::string event(int n, const std::string& key)
{
    return R"({"source":"s","n":)" + std::to_string(n) + R"(,"detail":{"order":")" + key + "\"}}";
}

void post(const Daemon& daemon, const std::string& body)
{
    REQUIRE(support::http_post(daemon.http(), "/v1/events", body).status == 202);
}

std::string to(const std::string& url, const std::string& more)
{
    return "targets:\n  out:\n    webhook: {url: '" + url + "'}\n    retry: {backoff: {initial: 5ms, max: 20ms}}\n"
           "    circuit_breaker: {failures: 100000}\n" + more;
}

std::string rule(const std::string& more = "")
{
    return "rules:\n  - name: r\n    pattern: {source: [s]}\n    targets: [out]\n" + more;
}

json target(const Daemon& daemon) { return daemon.status().at("targets").at(0); }

std::uint64_t ended(const Daemon& daemon, const char* ending)
{
    const json ledger = daemon.status().at("ledger");
    return ledger.empty() ? 0 : ledger[0].at(ending).get<std::uint64_t>();
}

}  // namespace

TEST_CASE("of one key the next is sent when the one before has ended, over failures and a restart")
{
    TempDir directory;
    Recorder sink{{"--respond-each", "503x2,200"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    order: {by: key, key: $.detail.order}\n"), rule());
    daemon.start();
    for (int n = 0; n < 60; ++n) post(daemon, event(n, std::string(1, static_cast<char>('a' + n % 3))));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    for (int n = 60; n < 90; ++n) post(daemon, event(n, std::string(1, static_cast<char>('a' + n % 3))));
    CHECK(daemon.settle().at("balanced") == true);
    CHECK(target(daemon).at("pending").at("parked") == 0);
    CHECK(daemon.terminate().code == 0);

    std::map<int, int> last;  // of each key, the last one attempted
    std::map<int, bool> over;
    int delivered = 0;
    for (const json& request : sink.requests()) {
        const int n = json::parse(request.at("body").get<std::string>()).at("n").get<int>(), key = n % 3;
        if (const auto found = last.find(key); found != last.end() && found->second != n) {
            INFO(n << " after " << found->second);
            CHECK(found->second == n - 3);  // in the order in which they were accepted
            CHECK(over[key]);
        }
        last[key] = n;
        over[key] = request.at("answer") == "200";
        delivered += over[key] ? 1 : 0;
    }
    CHECK(delivered == 90);
}

TEST_CASE("strict order sends one after the other")
{
    TempDir directory;
    Recorder sink{{"--respond-each", "503,200"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    order: {by: strict}\n"), rule());
    daemon.start();
    for (int n = 0; n < 30; ++n) post(daemon, event(n, "k"));
    daemon.settle();
    std::vector<int> order;
    for (const json& request : sink.requests())
        order.push_back(json::parse(request.at("body").get<std::string>()).at("n").get<int>());
    REQUIRE(order.size() == 60);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("after a dead letter a key is on hold until an operator releases it, also over a restart")
{
    TempDir directory;
    Recorder sink{{"--respond", "400,200"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    order: {by: key, key: $.detail.order, after_dead_letter: hold}\n"), rule());
    daemon.start();
    for (int n = 0; n < 3; ++n) post(daemon, event(n, "k"));
    REQUIRE(eventually([&] { return target(daemon).at("pending").at("parked") == 2; }));
    post(daemon, event(3, "other"));
    REQUIRE(eventually([&] { return ended(daemon, "delivered") == 1; }));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    CHECK(target(daemon).at("order").at("keys_on_hold") == 1);
    CHECK(target(daemon).at("pending").at("parked") == 2);
    const auto listed = support::run({EVENTYARD_BINARY, "targets", "list", "--admin", daemon.admin_address()});
    CHECK(listed.out.find("1 key parked, 1 on hold") != std::string::npos);
    const auto released = support::run({EVENTYARD_BINARY, "targets", "release", "out", "--admin", daemon.admin_address()});
    INFO(released.err);
    CHECK(released.out == "out: 1 order key released\n");
    CHECK(daemon.settle().at("balanced") == true);
    CHECK(ended(daemon, "delivered") == 3);
    CHECK(ended(daemon, "dead_lettered") == 1);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a rate limit holds over a restart")
{
    TempDir directory;
    Recorder sink{{}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    rate_limit: {per_second: 20, burst: 10}\n"), rule());
    daemon.start();
    for (int n = 0; n < 25; ++n) post(daemon, event(n, "k"));
    REQUIRE(eventually([&] { return ended(daemon, "delivered") >= 10; }));
    CHECK(target(daemon).at("rate_limit").at("burst") == 10);
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    for (int n = 25; n < 40; ++n) post(daemon, event(n, "k"));
    daemon.settle();
    CHECK(daemon.terminate().code == 0);
    std::vector<double> times;
    for (const json& request : sink.requests()) {
        const std::string time = request.at("time");  // ...T22:01:02.345Z
        times.push_back(std::stod(time.substr(11, 2)) * 3600 + std::stod(time.substr(14, 2)) * 60 + std::stod(time.substr(17, 6)));
    }
    REQUIRE(times.size() == 40);
    if (times.back() < times.front()) return;  // midnight
    for (std::size_t i = 0; i < times.size(); ++i)
        for (std::size_t j = i; j < times.size(); ++j)  // a request may have been late on its way, by half a second
            CHECK(static_cast<double>(j - i + 1) <= 10 + 20 * (times[j] - times[i] + 0.5));
}

TEST_CASE("a delayed delivery waits, also over a restart, and one that is too old expires")
{
    TempDir directory;
    Recorder sink{{}};
    Recorder broken{{"--respond", "503"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "") + "  late: {webhook: {url: '" + broken.url() + "'}}\n",
                     "rules:\n  - {name: r, pattern: {source: [s]}, delay: 2s, targets: [out, {target: late, delay: 0s, expire_after: 3s}]}\n");
    daemon.start();
    const auto before = std::chrono::steady_clock::now();
    post(daemon, event(1, "k"));
    REQUIRE(eventually([&] { return daemon.metric(R"(eventyard_target_pending{target="out",where="delayed"})") == 1; }));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    const json status = daemon.settle();
    CHECK(status.at("balanced") == true);
    CHECK(std::chrono::steady_clock::now() - before >= 3s);
    std::map<std::string, json> rows;
    for (const json& row : status.at("ledger")) rows[row.at("target")] = row;
    CHECK(rows.at("out").at("delivered") == 1);
    CHECK(rows.at("late").at("expired") == 1);
    CHECK(daemon.terminate().code == 0);
    CHECK(sink.requests().size() == 1);
}

TEST_CASE("an event that says when it is to be sent waits for that, also over a restart, and others do not")
{
    TempDir directory;
    Recorder sink{{}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), ""), "rules:\n  - {name: r, pattern: {source: [s]}, deliver_at: deliverat, targets: [out]}\n");
    daemon.start();
    const auto before = SystemClock{}.wall();
    const std::string attributes = R"({"specversion":"1.0","source":"s","type":"t","id":)";
    const auto send = [&](const std::string& event) {
        REQUIRE(support::http_post(daemon.http(), "/v1/events", event, "application/cloudevents+json").status == 202);
    };
    send(attributes + R"("late","deliverat":")" + to_rfc3339(before + 3s) + "\"}");
    send(attributes + R"("past","deliverat":"2020-01-01T00:00:00Z"})");
    send(attributes + R"("now"})");
    REQUIRE(eventually([&] { return ended(daemon, "delivered") == 2; }));
    REQUIRE(eventually([&] { return daemon.metric(R"(eventyard_target_pending{target="out",where="delayed"})") == 1; }));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    daemon.settle();
    CHECK(SystemClock{}.wall() - before >= 2900ms);
    CHECK(daemon.terminate().code == 0);
    CHECK(sink.requests().size() == 3);
}

TEST_CASE("a target that is behind gets new events beside old ones, or the oldest first if it says so, each once, over a kill")
{
    constexpr int old_ones = 7000, new_ones = 20;  // memory holds 4096
    const bool fair = GENERATE(true, false);
    CAPTURE(fair);
    TempDir directory;
    Recorder sink{{"--delay", "2ms"}};
    Daemon daemon{directory};
    daemon.configure(to(sink.url(), "    concurrency: 4\n" + std::string(fair ? "" : "    catch_up: oldest_first\n")), rule());
    daemon.start();
    REQUIRE(run(daemon, {"targets", "pause", "out", "--reason", "test"}).exit.code == 0);
    for (int n = 0; n < old_ones;) {
        std::string lines;
        for (const int end = n + 500; n < end; ++n) lines += event(n, "old") + "\n";
        REQUIRE(support::http_post(daemon.http(), "/v1/events", lines, "application/x-ndjson").status == 202);
    }
    REQUIRE(run(daemon, {"targets", "resume", "out"}).exit.code == 0);
    REQUIRE(eventually([&] { return ended(daemon, "delivered") > 200; }));
    for (int n = 0; n < new_ones; ++n) post(daemon, event(n, "new"));
    REQUIRE(eventually([&] { return ended(daemon, "delivered") > 800; }));
    std::this_thread::sleep_for(300ms);  // what went early is on disk
    daemon.kill();
    daemon.start();
    const json status = daemon.settle();
    CHECK(status.at("balanced") == true);
    const auto audit = run(daemon, {"audit"});
    INFO(audit.out << audit.err);
    CHECK(audit.exit.code == 0);
    CHECK(daemon.terminate().code == 0);
    std::map<std::string, int> times;
    std::map<std::string, std::size_t> first;
    std::size_t at = 0;
    for (const json& request : sink.requests()) {
        const std::string body = request.at("body").is_string() ? request.at("body").get<std::string>() : request.at("body").dump();
        const json sent = json::parse(body);
        const std::string name = sent.at("detail").at("order").get<std::string>() + std::to_string(sent.at("n").get<int>());
        ++times[name];
        first.emplace(name, at++);
    }
    CHECK(times.size() == old_ones + new_ones);
    for (int n = 0; n < new_ones; ++n) {
        const std::string name = "new" + std::to_string(n);
        CAPTURE(name);
        if (fair) {
            CHECK(times[name] == 1);
            CHECK(first[name] < 1500);
        } else {
            CHECK(first[name] >= old_ones - 4);  // four at once: the last of the old may still be under way
        }
    }
}
