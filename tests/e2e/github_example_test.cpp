// The example of examples/github, as scripts/run shows it: what each rule matches was counted by
// expected.py, which knows nothing of our engine; every delivery must end and the ledger balance.
#include <filesystem>
#include <map>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

const std::string example = std::string(EVENTYARD_SOURCE_DIR) + "/examples/github";

void replace_all(std::string& text, const std::string& from, const std::string& to)
{
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size(), ++found)
        text.replace(at, from.size(), to);
    INFO(from << " must stand in the example's configuration");
    REQUIRE(found > 0);
}

}  // namespace

TEST_CASE("the GitHub example routes every payload as counted by hand, through failing receivers")
{
    const auto expected = nlohmann::json::parse(support::read_text(example + "/expected.json"));
    const TempDir directory;
    Sink chat;
    Sink desk{{"--respond", "500x8,200", "--secret",
               "whsec_ZGVtby1vbmx5LW5vdC1hLXJlYWwtc2VjcmV0LTAwMDE="}};
    Sink tracker{{"--respond", "503"}};
    const std::uint16_t http = support::free_port();
    const std::uint16_t admin = support::free_port();
    std::string config = support::read_text(example + "/eventyard.yaml");
    const std::pair<const char*, std::uint16_t> ports[] = {
        {"127.0.0.1:8080", http},        {"127.0.0.1:9080", admin},         {"127.0.0.1:9000", chat.port()},
        {"127.0.0.1:9001", desk.port()}, {"127.0.0.1:9002", tracker.port()}};
    for (const auto& [from, port] : ports) replace_all(config, from, "127.0.0.1:" + std::to_string(port));
    const std::string file = directory.write("eventyard.yaml", config);
    std::filesystem::create_directory_symlink(example + "/rules", directory.file("rules"));

    support::ProcessOptions options;
    options.directory = directory.path();
    Process daemon{{EVENTYARD_BINARY, "serve", "--config", file}, options};
    const bool ready = eventually(
        [&] { return support::http_get(admin, "/readyz").status == 200 || !daemon.running(); });
    INFO(daemon.err());
    REQUIRE(ready);
    REQUIRE(daemon.running());

    const support::Finished sent = support::run({EVENTYARD_BINARY, "send", "--json", "--url",
                                                 "http://127.0.0.1:" + std::to_string(http),
                                                 example + "/events.jsonl"});
    INFO(sent.out << sent.err);
    REQUIRE(sent.exit.code == 0);
    CHECK(nlohmann::json::parse(sent.out).at("accepted") == expected.at("events"));

    nlohmann::json status;
    const bool settled = eventually(
        [&] {
            status = nlohmann::json::parse(support::http_get(admin, "/v1/status").body, nullptr, false);
            return status.is_object() && status.value("pending", std::uint64_t{1}) == 0;
        },
        120s, 100ms);
    INFO(status.dump(2));
    REQUIRE(settled);
    CHECK(status.at("balanced") == true);

    std::map<std::string, std::uint64_t> matched, delivered, dead;
    for (const auto& row : status.at("ledger")) {
        const std::string target = row.at("target");
        if (target == "dead-tracker") continue;  // dead letters sent on, not matches of a rule
        const std::string rule = row.at("rule");
        const auto routed = row.at("routed").get<std::uint64_t>();
        const auto done = row.value("delivered", std::uint64_t{0});
        const auto given_up = row.value("dead_lettered", std::uint64_t{0});
        CHECK(routed == done + given_up);
        matched[rule] = routed;
        delivered[target] += done;
        dead[target] += given_up;
    }
    for (const auto& [rule, count] : expected.at("matched").items()) {
        INFO(rule);
        CHECK(matched[rule] == count.get<std::uint64_t>());
    }
    const auto count = [&](const char* rule) { return expected.at("matched").at(rule).get<std::uint64_t>(); };
    const std::uint64_t alerts = count("security-alerts") + count("access-changes") +
                                 count("made-public") + count("hooks-to-review");
    CHECK(delivered["security-desk"] == alerts);
    CHECK(desk.summary().at("requests") == alerts + 8);  // eight 500s, each tried again
    CHECK(desk.summary().at("accepted_ids") == alerts);
    CHECK(desk.summary().at("signatures").at("invalid") == 0);
    const std::uint64_t lost_causes = count("abandoned-pull-requests");
    CHECK(dead["legacy-tracker"] == lost_causes);
    CHECK(tracker.summary().at("requests") == 3 * lost_causes);  // max_attempts: 3
    CHECK(delivered["audit"] == 329);
    CHECK(support::lines_of(support::read_text(directory.file("audit.jsonl"))).size() == 329);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().code == 0);
}
