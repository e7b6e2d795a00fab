#include <atomic>
#include <mutex>

#include "tests/conformance/suite.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace eventyard::conformance {
namespace {

class WebhookHarness final : public Harness {
public:
    ReadTarget good(const std::string& timeout) override
    {
        return support::read_target(
            "webhook", R"({"url":")" + server_.url("/${test:" + secret + "}") + R"(","timeout":")" +
                           timeout + R"(","headers":{"Authorization":"${test:)" + secret +
                           R"(}"},"signing":{"secret":"whsec_aHVzaC1odXNoLXNlY3JldGh1c2gtaHVzaC1zZWNyZXQ="}})");
    }
    std::vector<Arrived> arrived() override
    {
        const std::lock_guard lock{mutex_};
        return arrived_;
    }
    void hang() override { hanging_ = true; }
    void resume() override { hanging_ = false; }
    ReadTarget unreachable() override
    {
        return support::read_target("webhook", R"({"url":"http://127.0.0.1:1/"})");
    }
    std::string unreachable_place() override { return "127.0.0.1:1"; }
    std::optional<ReadTarget> behind_silent_dns(const std::string& server,
                                                const std::string& timeout) override
    {
        return support::read_target("webhook", R"({"url":"http://silent.example/","timeout":")" +
                                                   timeout + R"(","dns_servers":[")" + server + "\"]}");
    }

private:
    support::HookReply serve(const support::HookRequest& request)
    {
        if (hanging_) return {"", false, true};
        const std::lock_guard lock{mutex_};
        if (request.header("eventyard-batch").empty())
            arrived_.push_back({request.header("webhook-id"), request.body});
        else
            for (const std::string& line : support::lines_of(request.body)) arrived_.push_back(from_envelope(line));
        return support::answer(200, "", request.head);  // echoes the secrets it was sent
    }
    std::mutex mutex_;
    std::vector<Arrived> arrived_;
    std::atomic<bool> hanging_{false};
    support::HookServer server_{[this](const support::HookRequest& r) { return serve(r); }};
};

}  // namespace

std::unique_ptr<Harness> webhook_harness() { return std::make_unique<WebhookHarness>(); }

}  // namespace eventyard::conformance
