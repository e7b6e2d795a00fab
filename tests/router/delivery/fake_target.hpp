// tests/router/delivery/fake_target.hpp — a target whose behaviour a test can set while it runs.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "router/target_spec.hpp"

namespace eventyard::router::testing {

/// The far end: what arrived, and how it answers. Shared by all Targets made for it; thread-safe.
struct Receiver {
    enum class Mode : int { ok, fail, refuse, reject, hang, gone, flap };
    std::atomic<Mode> mode{Mode::ok};
    std::atomic<bool> dead{false};        // the process "crashed": nothing arrives any more
    std::atomic<int> delay_ms{0};
    std::atomic<std::uint64_t> attempts{0}, in_flight{0}, most_in_flight{0};
    std::atomic<int> made{0}, closed{0}, reopened{0};
    std::atomic<std::uint64_t> requests{0}, largest{0};  // and the deliveries of the largest
    std::string poison;                   // a body that is refused, and whatever comes with it; set before the start

    /// By delivery id: how often it was taken.
    [[nodiscard]] std::map<std::string, int> taken() const
    {
        const std::lock_guard lock(mutex);
        return by_id;
    }
    [[nodiscard]] std::vector<Sequence> order() const
    {
        const std::lock_guard lock(mutex);
        return sequences;
    }
    [[nodiscard]] std::size_t distinct() const
    {
        const std::lock_guard lock(mutex);
        return by_id.size();
    }
    bool take(const targets::Delivery& delivery)
    {
        const std::lock_guard lock(mutex);
        if (dead) return false;
        ++by_id[std::string{delivery.id}];
        sequences.push_back(delivery.sequence);
        return true;
    }
    void crash()
    {
        const std::lock_guard lock(mutex);
        dead = true;
    }

    mutable std::mutex mutex;
    std::map<std::string, int> by_id;
    std::vector<Sequence> sequences;
};

class FakeTarget final : public targets::Target {
public:
    FakeTarget(std::shared_ptr<Receiver> receiver, targets::TargetContext context)
        : receiver_(std::move(receiver)), context_(std::move(context))
    {
        ++receiver_->made;
    }
    targets::Task<targets::Outcome> deliver(const targets::Delivery& delivery) override
    {
        auto answer = request({&delivery, 1});
        co_return co_await std::move(answer);
    }
    targets::Task<std::vector<targets::Outcome>> deliver_batch(std::span<const targets::Delivery> deliveries) override
    {
        auto answer = request(deliveries);
        std::vector<targets::Outcome> outcomes;
        outcomes.push_back(co_await std::move(answer));
        co_return outcomes;
    }
    void reopen() override { ++receiver_->reopened; }
    void close() override
    {
        ++receiver_->closed;
        closed_ = true;
        for (Timer* timer : timers_) timer->cancel();
    }

private:
    targets::Task<targets::Outcome> request(std::span<const targets::Delivery> deliveries)
    {
        using targets::Cause;
        using targets::Verdict;
        Receiver& far = *receiver_;
        const std::uint64_t attempt = far.attempts += deliveries.size();
        ++far.requests;
        for (auto most = far.largest.load(); deliveries.size() > most;)
            if (far.largest.compare_exchange_weak(most, deliveries.size())) break;
        const std::uint64_t flying = ++far.in_flight;
        for (auto most = far.most_in_flight.load(); flying > most;)
            if (far.most_in_flight.compare_exchange_weak(most, flying)) break;
        targets::Outcome outcome;
        outcome.latency = std::chrono::milliseconds{1};
        const Receiver::Mode mode = far.mode;
        if (far.dead || mode == Receiver::Mode::hang) co_await wait(std::chrono::hours{1});
        else if (const int delay = far.delay_ms; delay > 0) co_await wait(std::chrono::milliseconds{delay});
        --far.in_flight;
        if (closed_) {
            outcome.cause = Cause::internal;
            co_return outcome;
        }
        switch (mode) {
            case Receiver::Mode::fail: outcome.cause = Cause::status; outcome.status = 503; outcome.detail = "HTTP 503"; break;
            case Receiver::Mode::refuse: outcome.cause = Cause::connect; outcome.detail = "connect: refused"; break;
            case Receiver::Mode::reject:
                outcome = {Verdict::reject, Cause::status, 400, "HTTP 400", "bad", {}, outcome.latency};
                break;
            case Receiver::Mode::gone:
                outcome = {Verdict::pause, Cause::status, 410, "HTTP 410", {}, {}, outcome.latency};
                break;
            case Receiver::Mode::flap:
                if (attempt % 3 == 0) {
                    outcome.cause = Cause::lost;
                    outcome.detail = "connection lost";
                    break;
                }
                [[fallthrough]];
            default:
                for (const targets::Delivery& one : deliveries)
                    if (!far.poison.empty() && one.event.body == far.poison) {
                        outcome = {Verdict::reject, Cause::status, 422, "HTTP 422", "poison", {}, outcome.latency};
                        co_return outcome;
                    }
                outcome.verdict = Verdict::delivered;
                outcome.cause = Cause::none;
                for (const targets::Delivery& one : deliveries)
                    if (!far.take(one)) outcome = {Verdict::retry, Cause::internal, 0, {}, {}, {}, outcome.latency};
        }
        co_return outcome;
    }

    using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                                    targets::Executor>;
    targets::Task<void> wait(std::chrono::milliseconds time)
    {
        Timer timer{context_.io};
        timer.expires_after(time);
        timers_.insert(&timer);
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable_t<targets::Executor>{}));
        timers_.erase(&timer);
    }

    std::shared_ptr<Receiver> receiver_;
    targets::TargetContext context_;
    std::set<Timer*> timers_;
    bool closed_ = false;
};

class FakeBlueprint final : public targets::Blueprint {
public:
    FakeBlueprint(std::shared_ptr<Receiver> receiver, std::string settings, std::string address)
        : receiver_(std::move(receiver)), settings_(std::move(settings)), address_(std::move(address))
    {
    }
    std::unique_ptr<targets::Target> make(targets::TargetContext context) const override
    {
        return std::make_unique<FakeTarget>(receiver_, std::move(context));
    }
    std::string fingerprint() const override { return settings_; }
    std::string address() const override { return address_; }

private:
    std::shared_ptr<Receiver> receiver_;
    std::string settings_, address_;
};

}  // namespace eventyard::router::testing
