// router/delivery/hands_on.hpp — what an operator does to single pending deliveries, and what is to be seen of them.
//
// An act names its deliveries by key; where each is by now, in the window, on disk or in a row, only its lane can tell.
// A move has two lanes: the one that takes over expects the keys first, the one that gives makes the change durable,
// and then the other gets the rows. So whatever it reads of the state meanwhile, no delivery is met twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "router/state/state.hpp"

namespace eventyard::router {

struct PendingDelivery {
    enum class State : std::uint8_t { waiting, in_flight, retry, delayed, held };
    std::string target, rule;
    Id event;
    DeliveryKey key;
    State state = State::waiting;
    std::uint32_t attempts = 0;          // made so far, those before a redrive included
    std::optional<WallTime> due;         // of the next attempt, where that has a time
    WallTime received{};                 // as the target's max_age counts: the event's, or of the redrive
    bool redriven = false;
    WallTime expires = WallTime::max();  // as of a RetryRow
    std::string routed_to{};             // as of a RetryRow
    bool row = false;                    // read as one
};
[[nodiscard]] const char* text_of(PendingDelivery::State state) noexcept;

/// What a lane says of its deliveries, of one moment.
struct LaneView {
    std::string target;
    Sequence seen = 0;
    CursorMoved position;                // above its cursor and not settled: pending, without a row
    bool has_fresh = false;              // there are such
    std::vector<DeliveryKey> in_flight;  // ascending, with and without rows
    std::vector<DeliveryKey> behind;     // ascending: wait in memory behind a delivery of their order key
};

enum class DeliveryAct : std::uint8_t {
    discard,    // ends it as discarded_operator
    retry_now,  // makes its retry, or its first attempt that a rule delays, due
    move,       // it goes on as another target's
};

struct PickedDelivery {
    DeliveryKey key;
    std::string rule;
    Id event{};                              // what a row of it needs, for a move
    WallTime expires = WallTime::max();
    bool row = false;                        // it was read as a row: once that is gone it is over, here at least
};

/// What became of those picked; what is not counted had ended, or there was nothing to do.
struct Acted {
    std::uint64_t done = 0;
    std::uint64_t in_flight = 0;         // discard: ends when its attempt does, unless that succeeds; move: stays
    std::uint64_t held = 0;              // retry_now: waits behind its order key all the same
    std::uint64_t no_room = 0;           // too much has ended above the cursor already, see WindowLimits
    std::vector<RetryRow> moved;         // as the other target has them
    std::vector<PickedDelivery> again;   // they changed meanwhile, or much else is not durable yet: pick them once more
};

}  // namespace eventyard::router
