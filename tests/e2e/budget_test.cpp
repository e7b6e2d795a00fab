// Budgets of the real daemon: what is beyond them ends in dead letters or is refused, the others are left alone, and the
// ledger balances.
#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

constexpr const char* two_rules = R"(rules:
  - name: all
    pattern: {source: [budget.test]}
    targets: [well]
  - name: some
    pattern: {source: [budget.test], detail: {both: [true]}}
    targets: [limited]
)";

std::string settings(const TempDir& directory, const std::string& budget)
{
    return "journal: {segment_size: 1MiB}\ntargets:\n  well:\n    file: {path: " + directory.file("well.jsonl") +
           "}\n  limited:\n    file: {path: " + directory.file("limited.jsonl") + "}\n    budget: " + budget + "\n";
}

support::HttpAnswer post(const Daemon& daemon, bool both, std::uint64_t n)
{
    return support::http_post(daemon.http(), "/v1/events",
                              R"({"source":"budget.test","detail":{"both":)" + std::string(both ? "true" : "false") + R"(,"n":)" +
                                  std::to_string(n) + R"(,"pad":")" + std::string(4000, 'x') + "\"}}");
}

json limited(const Daemon& daemon)
{
    const json status = daemon.status();
    for (const json& target : status.at("targets"))
        if (target.at("name") == "limited") return target;
    return json::object();
}

std::uint64_t ended(const json& status, const char* how)
{
    std::uint64_t sum = 0;
    for (const json& row : status.at("ledger"))
        if (row.at("target") == "limited") sum += row.at(how).get<std::uint64_t>();
    return sum;
}

void act(const Daemon& daemon, const std::string& what)
{
    REQUIRE(support::http_post(daemon.admin(), "/v1/targets/limited/" + what, "").status == 200);
}

bool audit_is_good(const Daemon& daemon)
{
    return json::parse(support::http_get(daemon.admin(), "/v1/audit").body).at("good").get<bool>();
}

}  // namespace

TEST_CASE("of a paused target the oldest beyond the budget become dead letters, and of those the oldest are discarded")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory, "{bytes: 256KiB, dead_letters: 512KiB}"), two_rules);
    daemon.start();
    act(daemon, "pause?reason=test");
    for (std::uint64_t n = 1; n <= 600; ++n) REQUIRE(post(daemon, true, n).status == 202);  // 2.4 MB
    REQUIRE(eventually([&] {
        const json status = daemon.status();
        return limited(daemon).at("pending").at("total") <= 64 && ended(status, "discarded_overflow") > 300;
    }));
    const json target = limited(daemon);
    CHECK(target.at("pending").at("total") >= 60);  // no more than had to end
    CHECK(target.at("budget").at("bytes") == 256 * 1024);
    CHECK(eventually([&] { return !limited(daemon).at("budget").at("over").get<bool>(); }));
    CHECK(target.at("budget").at("overflowed") == 600 - target.at("pending").at("total").get<std::uint64_t>());
    json status = daemon.status();
    CHECK(status.at("balanced") == true);
    CHECK(audit_is_good(daemon));
    const json letters = json::parse(support::http_get(daemon.admin(), "/v1/dead-letters?limit=1").body);
    CHECK(letters.dump().find("\"overflow\"") != std::string::npos);

    daemon.kill();  // also over a restart
    daemon.start();
    CHECK(limited(daemon).at("pending").at("total") == target.at("pending").at("total"));
    act(daemon, "resume");
    status = daemon.settle();
    CHECK(ended(status, "delivered") == target.at("pending").at("total"));
    const auto lines = support::lines_of(support::read_text(directory.file("limited.jsonl")));
    CHECK(json::parse(lines.back()).at("detail").at("n") == 600);
    CHECK(support::lines_of(support::read_text(directory.file("well.jsonl"))).size() >= 600);
    CHECK(audit_is_good(daemon));
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("refuse_new answers 503 for events of the full target only, until it has drained")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory, "{bytes: 256KiB, overflow: refuse_new}"), two_rules);
    daemon.start();
    act(daemon, "pause?reason=test");
    std::uint64_t accepted = 0;
    support::HttpAnswer answer;
    REQUIRE(eventually([&] {
        answer = post(daemon, true, accepted + 1);
        accepted += answer.status == 202 ? 1 : 0;
        return answer.status != 202;
    }));
    CHECK(answer.status == 503);
    CHECK(answer.body.find("\"over_budget\"") != std::string::npos);
    CHECK(answer.body.find("'limited'") != std::string::npos);
    CHECK(answer.header("retry-after") == "10");
    CHECK(accepted >= 64);
    CHECK(post(daemon, false, 0).status == 202);
    CHECK(daemon.metric("eventyard_target_over_budget{target=\"limited\"}") == 1);

    REQUIRE(support::http_post(daemon.admin(), "/v1/reload", "").status == 200);  // the gate of the new table is closed, too
    CHECK(eventually([&] { return post(daemon, true, 0).status == 503; }));
    act(daemon, "resume");
    CHECK(eventually([&] { return post(daemon, true, 0).status == 202; }));
    const json status = daemon.settle();
    CHECK(ended(status, "dead_lettered") == 0);
    CHECK(ended(status, "delivered") >= accepted + 1);
    CHECK(audit_is_good(daemon));
    CHECK(daemon.terminate().code == 0);
}
