// cli/sync_cost.hpp — what one fdatasync costs where the journal would lie, and whether to believe it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

struct SyncCost {
    std::uint64_t appends = 0;
    Duration median{0}, p99{0}, max{0};
};

/// Sorts what was measured. @param took  not empty
[[nodiscard]] SyncCost cost_of(std::vector<Duration> took);

/// Writes a file of zeros at `path`, which must not exist, then overwrites it as the journal does a
/// segment: 4 KiB, fdatasync, again. Removes the file.
Result<SyncCost> measure_syncs(Disk& disk, const Clock& clock, const std::string& path, std::uint64_t appends = 100);

/// What the device tells of itself; for judging.
struct Device {
    bool memory = false;    // the file system keeps nothing: its syncs are free
    bool rotating = false;
};

/// Why such syncs are suspicious; empty when they are not. Pure.
[[nodiscard]] std::string doubt(const SyncCost& cost, const Device& device);

/// Whether a commit would wait long for its sync.
[[nodiscard]] bool slow(const SyncCost& cost) noexcept;

/// "187 us"
[[nodiscard]] std::string in_microseconds(Duration time);

}  // namespace eventyard::cli
