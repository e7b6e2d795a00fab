// tests/sim/far_end.hpp — simulated targets: every request waits until the world answers it.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "router/target_spec.hpp"

namespace eventyard::sim {

/// One delivery of a request.
struct Part {
    std::string of;                         // the delivery's target: another one for a dead-letter copy
    std::string rule;
    Id event;
    std::string id;                         // as the target is told
    std::string body;
};

/// One request under way.
struct Flight {
    std::string target;                     // the name it is configured under
    std::vector<Part> parts;
    bool batch = false;
    std::uint64_t number = 0;
    SteadyTime started{};
    std::function<void(std::vector<targets::Outcome>)> answer;  // once
};

/// All requests of one life, and what is told of them.
struct FarSide {
    const Clock* clock = nullptr;
    std::function<void(Flight&)> arrived;   // a request is on its way
    std::vector<Flight> flights;
    std::uint64_t made = 0;

    /// Ends a request without an answer: its target was closed.
    void drop(std::uint64_t number)
    {
        for (auto at = flights.begin(); at != flights.end(); ++at) {
            if (at->number != number) continue;
            const auto answer = std::move(at->answer);
            flights.erase(at);
            targets::Outcome outcome;
            outcome.cause = targets::Cause::internal;
            return answer({outcome});
        }
    }
};

class SimTarget final : public targets::Target {
public:
    SimTarget(FarSide& far, targets::TargetContext context) : far_(far), context_(std::move(context)) {}

    targets::Task<targets::Outcome> deliver(const targets::Delivery& delivery) override
    {
        auto answer = request({&delivery, 1}, false);
        auto outcomes = co_await std::move(answer);
        co_return outcomes.front();
    }
    targets::Task<std::vector<targets::Outcome>> deliver_batch(std::span<const targets::Delivery> deliveries) override
    {
        return request(deliveries, true);
    }
    void close() override
    {
        for (const std::uint64_t number : std::vector<std::uint64_t>{open_}) far_.drop(number);
    }

private:
    targets::Task<std::vector<targets::Outcome>> request(std::span<const targets::Delivery> deliveries, bool batch)
    {
        using Outcomes = std::vector<targets::Outcome>;
        using Token = boost::asio::use_awaitable_t<targets::Executor>;
        Flight flight{context_.name, {}, batch, ++far_.made, far_.clock->steady(), {}};
        for (const targets::Delivery& one : deliveries)
            flight.parts.push_back({std::string{one.target}, std::string{one.rule}, one.event.id, std::string{one.id},
                                    one.event.body});
        const std::uint64_t number = flight.number;
        open_.push_back(number);
        auto start = [this, &flight](auto handler) {
            const auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
            flight.answer = [this, waiting](Outcomes outcomes) {
                boost::asio::post(context_.io, [waiting, outcomes = std::move(outcomes)]() mutable {
                    std::move (*waiting)(std::move(outcomes));
                });
            };
            far_.flights.push_back(flight);
            far_.arrived(far_.flights.back());
        };
        Token token;
        auto outcomes = co_await boost::asio::async_initiate<Token, void(Outcomes)>(start, token);
        std::erase(open_, number);
        co_return outcomes;
    }

    FarSide& far_;
    targets::TargetContext context_;
    std::vector<std::uint64_t> open_;
};

class SimBlueprint final : public targets::Blueprint {
public:
    SimBlueprint(std::shared_ptr<FarSide> far, std::string settings, std::string address)
        : far_(std::move(far)), settings_(std::move(settings)), address_(std::move(address))
    {
    }
    std::unique_ptr<targets::Target> make(targets::TargetContext context) const override
    {
        return std::make_unique<SimTarget>(*far_, std::move(context));
    }
    std::string fingerprint() const override { return settings_; }
    std::string address() const override { return address_; }

private:
    std::shared_ptr<FarSide> far_;
    std::string settings_, address_;
};

}  // namespace eventyard::sim
