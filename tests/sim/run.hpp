// tests/sim/run.hpp — one run of the simulator: what it is asked and what came of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/sim/coverage.hpp"

namespace eventyard::sim {

/// Mistakes put in on purpose, to see that they are found.
enum class Plant : std::uint8_t {
    none,
    sync_skipped,
    stale_frame,
    sequence_reused,
    released_unsynced,
    sync_retried,
    new_cursor_at_end,
    cursor_early,
    retry_dropped,
    key_overtaken,
    erase_unsynced,
    input_of_new_table,
    key_unsynced,
};
[[nodiscard]] const char* name_of(Plant plant) noexcept;
[[nodiscard]] std::optional<Plant> plant_of(const std::string& name);

struct RunOptions {
    std::uint64_t seed = 1;
    std::uint64_t steps = 500;
    Plant plant = Plant::none;
    std::function<void(const std::string&)> trace;  // a line a step; may be empty
};

struct RunResult {
    std::string fault;           // empty: the run was right
    std::uint64_t step = 0;      // of the fault, or of the end
    std::uint64_t hash = 0;      // of everything that happened, in order
    std::uint64_t lives = 0, events = 0, accepted = 0, taken = 0;
    Coverage coverage;
};

[[nodiscard]] RunResult run(const RunOptions& options);

}  // namespace eventyard::sim
