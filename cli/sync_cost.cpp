#include "cli/sync_cost.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace eventyard::cli {
namespace {

constexpr std::size_t block = 4096;
// The quickest devices that keep their word (their cache outlives the power) take some 15 us for a write
// and its flush; a disk that turns takes a good part of a turn, 4 ms at 15,000 a minute.
constexpr std::chrono::microseconds least_flash{15};
constexpr std::chrono::microseconds least_rotating{1000};
constexpr std::chrono::milliseconds long_wait{20};

}  // namespace

SyncCost cost_of(std::vector<Duration> took)
{
    std::sort(took.begin(), took.end());
    const auto at = [&](std::size_t percent) { return took[(took.size() - 1) * percent / 100]; };
    return {took.size(), at(50), at(99), took.back()};
}

Result<SyncCost> measure_syncs(Disk& disk, const Clock& clock, const std::string& path, std::uint64_t appends)
{
    std::vector<Duration> took;
    const auto run = [&]() -> Result<void> {
        EVENTYARD_TRY(file, disk.open(path, OpenMode::create_new));
        const std::string zeros(block, '\0'), bytes(block, 'x');
        for (std::uint64_t i = 0; i < appends; ++i) EVENTYARD_CHECK(file->write_at(i * block, {zeros}));
        EVENTYARD_CHECK(file->sync_all());
        for (std::uint64_t i = 0; i < appends; ++i) {
            const SteadyTime begin = clock.steady();
            EVENTYARD_CHECK(file->write_at(i * block, {bytes}));
            EVENTYARD_CHECK(file->sync_data());
            took.push_back(clock.steady() - begin);
        }
        return {};
    };
    const auto done = run();
    if (disk.exists(path)) EVENTYARD_CHECK(disk.unlink(path));
    if (!done.has_value()) return done.error();
    return cost_of(std::move(took));
}

std::string in_microseconds(Duration time)
{
    return fmt::format("{:.0f} us", static_cast<double>(time.count()) * 1e-3);
}

std::string doubt(const SyncCost& cost, const Device& device)
{
    if (device.memory) return {};
    if (cost.median < least_flash)
        return "a sync takes " + in_microseconds(cost.median) +
               ", less than devices are known to need: perhaps a layer below does not pass syncs on. Whether what was "
               "synced outlives a power cut cannot be told from here";
    if (device.rotating && cost.median < least_rotating)
        return "a sync takes " + in_microseconds(cost.median) +
               " on a device that says it rotates, less than a turn: something keeps the writes in a cache. If that "
               "cache does not outlive a power cut, what was answered 202 may be lost in one";
    return {};
}

bool slow(const SyncCost& cost) noexcept { return cost.median > long_wait; }

}  // namespace eventyard::cli
