// `eventyard journal` on what a real daemon left, with bytes that a disk lost.
#include <algorithm>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

support::Finished journal(const std::string& verb, const Daemon& daemon, std::vector<std::string> more = {})
{
    std::vector<std::string> arguments{EVENTYARD_BINARY, "journal", verb, "--config", daemon.config()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return support::run(std::move(arguments));
}

/// The oldest segment.
std::string first_segment(const TempDir& directory)
{
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory.file("data/journal")))
        if (entry.path().filename().string().rfind("0000", 0) == 0) names.push_back(entry.path().string());
    REQUIRE_FALSE(names.empty());
    return *std::min_element(names.begin(), names.end());
}

std::string body_of(std::uint64_t n)
{
    return R"({"source":"kept","mark":"<)" + std::to_string(n) + R"(>","pad":")" + std::string(3000, 'x') + "\"}";
}

}  // namespace

TEST_CASE("damage in a sealed segment is found offline, repaired, and counted by the next start")
{
    TempDir directory;
    const std::uint16_t port = support::free_port();
    Daemon daemon{directory};
    daemon.configure("journal: {segment_size: 64KiB, min_free: 1MiB}\n"
                     "targets:\n  out:\n    webhook: {url: 'http://127.0.0.1:" + std::to_string(port) + "/'}\n"
                     "    retry: {max_attempts: 1000, backoff: {initial: 20ms, max: 50ms}}\n",
                     "rules:\n  - {name: r, pattern: {source: [kept]}, targets: [out]}\n");
    daemon.start();
    std::vector<std::string> ids;
    for (std::uint64_t n = 0; n < 100; ++n) {
        const auto answer = support::http_post(daemon.http(), "/v1/events", body_of(n));
        REQUIRE(answer.status == 202);
        ids.push_back(nlohmann::json::parse(answer.body).at("id"));
    }
    const auto running = journal("check", daemon);
    CHECK(running.exit.code == 2);
    CHECK(running.err.find("a daemon uses") != std::string::npos);
    CHECK(journal("repair", daemon).exit.code == 2);
    REQUIRE(daemon.terminate().code == 0);

    const auto whole = journal("check", daemon);
    INFO(whole.out << whole.err);
    REQUIRE(whole.exit.code == 0);
    CHECK(whole.out.find("good: every frame") != std::string::npos);
    CHECK(journal("repair", daemon).out == "nothing to repair\n");

    const std::string path = first_segment(directory);
    std::string bytes = support::read_text(path);
    const auto at = bytes.find("<5>");
    REQUIRE(at != std::string::npos);
    bytes[at + 1] = '6';
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;

    const auto found = journal("check", daemon);
    INFO(found.out << found.err);
    CHECK(found.exit.code == 1);
    CHECK(found.out.find("damaged 6: fails its checksum") != std::string::npos);
    CHECK(found.out.find("; for r>out\n") != std::string::npos);
    CHECK(support::read_text(path) == bytes);
    const auto json = nlohmann::json::parse(journal("check", daemon, {"--json"}).out);
    CHECK(json.at("good") == false);
    CHECK(json.at("segments").at(0).at("damaged").at(0).at("first") == 6);

    const auto repaired = journal("repair", daemon);
    INFO(repaired.out << repaired.err);
    CHECK(repaired.exit.code == 0);
    CHECK(support::read_text(directory.file("data/journal/quarantine/" +
                                            std::filesystem::path(path).filename().string() + ".original.1")) == bytes);
    CHECK(journal("check", daemon).exit.code == 0);

    Sink sink{{}, port};
    daemon.start();
    const auto status = daemon.settle();
    CHECK(status.at("balanced") == true);
    REQUIRE(status.at("ledger").size() == 1);
    CHECK(status.at("ledger").at(0).at("damaged") == 1);
    CHECK(status.at("ledger").at(0).at("delivered") == 99);
    const auto delivered = sink.ids();
    for (std::size_t n = 0; n < ids.size(); ++n)
        CHECK(delivered.count(delivery_of(ids[n], "r", "out")) == (n == 5 ? 0U : 1U));
    const auto audited = support::run({EVENTYARD_BINARY, "audit", "--admin", daemon.admin_address()});
    INFO(audited.out);
    CHECK(audited.exit.code == 0);
    CHECK(daemon.terminate().code == 0);
}
