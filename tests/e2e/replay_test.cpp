// The archive and replays of the real daemon: history outlives its segments and reaches a new rule.
#include <filesystem>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

constexpr const char* old_rule = R"(rules:
  - name: old
    pattern: {source: [replay.test]}
    targets: [first]
)";
constexpr const char* both_rules = R"(rules:
  - name: old
    pattern: {source: [replay.test]}
    targets: [first]
  - name: new
    pattern: {source: [replay.test]}
    targets: [second]
)";

/// @param archive  empty: none
std::string settings(const TempDir& directory, const std::string& archive = "{retention: 30d}")
{
    return "journal: {segment_size: 1MiB}\n" + (archive.empty() ? "" : "buses: {default: {archive: " + archive + "}}\n") +
           "targets:\n  first:\n    file: {path: " +
           directory.file("first.jsonl") + ", envelope: true}\n    order: {by: strict}\n  second:\n    file: {path: " +
           directory.file("second.jsonl") + ", envelope: true}\n    order: {by: strict}\n";
}

/// `count` events of about 2 KiB in batches, numbered from `first`.
void post(const Daemon& daemon, std::uint64_t first, std::uint64_t count)
{
    for (std::uint64_t n = first; n < first + count;) {
        std::string lines;
        for (int i = 0; i < 100 && n < first + count; ++i, ++n)
            lines += R"({"source":"replay.test","detail":{"n":)" + std::to_string(n) + R"(,"pad":")" + std::string(2000, 'x') + "\"}}\n";
        const auto answer = support::http_post(daemon.http(), "/v1/events", lines, "application/x-ndjson");
        REQUIRE(answer.status == 202);
    }
}

std::vector<std::uint64_t> numbers(const std::string& path)
{
    std::vector<std::uint64_t> all;
    std::string text = support::read_text(path);
    text.resize(text.rfind('\n') + 1);  // the last line may be on its way
    for (const std::string& line : support::lines_of(text))
        all.push_back(json::parse(line).at("event").at("detail").at("n").get<std::uint64_t>());
    return all;
}

std::vector<std::uint64_t> up_to(std::uint64_t last)
{
    std::vector<std::uint64_t> all;
    for (std::uint64_t n = 1; n <= last; ++n) all.push_back(n);
    return all;
}

/// The first one asked for, when it is done.
json first_replay(const Daemon& daemon)
{
    json job;
    CHECK(eventually([&] {
        job = json::parse(support::http_get(daemon.admin(), "/v1/replays/1").body);
        return job.value("state", "") == "done";
    }));
    return job;
}

/// The only archive; it is opened, and listed, a moment after the start.
json archive_of(const Daemon& daemon)
{
    json archives;
    REQUIRE(eventually([&] {
        archives = daemon.status().at("archives");
        return !archives.empty();
    }));
    return archives.at(0);
}

support::Exit replay(const Daemon& daemon, std::vector<std::string> options)
{
    std::vector<std::string> command{EVENTYARD_BINARY, "replay", "--json", "--admin", daemon.admin_address()};
    command.insert(command.end(), options.begin(), options.end());
    Process process{std::move(command)};
    auto ended = process.wait(120s);
    INFO(process.err());
    return ended;
}

json run_replay(const Daemon& daemon, const std::string& query)
{
    auto job = json::parse(support::http_post(daemon.admin(), "/v1/replays?" + query, "").body);
    INFO(job.dump(2));
    REQUIRE(job.contains("id"));
    const std::string path = "/v1/replays/" + std::to_string(job.at("id").get<int>());
    CHECK(eventually([&] {
        job = json::parse(support::http_get(daemon.admin(), path).body);
        return job.at("state") != "running";
    }));
    return job;
}

/// Waits until journal segments that were archived are gone.
void wait_for_release(const Daemon& daemon)
{
    CHECK(eventually([&] { return daemon.status().at("journal").at("oldest").get<std::uint64_t>() > 1; }));
}

}  // namespace

TEST_CASE("a new rule is replayed over history whose segments are gone, in order, and counted apart")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory), old_rule);
    daemon.start();
    constexpr std::uint64_t count = 3000;
    post(daemon, 1, count);
    daemon.settle();
    wait_for_release(daemon);
    CHECK(archive_of(daemon).at("events").get<std::uint64_t>() > 0);
    directory.write("rules.yaml", both_rules);
    REQUIRE(support::http_post(daemon.admin(), "/v1/reload", "").status == 200);

    const json dry = run_replay(daemon, "dry_run=true");
    CHECK(dry.at("read") == count);
    CHECK(dry.at("deliveries") == 2 * count);
    CHECK(daemon.settle().at("journal").at("last") == count);

    const json done = run_replay(daemon, "rule=new&per_second=0");
    CHECK(done.at("state") == "done");
    CHECK(done.at("deliveries") == count);
    const json status = daemon.settle();
    CHECK(numbers(directory.file("second.jsonl")) == up_to(count));
    CHECK(numbers(directory.file("first.jsonl")) == up_to(count));
    for (const json& row : status.at("ledger")) {
        INFO(row.dump());
        CHECK(row.at("delivered") == count);
        CHECK(row.at("routed") == (row.at("rule") == "old" ? count : 0));
        CHECK(row.at("replayed") == (row.at("rule") == "new" ? count : 0));
    }
    CHECK(json::parse(support::http_get(daemon.admin(), "/v1/audit").body).at("good") == true);

    // A replay is no history: the next one finds the same events. Some of them, to one target, with the old ids.
    CHECK(replay(daemon, {"--sequence", "11..20", "--target", "first", "--same-ids", "--rate", "0"}).code == 0);
    daemon.settle();
    const auto lines = support::lines_of(support::read_text(directory.file("first.jsonl")));
    REQUIRE(lines.size() == count + 10);
    for (std::size_t i = 0; i < 10; ++i) {
        const json original = json::parse(lines[10 + i]), again = json::parse(lines[count + i]);
        CHECK(again.at("delivery") == original.at("delivery"));
        CHECK(again.at("replay_of") == original.at("delivery"));
        CHECK(again.at("rule") == "old");
    }
    CHECK(replay(daemon, {"--target", "nowhere"}).code == 1);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a replay that is killed again and again goes on: nothing is left out, and the ledger balances")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory), both_rules);
    daemon.start();
    constexpr std::uint64_t count = 2000;
    post(daemon, 1, count);
    daemon.settle();
    const std::size_t before = numbers(directory.file("second.jsonl")).size();
    REQUIRE(before == count);
    REQUIRE(support::http_post(daemon.admin(), "/v1/replays?rule=new&per_second=2000", "").status == 200);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100 + 37 * round));
        daemon.kill();
        daemon.start();
    }
    const json job = first_replay(daemon);
    CHECK(job.at("events") == count);
    CHECK(job.at("read") == count);
    const json status = daemon.settle();
    for (const json& row : status.at("ledger"))
        if (row.at("rule") == "new") CHECK(row.at("replayed") == count);
    // Deliveries may come again after a kill; in the journal each event is replayed exactly once.
    std::set<std::uint64_t> replayed;
    for (const std::string& line : support::lines_of(support::read_text(directory.file("second.jsonl"))))
        if (const json one = json::parse(line); one.contains("replay_of"))
            replayed.insert(one.at("event").at("detail").at("n").get<std::uint64_t>());
    CHECK(replayed.size() == count);
    CHECK(json::parse(support::http_get(daemon.admin(), "/v1/audit").body).at("good") == true);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a replay that waits has stored where it is: a start need not find its last batch in the journal")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory), both_rules);
    daemon.start();
    post(daemon, 1, 100);
    daemon.settle();
    REQUIRE(support::http_post(daemon.admin(), "/v1/replays?rule=new&per_second=1", "").status == 200);
    CHECK(eventually([&] {
        const json stored = json::parse(support::read_text(directory.file("data/replays/1.json")), nullptr, false);
        return stored.is_object() && stored.at("events") > 0 && stored.at("next") == 0;
    }));
    REQUIRE(support::http_post(daemon.admin(), "/v1/replays/1/cancel", "").status == 200);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("without an archive, what a slow replay has still to read stays in the journal, over a kill as well")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory, {}), old_rule);
    daemon.start();
    REQUIRE(support::http_post(daemon.admin(), "/v1/targets/first/pause", "").status == 200);
    constexpr std::uint64_t count = 1500;
    post(daemon, 1, count);
    directory.write("rules.yaml", both_rules);
    REQUIRE(support::http_post(daemon.admin(), "/v1/reload", "").status == 200);
    REQUIRE(support::http_post(daemon.admin(), "/v1/replays?rule=new&per_second=200", "").status == 200);
    REQUIRE(support::http_post(daemon.admin(), "/v1/targets/first/resume", "").status == 200);
    // Nothing but the replay needs the segments by then.
    CHECK(eventually([&] { return numbers(directory.file("first.jsonl")).size() == count; }));
    daemon.kill();
    daemon.start();
    const json job = first_replay(daemon);
    CHECK(job.at("events") == count);
    daemon.settle();
    const auto sent = numbers(directory.file("second.jsonl"));  // some of them twice, after a kill
    CHECK(std::set<std::uint64_t>(sent.begin(), sent.end()).size() == count);
    wait_for_release(daemon);
    CHECK(json::parse(support::http_get(daemon.admin(), "/v1/audit").body).at("good") == true);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("the archive keeps what its pattern asks for, also what no rule matches, and not more than it may")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(settings(directory, "{retention: 30d, max_bytes: 1KiB, pattern: {source: [replay.test]}}"), R"(rules:
  - name: none
    pattern: {source: [other.test]}
    targets: [first]
)");
    daemon.start();
    post(daemon, 1, 2000);
    // Stored because of the archive, archived, and removed: a file is larger than a kilobyte.
    CHECK(eventually([&] { return daemon.status().at("journal").at("last") == 2000 && archive_of(daemon).at("removed") > 0 && archive_of(daemon).at("files") == 0; }));
    CHECK(daemon.terminate().code == 0);
}
