// Reloads under load: nothing is lost, nothing goes where it was not promised, and a broken file
// changes nothing.
#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

/// Each table routes every event to one pair of targets: an event must reach exactly one pair.
std::string rules_for(bool first)
{
    return std::string("rules:\n  - name: ") + (first ? "first" : "second") +
           "\n    pattern: {source: [reload.test]}\n    targets: [" +
           (first ? "a1, a2" : "b1, b2") +
           "]\n    tests:\n      - matches: {source: reload.test}\n      - rejects: {source: other}\n";
}

int reloads()
{
    const char* asked = std::getenv("EVENTYARD_RELOADS");
    return asked != nullptr ? std::stoi(asked) : 200;
}

std::string body_of(std::uint64_t n)
{
    return R"({"source":"reload.test","detail":{"n":)" + std::to_string(n) + "}}";
}

}  // namespace

TEST_CASE("200 reloads under load, every third of a broken file, lose and misroute nothing")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    std::string targets = "targets:\n";
    for (const char* name : {"a1", "a2", "b1", "b2"})
        targets += std::string("  ") + name + ":\n    webhook: {url: '" + sink.url() + "'}\n";
    daemon.configure(targets, rules_for(true));
    daemon.start();

    std::atomic<std::uint64_t> next{1};
    Load load{daemon.http(), 3, body_of, next};
    const char* broken[] = {"rules:\n  - name: x\n    patern: {source: [a]}\n",          // a typo
                            "rules: [\n",                                                  // not YAML
                            "rules:\n  - name: x\n    pattern: {source: [reload.test]}\n"  // a failing test
                            "    targets: [a1]\n    tests:\n      - rejects: {source: reload.test}\n"};
    std::uint64_t generation = daemon.status().value("generation", std::uint64_t{0});
    int failed_as_expected = 0;
    for (int i = 0; i < reloads(); ++i) {
        const bool breaks = i % 3 == 2;
        directory.write("rules.yaml", breaks ? broken[(i / 3) % 3] : rules_for(i % 2 == 0));
        if (i % 2 == 0) {
            const auto answer = support::http_post(daemon.admin(), "/v1/reload", "");
            INFO(answer.body);
            REQUIRE(answer.status == (breaks ? 422 : 200));
        } else {
            const auto at_before = daemon.status().at("reloads").get<std::uint64_t>();
            daemon.process().signal(SIGHUP);
            REQUIRE(eventually([&] { return daemon.status().at("reloads").get<std::uint64_t>() > at_before; }));
        }
        const auto status = daemon.status();
        REQUIRE(status.at("last_reload").at("ok").get<bool>() == !breaks);
        const auto now = status.value("generation", std::uint64_t{0});
        if (breaks) {
            ++failed_as_expected;
            REQUIRE(now == generation);
            REQUIRE(status.at("last_reload").at("report").get<std::string>().find("rules.yaml") !=
                    std::string::npos);
        } else {
            REQUIRE(now == generation + 1);
        }
        generation = now;
    }
    load.stop();
    const auto status = daemon.settle();
    CHECK(status.value("balanced", false));
    CHECK(failed_as_expected == reloads() / 3);
    CHECK(load.failed() == 0);
    REQUIRE(load.accepted().size() > 200);

    const auto ids = sink.ids();
    std::uint64_t lost = 0, misrouted = 0, first_pair = 0;
    for (const Accepted& event : load.accepted()) {
        const auto came = [&](const char* rule, const char* target) {
            return ids.count(delivery_of(event.id, rule, target)) == 1;
        };
        const int first = came("first", "a1") + came("first", "a2");
        const int second = came("second", "b1") + came("second", "b2");
        if (first != 2 && second != 2) ++lost;
        if (first > 0 && second > 0) ++misrouted;
        if (first == 2) ++first_pair;
    }
    CHECK(lost == 0);
    CHECK(misrouted == 0);
    CHECK(ids.size() == 2 * load.accepted().size());
    CHECK(sink.summary().value("requests", std::uint64_t{0}) == 2 * load.accepted().size());
    CHECK(first_pair > 0);
    CHECK(first_pair < load.accepted().size());
    WARN(load.accepted().size() << " events over " << reloads() << " reloads, " << first_pair
                                << " by the one table; none lost, none misrouted");
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a removed target's deliveries wait as orphans and go out when it returns")
{
    TempDir directory;
    Sink sink;
    Daemon daemon{directory};
    const std::string keep = "  other:\n    webhook: {url: '" + sink.url() + "'}\n";
    const std::string dead = "  gone:\n    webhook: {url: 'http://127.0.0.1:9/'}\n"
                             "    retry: {backoff: {initial: 100ms, max: 200ms}}\n";
    const std::string with = "rules:\n  - name: r\n    pattern: {source: [reload.test]}\n    targets: [gone]\n";
    const std::string without = "rules:\n  - name: r\n    pattern: {source: [reload.test]}\n    targets: [other]\n";
    daemon.configure("targets:\n" + keep + dead, with);
    daemon.start();
    for (std::uint64_t n = 0; n < 20; ++n)
        REQUIRE(support::http_post(daemon.http(), "/v1/events", body_of(n)).status == 202);

    daemon.configure("targets:\n" + keep, without);
    REQUIRE(support::http_post(daemon.admin(), "/v1/reload", "").status == 200);
    const auto find = [&](const char* name) {
        const auto status = daemon.status();
        for (const auto& target : status.at("targets"))
            if (target.at("name") == name) return target;
        return nlohmann::json::object();
    };
    REQUIRE(eventually([&] { return find("gone").value("state", "") == "orphaned"; }, 10s));
    CHECK(find("gone").at("pending").at("total") == 20);
    CHECK(eventually([&] { return daemon.status().value("balanced", false); }, 10s));

    SECTION("over a restart")
    {
        CHECK(daemon.terminate().code == 0);
        daemon.start();
        CHECK(find("gone").value("state", "") == "orphaned");
        CHECK(find("gone").at("pending").at("total") == 20);
    }
    daemon.configure("targets:\n" + keep + "  gone:\n    webhook: {url: '" + sink.url() + "'}\n", with);
    REQUIRE(support::http_post(daemon.admin(), "/v1/reload", "").status == 200);
    const auto status = daemon.settle();
    CHECK(status.value("balanced", false));
    CHECK(sink.ids().size() == 20);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a reload that moves the admin listener and an operator's requests do not wait for each other")
{
    TempDir directory;
    Daemon daemon{directory};
    const std::uint16_t ports[] = {daemon.admin(), support::free_port()};
    const std::string rules = "rules:\n  - name: r\n    pattern: {source: [reload.test]}\n    targets: [out]\n";
    const auto targets = [](int n) {  // a new one each time: its position has to be stored first
        return "targets:\n  out:\n    webhook: {url: 'http://127.0.0.1:9/'}\n  new" + std::to_string(n) +
               ":\n    webhook: {url: 'http://127.0.0.1:9/'}\n";
    };
    daemon.configure(targets(0), rules);
    daemon.start();
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0}, odd{0};
    std::thread operators{[&] {
        while (!stop)
            for (const std::uint16_t port : ports) {
                const int status = support::http_post(port, "/v1/targets/out/resume", "").status;
                answered += status == 200 ? 1 : 0;
                // 503: not while a reload is under way. 0: nobody listens there now.
                odd += status != 200 && status != 503 && status != 0 ? 1 : 0;
            }
    }};
    int moved = 0;
    for (int n = 1; n <= 10; ++n) {
        directory.write("eventyard.yaml", "listen: {http: 127.0.0.1:" + std::to_string(daemon.http()) +
                                              ", admin: 127.0.0.1:" + std::to_string(ports[n % 2]) +
                                              "}\ndata_dir: " + directory.file("data") +
                                              "\nrules: [rules.yaml]\n" + targets(n));
        daemon.process().signal(SIGHUP);
        if (!eventually([&] { return support::http_get(ports[n % 2], "/healthz").status == 200; }, 15s)) break;
        ++moved;
    }
    stop = true;
    operators.join();
    CHECK(moved == 10);
    CHECK(answered > 0);
    CHECK(odd == 0);
    CHECK(daemon.terminate().code == 0);
}
