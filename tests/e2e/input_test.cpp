// What a rule says that its target gets, over a reload, a restart and retries; and what a redriven dead letter sends.
#include <mutex>

#include "tests/e2e/harness.hpp"
#include "tests/support/hook_server.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

/// A receiver that keeps what came, and answers as it is told.
class Receiver {
public:
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()) + "/"; }
    void say(int status) { status_ = status; }
    [[nodiscard]] std::vector<support::HookRequest> seen() const
    {
        const std::lock_guard lock{mutex_};
        return seen_;
    }
    [[nodiscard]] std::size_t times(const std::string& body) const
    {
        const auto all = seen();
        return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.body == body; }));
    }
    void forget()
    {
        const std::lock_guard lock{mutex_};
        seen_.clear();
    }

private:
    std::atomic<int> status_{200};
    mutable std::mutex mutex_;
    std::vector<support::HookRequest> seen_;
    support::HookServer server_{[this](const support::HookRequest& request) {
        const std::lock_guard lock{mutex_};
        seen_.push_back(request);
        return support::answer(status_);
    }};
};

std::string target(const std::string& url)
{
    return "targets:\n  out:\n    webhook: {url: '" + url + "'}\n    retry: {backoff: {initial: 20ms, max: 100ms}}\n"
           "    circuit_breaker: {failures: 100000, connect_failures: 100000}\n";
}

std::string rule(const std::string& input)
{
    return "rules:\n  - name: orders\n    pattern: {source: [shop]}\n    targets: [{target: out" +
           (input.empty() ? "" : ", input: " + input) + "}]\n";
}

void post(const Daemon& daemon, const std::string& number)
{
    REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"source":"shop","detail":{"n":)" + number + "}}").status == 202);
}

}  // namespace

TEST_CASE("what is sent is what the rule said at acceptance, over a retry, a reload and a restart")
{
    TempDir directory;
    Receiver receiver;
    receiver.say(503);
    Daemon daemon{directory};
    daemon.configure(target(receiver.url()), rule("{paths: {n: $.detail.n}, template: '{\"order\": <n>, \"by\": \"<aws.events.rule-name>\"}'}"));
    daemon.start();
    post(daemon, "1.50");
    const std::string first = R"({"order":1.50,"by":"orders"})";
    REQUIRE(eventually([&] { return receiver.times(first) >= 2; }));  // retried

    daemon.configure(target(receiver.url()), rule("{path: $.detail}"));
    REQUIRE(run(daemon, {"reload"}).exit.code == 0);
    receiver.forget();
    post(daemon, "2");
    const std::string second = R"({"n":2})";
    REQUIRE(eventually([&] { return receiver.times(second) >= 2 && receiver.times(first) >= 2; }));

    daemon.kill();
    daemon.configure(target(receiver.url()), rule(""));
    daemon.start();
    receiver.forget();
    post(daemon, "3");
    const std::string third = R"({"source":"shop","detail":{"n":3}})";
    REQUIRE(eventually([&] { return receiver.times(first) >= 1 && receiver.times(second) >= 1 && receiver.times(third) >= 1; }));
    receiver.forget();
    receiver.say(200);
    daemon.settle();
    for (const support::HookRequest& request : receiver.seen()) {
        INFO(request.body);
        CHECK((request.body == first || request.body == second || request.body == third));
        CHECK(request.header("content-type") == "application/json");
        CHECK(request.header("webhook-id").starts_with("dlv_"));
        CHECK_FALSE(request.header("eventyard-event-id").empty());
    }
    CHECK(receiver.times(first) >= 1);
    CHECK(receiver.times(second) >= 1);
    CHECK(receiver.times(third) >= 1);
}

TEST_CASE("a redriven dead letter sends what its rule said, whatever the rule says now")
{
    TempDir directory;
    Receiver receiver;
    receiver.say(400);
    Daemon daemon{directory};
    daemon.configure(target(receiver.url()), rule("{paths: {n: $.detail.n}, template: '\"order <n>\"'}"));
    daemon.start();
    post(daemon, "7");
    daemon.settle();
    const json letters = json::parse(support::http_get(daemon.admin(), "/v1/dead-letters?whole=true").body).at("dead_letters");
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].at("body") == R"({"source":"shop","detail":{"n":7}})");  // the event, whole
    CHECK(letters[0].at("input") == R"({"paths":{"n":"$.detail.n"},"template":"\"order <n>\""})");

    daemon.terminate();
    daemon.configure(target(receiver.url()), rule("{constant: {changed: true}}"));
    daemon.start();
    receiver.forget();
    receiver.say(200);
    REQUIRE(run(daemon, {"dead-letters", "redrive", "--all", "--why", "the receiver is mended"}).exit.code == 0);
    REQUIRE(eventually([&] { return receiver.seen().size() == 1; }));
    CHECK(receiver.seen()[0].body == R"("order 7")");
    daemon.settle();
}

TEST_CASE("a replay sends what the rule says now")
{
    TempDir directory;
    Receiver receiver;
    Daemon daemon{directory};
    const std::string archived = "buses: {default: {archive: {retention: 1d}}}\n" + target(receiver.url());
    daemon.configure(archived, rule("{path: $.detail}"));
    daemon.start();
    post(daemon, "1");
    daemon.settle();
    CHECK(receiver.times(R"({"n":1})") == 1);

    daemon.configure(archived, rule("{constant: [again]}"));
    REQUIRE(run(daemon, {"reload"}).exit.code == 0);
    REQUIRE(run(daemon, {"replay", "--bus", "default"}).exit.code == 0);
    REQUIRE(eventually([&] { return receiver.times(R"(["again"])") == 1; }));
    daemon.settle();
}
