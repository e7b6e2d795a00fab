// Kills the daemon at random moments under load: no answered event may be missing afterwards, and
// no target may get more again than was in flight or not yet committed.
#include <unordered_map>

#include "core/time.hpp"
#include "tests/e2e/harness.hpp"
#include "tests/support/redis_server.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

constexpr const char* rules = R"(rules:
  - name: everything
    pattern: {source: [kill.test]}
    targets: [hook, lines, stream]
)";

std::string body_of(std::uint64_t n)
{
    return R"({"source":"kill.test","detail-type":"Numbered","detail":{"n":)" + std::to_string(n) +
           R"(,"pad":")" + std::string(n % 700, 'x') + "\"}}";
}

std::uint64_t number_in(const std::string& line)
{
    const auto at = line.find("\"n\":");
    return at == std::string::npos ? UINT64_MAX : std::stoull(line.substr(at + 4));
}

std::string targets(const Sink& sink, const TempDir& directory, const std::string& redis)
{
    return "targets:\n  hook:\n    webhook: {url: '" + sink.url() +
           "'}\n    retry: {backoff: {initial: 50ms, max: 1s}}\n    concurrency: 16\n"
           "  lines:\n    file: {path: " + directory.file("lines.jsonl") + "}\n    concurrency: 64\n"
           "  stream:\n    redis_stream: {address: '" + redis + "', stream: killed}\n    concurrency: 64\n";
}

int rounds()
{
    const char* asked = std::getenv("EVENTYARD_KILL_ROUNDS");
    if (asked != nullptr) return std::stoi(asked);
    return std::getenv("EVENTYARD_LONG") != nullptr ? 300 : 50;
}

/// How many deliveries may come again after a kill right now: in flight plus not yet committed.
std::uint64_t exposed(const Daemon& daemon)
{
    std::uint64_t sum = 0;
    for (const std::string& line : support::lines_of(support::http_get(daemon.admin(), "/metrics").body))
        if (line.rfind("eventyard_target_in_flight{", 0) == 0 ||
            line.rfind("eventyard_target_uncommitted{", 0) == 0)
            sum += static_cast<std::uint64_t>(std::stod(line.substr(line.rfind(' ') + 1)));
    return sum;
}

}  // namespace

TEST_CASE("every event answered 202 survives SIGKILL at random moments, again and again")
{
    TempDir directory;
    Sink sink;
    const support::RedisServer redis;
    Daemon daemon{directory};
    daemon.configure(targets(sink, directory, redis.address()), rules);

    std::atomic<std::uint64_t> next{1};
    SystemRandom random;
    std::vector<Accepted> accepted;
    std::uint64_t worst_repeats = 0;
    std::uint64_t allowed_repeats = 0;
    for (int round = 0; round < rounds(); ++round) {
        daemon.start();
        Load load{daemon.http(), 4, body_of, next};
        std::uint64_t most_exposed = 0;
        const auto end = std::chrono::steady_clock::now() +
                         std::chrono::milliseconds(20 + static_cast<int>(random.unit() * 400));
        while (std::chrono::steady_clock::now() < end) {
            most_exposed = std::max(most_exposed, exposed(daemon));
            std::this_thread::sleep_for(2ms);
        }
        most_exposed = std::max(most_exposed, exposed(daemon));
        daemon.kill();
        load.stop();
        accepted.insert(accepted.end(), load.accepted().begin(), load.accepted().end());
        worst_repeats = std::max(worst_repeats, most_exposed);
        // The figure moves between two readings; twice the highest one seen bounds the moment of the kill.
        allowed_repeats += 2 * most_exposed + 64;
    }
    REQUIRE(accepted.size() > 500);

    daemon.start();
    const auto status = daemon.settle();
    CHECK(status.value("balanced", false));

    // The webhook: by delivery id.
    std::uint64_t missing = 0, repeats = 0;
    const auto ids = sink.ids();
    for (const Accepted& event : accepted)
        if (ids.count(delivery_of(event.id, "everything", "hook")) == 0) ++missing;
    for (const auto& [id, n] : ids) repeats += n - 1;
    CHECK(missing == 0);

    // The file and the stream: by the number in the body.
    std::unordered_map<std::uint64_t, std::uint64_t> lines, entries;
    for (const std::string& line : support::lines_of(support::read_text(directory.file("lines.jsonl"))))
        ++lines[number_in(line)];
    for (const auto& entry : redis.entries("killed"))
        for (const auto& [field, value] : entry.fields)
            if (field == "event") ++entries[number_in(value)];
    std::uint64_t missing_lines = 0, missing_entries = 0;
    for (const Accepted& event : accepted) {
        if (lines.count(event.n) == 0) ++missing_lines;
        if (entries.count(event.n) == 0) ++missing_entries;
    }
    CHECK(missing_lines == 0);
    CHECK(missing_entries == 0);
    CHECK(lines.count(UINT64_MAX) == 0);
    for (const auto& [n, times] : lines) repeats += times - 1;
    for (const auto& [n, times] : entries) repeats += times - 1;
    CHECK(repeats <= allowed_repeats);
    WARN(accepted.size() << " events answered 202 over " << rounds() << " kills; none missing at three targets; "
                         << repeats << " repeats of " << allowed_repeats << " allowed");

    // Idle: everything is committed, so a kill repeats nothing.
    REQUIRE(eventually([&] { return exposed(daemon) == 0; }, 10s));
    const auto before = sink.summary().value("requests", std::uint64_t{0});
    const auto lines_before = support::lines_of(support::read_text(directory.file("lines.jsonl"))).size();
    daemon.kill();
    daemon.start();
    daemon.settle();
    std::this_thread::sleep_for(500ms);
    CHECK(sink.summary().value("requests", std::uint64_t{0}) == before);
    CHECK(support::lines_of(support::read_text(directory.file("lines.jsonl"))).size() == lines_before);
    CHECK(daemon.terminate().code == 0);
}
