// cli/progress.hpp — how far a long step is, on a terminal only.
#pragma once

#include <cstdint>
#include <string>

#include "core/time.hpp"

namespace eventyard::cli {

/// Rewrites one line of standard error a few times a second, and removes it at the end. Does nothing
/// when standard error is no terminal. One thread.
class Progress {
public:
    /// @param total  0 when unknown
    Progress(std::string what, std::uint64_t total);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();
    /// Cheap: looks at the clock only now and then.
    void at(std::uint64_t done)
    {
        if (on_ && (++calls_ & 0xfffU) == 0) show(done);
    }
    /// Shows at once.
    void show(std::uint64_t done);

private:
    std::string what_;
    std::uint64_t total_;
    bool on_;
    std::uint32_t calls_ = 0;
    SteadyTime shown_{};
};

}  // namespace eventyard::cli
