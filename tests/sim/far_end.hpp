// tests/sim/far_end.hpp — simulated targets: every attempt waits until the world answers it.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/target_spec.hpp"

namespace eventyard::sim {

/// One attempt under way.
struct Flight {
    std::string target;                     // the name it is configured under
    std::string of;                         // the delivery's target: another one for a dead-letter copy
    std::string rule;
    Id event;
    std::uint64_t number = 0;
    SteadyTime started{};
    std::function<void(targets::Outcome)> answer;  // once
};

/// All attempts of one life, and what is told of them.
struct FarSide {
    const Clock* clock = nullptr;
    std::function<void(Flight&)> arrived;   // a request is on its way
    std::vector<Flight> flights;
    std::uint64_t made = 0;

    /// Ends an attempt without an answer: its target was closed.
    void drop(std::uint64_t number)
    {
        for (auto at = flights.begin(); at != flights.end(); ++at) {
            if (at->number != number) continue;
            const auto answer = std::move(at->answer);
            flights.erase(at);
            targets::Outcome outcome;
            outcome.cause = targets::Cause::internal;
            return answer(outcome);
        }
    }
};

class SimTarget final : public targets::Target {
public:
    SimTarget(FarSide& far, targets::TargetContext context) : far_(far), context_(std::move(context)) {}

    targets::Task<targets::Outcome> deliver(const targets::Delivery& delivery) override
    {
        using Token = boost::asio::use_awaitable_t<targets::Executor>;
        Flight flight{context_.name, std::string{delivery.target}, std::string{delivery.rule}, delivery.event.id,
                      ++far_.made, far_.clock->steady(), {}};
        const std::uint64_t number = flight.number;
        open_.push_back(number);
        auto start = [this, &flight](auto handler) {
            const auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
            flight.answer = [this, waiting](targets::Outcome outcome) {
                boost::asio::post(context_.io, [waiting, outcome = std::move(outcome)]() mutable {
                    std::move (*waiting)(std::move(outcome));
                });
            };
            far_.flights.push_back(flight);
            far_.arrived(far_.flights.back());
        };
        Token token;
        auto outcome = co_await boost::asio::async_initiate<Token, void(targets::Outcome)>(start, token);
        std::erase(open_, number);
        co_return outcome;
    }
    void close() override
    {
        for (const std::uint64_t number : std::vector<std::uint64_t>{open_}) far_.drop(number);
    }

private:
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
