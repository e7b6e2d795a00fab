// core/time.hpp — time and chance as arguments.
//
// Decisions take the time and a random draw from these interfaces, so tests and the simulator can
// own both. Only SystemClock and SystemRandom ask the machine; a test refuses other `::now()` calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace eventyard {

using Duration = std::chrono::nanoseconds;
/// Monotonic; means nothing outside this process. Deadlines and backoff.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// UTC; may jump. Stored and shown.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual SteadyTime steady() const noexcept = 0;
    [[nodiscard]] virtual WallTime wall() const noexcept = 0;
};

/// The machine's clocks. Thread-safe.
class SystemClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override;
    [[nodiscard]] WallTime wall() const noexcept override;
};

class Random {
public:
    virtual ~Random() = default;
    [[nodiscard]] virtual std::uint64_t next() noexcept = 0;
    /// Uniform in [0, 1).
    [[nodiscard]] double unit() noexcept
    {
        return static_cast<double>(next() >> 11) * 0x1.0p-53;
    }
};

/// Draws seeded from the kernel; thread-safe (state per thread).
class SystemRandom final : public Random {
public:
    [[nodiscard]] std::uint64_t next() noexcept override;
};

/// A repeatable sequence (splitmix64) for tests and the simulator. Not thread-safe.
class SeededRandom final : public Random {
public:
    explicit SeededRandom(std::uint64_t seed) noexcept : state_(seed) {}
    [[nodiscard]] std::uint64_t next() noexcept override;

private:
    std::uint64_t state_;
};

/// RFC 3339 in UTC with milliseconds, e.g. "2026-11-23T08:30:00.123Z".
[[nodiscard]] std::string to_rfc3339(WallTime time);

}  // namespace eventyard
