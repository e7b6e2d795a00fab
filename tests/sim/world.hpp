// tests/sim/world.hpp — the router in a world of its own: one seed, one run.
//
// The world owns time, chance, the disk, the targets and the order in which everything happens. A run
// is a number of steps, each of which is drawn from the seed and traced; then all faults stop, and
// everything has to come to an end. What is checked, and by whom, says book.hpp.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/pipeline.hpp"
#include "tests/sim/book.hpp"
#include "tests/sim/coverage.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/far_end.hpp"
#include "tests/sim/threads.hpp"

namespace eventyard::sim {

class SimClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override { return steady_; }
    [[nodiscard]] WallTime wall() const noexcept override { return wall_; }
    void pass(Duration time) noexcept
    {
        steady_ += time;
        if (!wall_stands) wall_ += time;
    }
    void jump(Duration time) noexcept { wall_ += time; }
    bool wall_stands = false;

private:
    SteadyTime steady_{std::chrono::hours{1000}};
    WallTime wall_{std::chrono::hours{500'000}};
};

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
