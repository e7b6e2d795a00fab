// Batches out of the real binary: to a webhook, a file and a Redis stream, with poisoned events, and over a SIGKILL.
#include <algorithm>

#include "tests/e2e/harness.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/redis_server.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

/// Takes lines; refuses a request with a poisoned event in it, as a whole.
class Batches {
public:
    [[nodiscard]] std::string url() const { return server_.url("/hook"); }
    [[nodiscard]] std::map<std::string, std::uint64_t> ids() const
    {
        const std::lock_guard lock{mutex_};
        return ids_;
    }
    [[nodiscard]] std::uint64_t requests() const { return requests_; }
    [[nodiscard]] std::size_t largest() const { return largest_; }

private:
    support::HookReply serve(const support::HookRequest& request)
    {
        ++requests_;
        const auto lines = support::lines_of(request.body);
        largest_ = std::max<std::size_t>(largest_, lines.size());
        if (request.header("eventyard-batch") != std::to_string(lines.size())) return support::answer(400);
        if (request.body.find("poison") != std::string::npos) return support::answer(422, "", "poison");
        const std::lock_guard lock{mutex_};
        for (const std::string& line : lines) ++ids_[json::parse(line).at("delivery").get<std::string>()];
        return support::answer(200);
    }
    mutable std::mutex mutex_;
    std::map<std::string, std::uint64_t> ids_;
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::size_t> largest_{0};
    support::HookServer server_{[this](const support::HookRequest& request) { return serve(request); }};
};

constexpr const char* rules = "rules:\n  - {name: r, pattern: {source: [s]}, targets: [hook, file, stream]}\n";

/// Posts `requests` of 100 events each. @returns the events' ids
std::vector<std::string> post(const Daemon& daemon, int requests, const std::string& first = "{\"source\":\"s\"}")
{
    std::vector<std::string> ids;
    for (int i = 0; i < requests; ++i) {
        std::string body = first + "\n";
        for (int n = 1; n < 100; ++n) body += "{\"source\":\"s\",\"n\":" + std::to_string(n) + "}\n";
        const auto answer = support::http_post(daemon.http(), "/v1/events", body, "application/x-ndjson");
        REQUIRE(answer.status == 202);
        const json said = json::parse(answer.body);
        for (const json& one : said.at("items")) ids.push_back(one.at("id").get<std::string>());
    }
    return ids;
}

json target_of(const json& status, const std::string& name)
{
    for (const json& target : status.at("targets"))
        if (target.at("name") == name) return target;
    return {};
}

}  // namespace

TEST_CASE("a webhook, a file and a stream take batches, and a poisoned event ends alone")
{
    TempDir directory;
    Batches hook;
    support::RedisServer redis;
    Daemon daemon{directory};
    const std::string batch = "    batch: {max_events: 50}\n    concurrency: 2\n";
    daemon.configure("targets:\n  hook:\n    webhook: {url: '" + hook.url() + "'}\n" + batch +
                         "  file:\n    file: {path: '" + directory.file("out.jsonl") + "', envelope: true}\n" + batch +
                         "  stream:\n    redis_stream: {address: '" + redis.address() + "', stream: s}\n" + batch,
                     rules);
    daemon.start();
    auto ids = post(daemon, 9);
    const auto poisoned = post(daemon, 1, R"({"source":"s","poison":true})");
    const json status = daemon.settle();
    CHECK(target_of(status, "hook").at("delivered") == 999);
    CHECK(target_of(status, "hook").at("dead_lettered") == 1);
    CHECK(target_of(status, "hook").at("bisected") >= 1);
    CHECK(target_of(status, "file").at("delivered") == 1000);
    CHECK(target_of(status, "stream").at("delivered") == 1000);
    CHECK(target_of(status, "file").at("requests") < 500);
    CHECK(hook.largest() <= 50);
    CHECK(hook.requests() < 500);
    const auto got = hook.ids();
    CHECK(got.size() == 999);
    CHECK(got.count(delivery_of(poisoned.front(), "r", "hook")) == 0);
    for (const std::string& id : ids) CHECK(got.at(delivery_of(id, "r", "hook")) == 1);
    CHECK(support::lines_of(support::read_text(directory.file("out.jsonl"))).size() == 1000);
    CHECK(redis.entries("s").size() == 1000);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("batches over a SIGKILL lose nothing, and repeat no more than was in flight or not yet stored")
{
    TempDir directory;
    Batches hook;
    Daemon daemon{directory};
    daemon.configure("targets:\n  hook:\n    webhook: {url: '" + hook.url() + "'}\n    batch: {max_events: 20, max_wait: 5ms}\n    concurrency: 2\n",
                     "rules:\n  - {name: r, pattern: {source: [s]}, targets: [hook]}\n");
    daemon.start();
    std::vector<std::string> ids;
    for (int round = 0; round < 3; ++round) {
        const auto more = post(daemon, 10);
        ids.insert(ids.end(), more.begin(), more.end());
        daemon.kill();
        daemon.start();
    }
    daemon.settle();
    const auto got = hook.ids();
    CHECK(got.size() == ids.size());
    for (const std::string& id : ids) CHECK(got.count(delivery_of(id, "r", "hook")) == 1);
    CHECK(daemon.terminate().code == 0);
}
