// One target that never answers changes neither another's throughput nor the ingest latency.
#include <algorithm>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

struct Figures {
    double delivered_per_second = 0;
    double ingest_p50_ms = 0;
    double ingest_p99_ms = 0;
};

/// Sends `count` events one after another from each of two threads and waits for the good target.
Figures measure(Daemon& daemon, const Sink& sink, std::uint64_t count)
{
    const auto before = sink.summary().value("requests", std::uint64_t{0});
    std::vector<double> latencies;
    std::mutex mutex;
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < count / 2; ++i) {
                const auto sent = std::chrono::steady_clock::now();
                const auto answer = support::http_post(daemon.http(), "/v1/events", R"({"source":"isolation"})");
                const double ms = std::chrono::duration<double, std::milli>(
                                      std::chrono::steady_clock::now() - sent)
                                      .count();
                const std::lock_guard lock{mutex};
                if (answer.status == 202) latencies.push_back(ms);
            }
        });
    for (auto& thread : threads) thread.join();
    REQUIRE(latencies.size() == count / 2 * 2);
    REQUIRE(eventually([&] { return sink.summary().value("requests", std::uint64_t{0}) >= before + count / 2 * 2; }));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::sort(latencies.begin(), latencies.end());
    return {static_cast<double>(latencies.size()) / seconds, latencies[latencies.size() / 2],
            latencies[latencies.size() * 99 / 100]};
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

TEST_CASE("a target that never answers leaves another's throughput and the ingest latency alone")
{
    TempDir alone_directory, beside_directory;
    Sink good_alone, good_beside, hanging{{"--hang"}};
    const auto good = [](const Sink& sink) {
        return "targets:\n  good:\n    webhook: {url: '" + sink.url() + "'}\n";
    };
    const std::string one = "rules:\n  - name: r\n    pattern: {source: [isolation]}\n    targets: [good]\n";
    const std::string two = "rules:\n  - name: r\n    pattern: {source: [isolation]}\n    targets: [good, hung]\n";
    Daemon alone{alone_directory}, beside{beside_directory};
    alone.configure(good(good_alone), one);
    beside.configure(good(good_beside) + "  hung:\n    webhook: {url: '" + hanging.url() +
                         "', timeout: 30s}\n    concurrency: 8\nshutdown_grace: 1s\n",
                     two);
    alone.start();
    beside.start();
    // Paired rounds, so that a drifting machine moves both sides.
    std::vector<double> rate, p50, p99;
    measure(alone, good_alone, 100);
    measure(beside, good_beside, 100);
    for (int round = 0; round < 5; ++round) {
        const Figures a = measure(alone, good_alone, 400);
        const Figures b = measure(beside, good_beside, 400);
        rate.push_back(b.delivered_per_second / a.delivered_per_second);
        p50.push_back(b.ingest_p50_ms / a.ingest_p50_ms);
        p99.push_back(b.ingest_p99_ms / a.ingest_p99_ms);
    }
    WARN("with a hung target beside, ratios (median of five paired rounds): throughput "
         << median(rate) << ", ingest p50 " << median(p50) << ", ingest p99 " << median(p99));
    // All of that happened while the same eight attempts hung: nothing waited for one of them.
    const auto hung = [&] {
        const auto status = beside.status();
        for (const auto& target : status.at("targets"))
            if (target.at("name") == "hung") return target;
        return nlohmann::json::object();
    };
    // An answer comes before the lanes are told.
    CHECK(eventually([&] { return hung().at("pending").at("total") == 2100; }, 10s));
    CHECK(hung().at("pending").at("in_flight") == 8);
    CHECK(hung().at("attempts") == 0);
    // The ledger is read a moment after what is pending: the good target's last answer may come between.
    CHECK(eventually([&] { return beside.status().value("balanced", false); }));
    CHECK(alone.terminate().code == 0);
    CHECK(beside.terminate().code == 0);
}
