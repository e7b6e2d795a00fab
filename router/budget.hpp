// router/budget.hpp — how much of the disk may wait for one target, and what happens beyond. See docs/delivery.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace eventyard::router {

enum class Overflow : std::uint8_t {
    dead_letter_oldest,  // what is older than the newest `bytes` ends in a dead letter
    refuse_new,          // events routed to the target are refused until it is within its budget again
};

[[nodiscard]] constexpr const char* text_of(Overflow overflow) noexcept
{
    return overflow == Overflow::refuse_new ? "refuse_new" : "dead_letter_oldest";
}

/// Closed by a lane that is over its budget, asked by ingest. Thread-safe.
struct Gate {
    std::string target;
    std::uint64_t bytes = 0;                // the budget
    std::atomic<bool> closed{false};
};

struct Budget {
    std::uint64_t bytes = 0;                // of bodies that wait; 0: no limit
    Overflow overflow = Overflow::dead_letter_oldest;
    std::uint64_t dead_letters = 0;         // of bodies of its dead letters; beyond, the oldest are discarded
    std::shared_ptr<Gate> gate;             // of refuse_new
};

}  // namespace eventyard::router
