// router/reserve.hpp — space held back for the day when somebody else fills the disk.
//
// Ingest stops at journal.min_free, but another process may take what is left. Then cursors, retries and
// dead letters could not be stored, and lanes would stop. A file of zeros is given up at that moment,
// and made again, piece by piece, when there is room. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/disk.hpp"

namespace eventyard::router {

/// Bytes held back unless told otherwise.
inline constexpr std::uint64_t reserve_size = 16U << 20;

class Reserve {
public:
    /// @param min_free  as configured; 0: the default of the journal
    Reserve(Disk& disk, std::string directory, std::uint64_t min_free, std::uint64_t size = reserve_size);

    /// Once a tick.
    /// @param starved  the state cannot be written
    void tick(bool starved);
    /// Bytes held now.
    [[nodiscard]] std::uint64_t held() const noexcept { return held_; }

private:
    void give_up();
    void take_more(std::uint64_t spare);

    Disk& disk_;
    const std::string directory_, path_;
    const std::uint64_t min_free_, size_;
    std::unique_ptr<File> file_;  // while it is being made
    std::uint64_t held_ = 0;
};

}  // namespace eventyard::router
