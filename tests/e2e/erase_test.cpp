// A request to be forgotten, to the real daemon: afterwards no byte of the body is in any file below its data directory.
#include <filesystem>
#include <fstream>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

constexpr const char* rules = R"(rules:
  - {name: all, pattern: {source: [people]}, targets: [up, dead, down, slow, paused]}
)";

std::string configuration(const Sink& up, const Sink& dead, const Sink& slow, std::uint16_t down)
{
    return "journal: {segment_size: 256KiB, min_free: 1MiB}\n"
           "shutdown_grace: 1s\nbuses: {default: {archive: {retention: 30d}}}\n"
           "targets:\n"
           "  up:\n    webhook: {url: '" + up.url() + "'}\n"
           "  dead:\n    webhook: {url: '" + dead.url() + "'}\n    retry: {max_attempts: 1}\n"
           "  down:\n    webhook: {url: 'http://127.0.0.1:" + std::to_string(down) + "/'}\n"
           "    retry: {max_attempts: 100000, backoff: {initial: 50ms, max: 200ms}}\n"
           "  slow:\n    webhook: {url: '" + slow.url() + "', timeout: 60s}\n    concurrency: 1\n"
           "  paused:\n    webhook: {url: '" + up.url() + "'}\n";
}

std::string person(const std::string& name, std::size_t pad = 0)
{
    return R"({"source":"people","name":")" + name + R"(","pad":")" + std::string(pad, 'p') + "\"}";
}

std::string post(const Daemon& daemon, const std::string& body)
{
    const auto answer = support::http_post(daemon.http(), "/v1/events", body);
    REQUIRE(answer.status == 202);
    return json::parse(answer.body).at("id").get<std::string>();
}

/// Enough for several segments.
void fill(const Daemon& daemon, std::size_t events = 500)
{
    std::string lines;
    for (std::size_t i = 0; i < events; ++i) lines += person("nobody", 2000) + "\n";
    REQUIRE(support::http_post(daemon.http(), "/v1/events", lines, "application/x-ndjson").status == 202);
}

std::vector<std::string> holders(const std::string& directory, const std::string& secret)
{
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (bytes.find(secret) != std::string::npos) found.push_back(entry.path().string());
    }
    return found;
}

support::Finished erase(const Daemon& daemon, const std::string& id)
{
    return support::run({EVENTYARD_BINARY, "erase", id, "--reason", "asked to", "--who", "tester", "--json", "--admin",
                         daemon.admin_address()});
}

json audit(const Daemon& daemon) { return json::parse(support::http_get(daemon.admin(), "/v1/audit").body); }

}  // namespace

TEST_CASE("an erased event is in no file any more, goes to nobody, and the ledger balances over restarts")
{
    TempDir directory;
    Sink up, dead{{"--respond", "400"}}, slow{{"--hang"}};
    Daemon daemon{directory};
    daemon.configure(configuration(up, dead, slow, support::free_port()), rules);
    daemon.start();
    const std::string data = directory.file("data");
    REQUIRE(support::http_post(daemon.admin(), "/v1/targets/paused/pause?reason=test", "").status == 200);

    const std::string old_id = post(daemon, person("Ludmilla"));
    REQUIRE(eventually([&] { return slow.summary().value("requests", 0) + slow.summary().value("hung", 0) >= 1; }));
    fill(daemon);
    const std::string new_id = post(daemon, person("Rosalinde"));
    // Dead-lettered, in retry, in flight, behind a paused target, in an archive, and in the segment being written.
    REQUIRE(eventually([&] {
        const json status = daemon.status();
        return status.at("archives").at(0).at("events").get<int>() > 0 &&
               json::parse(support::http_get(daemon.admin(), "/v1/dead-letters?limit=1000").body).at("dead_letters").size() == 502;
    }));
    REQUIRE_FALSE(holders(data, "Rosalinde").empty());

    for (const auto& [id, secret] : {std::pair{old_id, "Ludmilla"}, {new_id, "Rosalinde"}}) {
        const auto done = erase(daemon, id);
        INFO(done.out << done.err);
        REQUIRE(done.exit.code == 0);
        const json told = json::parse(done.out);
        CHECK(told.at("journal") == 1);
        CHECK(told.at("dead_letters") == 1);
        CHECK(told.at("archive_files") == (id == old_id ? 1 : 0));
        CHECK(told.at("discarded").get<int>() + told.at("in_flight").get<int>() == 3);
        CHECK(told.at("left").empty());
        CHECK(holders(data, secret) == std::vector<std::string>{});
        CHECK(erase(daemon, id).exit.code == 0);  // again
    }
    CHECK(daemon.status().at("balanced") == true);
    CHECK(audit(daemon).at("good") == true);
    CHECK(daemon.process().err().find("Ludmilla") == std::string::npos);
    CHECK(daemon.process().err().find("who=tester") != std::string::npos);
    const auto unknown = erase(daemon, "019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d");
    CHECK(unknown.exit.code == 1);
    CHECK(unknown.err.find("019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d") != std::string::npos);

    // The letter is still there, says so, and is not redriven.
    const auto letters = json::parse(support::http_get(daemon.admin(), "/v1/dead-letters?limit=1").body).at("dead_letters");
    CHECK(letters.at(0).at("event") == old_id);
    CHECK(letters.at(0).at("format") == "erased");
    const std::string letter = std::to_string(letters.at(0).at("id").get<int>());
    REQUIRE(support::http_post(daemon.admin(), "/v1/dead-letters/redrive?ids=" + letter, "").status == 200);
    json redrive;
    CHECK(eventually([&] {
        redrive = json::parse(support::http_get(daemon.admin(), "/v1/redrives/1").body);
        return redrive.at("state") == "done";
    }));
    CHECK(redrive.at("erased") == 1);
    CHECK(redrive.at("redriven") == 0);

    daemon.kill();
    daemon.start();
    CHECK(holders(data, "Ludmilla").empty());
    CHECK(audit(daemon).at("good") == true);
    CHECK(daemon.status().at("balanced") == true);
    // A replay of everything, to the one target that takes it, has none of them.
    const auto before = up.summary().value("requests", std::uint64_t{0});
    REQUIRE(support::http_post(daemon.admin(), "/v1/replays?target=up&per_second=0", "").status == 200);
    json replay;
    CHECK(eventually([&] {
        replay = json::parse(support::http_get(daemon.admin(), "/v1/replays/1").body);
        return replay.at("state") == "done";
    }));
    CHECK(replay.at("events") == 500);
    CHECK(replay.at("unreadable") == 0);
    CHECK(eventually([&] { return up.summary().value("requests", std::uint64_t{0}) >= before + 500; }));
    CHECK(daemon.terminate().code == 0);
    CHECK(holders(data, "Rosalinde").empty());
}

TEST_CASE("an event that was delivered and let go leaves nothing either: not in files that wait to be used again")
{
    TempDir directory;
    Sink up;
    Daemon daemon{directory};
    daemon.configure("journal: {segment_size: 256KiB, min_free: 1MiB}\ntargets:\n  up:\n    webhook: {url: '" + up.url() + "'}\n",
                     "rules:\n  - {name: all, pattern: {source: [people]}, targets: [up]}\n");
    daemon.start();
    const std::string data = directory.file("data");
    const std::string id = post(daemon, person("Ludmilla"));
    for (int i = 0; i < 4; ++i) {
        fill(daemon, 200);
        daemon.settle();
    }
    REQUIRE(eventually([&] { return daemon.status().at("journal").at("oldest").get<std::uint64_t>() > 1; }));
    CHECK(erase(daemon, id).exit.code == 1);  // nothing knows it any more
    CHECK(holders(data, "Ludmilla") == std::vector<std::string>{});
    fill(daemon);
    CHECK(daemon.settle().at("balanced") == true);
    CHECK(daemon.terminate().code == 0);
}
