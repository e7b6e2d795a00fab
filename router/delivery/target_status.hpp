// router/delivery/target_status.hpp — what status and metrics say about one target.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "router/budget.hpp"
#include "router/delivery/forecast.hpp"
#include "router/delivery/lane_counters.hpp"
#include "router/journal/record.hpp"
#include "router/state/state.hpp"
#include "router/target_spec.hpp"
#include "targets/target.hpp"

namespace eventyard::router {

enum class TargetState : std::uint8_t {
    running,
    failing,   // looks down: probed, nothing else is sent
    paused,    // by an operator or by the target (410); see paused_reason
    orphaned,  // not configured any more: its pending deliveries are kept
};
[[nodiscard]] const char* text_of(TargetState state) noexcept;

struct Drain {
    std::uint64_t left = 0;            // deliveries until the target is paused
    std::string reason;
};

struct TargetStatus {
    std::string name;
    std::string kind;                  // empty when orphaned since before the start
    std::string address;
    TargetState state = TargetState::running;
    std::string paused_reason;
    std::optional<Drain> drain;        // it drains: nothing newer than that is sent
    std::string drains_to;             // renamed: what was pending under this name goes to that target
    Sequence cursor = 0;               // everything up to here has ended or waits for a retry
    Sequence seen = 0;                 // commits its thread was told of
    Pending pending;
    std::uint64_t forwards_waiting = 0;// known copies of other targets' dead letters it has to take
    std::uint64_t in_flight = 0;       // attempts, copies included
    std::uint64_t uncommitted = 0;     // settled, not durable yet: with in_flight, what a crash may repeat
    std::uint64_t window = 0;          // deliveries in memory
    std::uint64_t dead_letters_at_start = 0;
    std::uint32_t consecutive_failures = 0;
    Breaker breaker = Breaker::closed;
    std::size_t parked_keys = 0;       // of an ordered target: with a delivery that failed
    std::size_t keys_on_hold = 0;      // of them: until an operator releases them
    bool parked_full = false;          // so many that nothing new is sent
    RateLimit rate;
    Duration rate_waits{0};            // until the next attempt may start
    Budget budget;
    std::optional<std::uint64_t> budget_used; // bytes that wait, at most; none: there is no budget, or it was not measured yet
    bool over_budget = false;
    Forecast forecast;
    LaneCounters counters;
    /// How its deliveries had ended when all of this was so: whatever was routed by events up to `seen` is among them
    /// or pending. None: the state could not tell.
    std::optional<std::vector<LedgerRow>> ledger;
    std::vector<targets::StatusItem> items;
};

}  // namespace eventyard::router
