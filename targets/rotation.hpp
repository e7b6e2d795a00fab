// targets/rotation.hpp — when a file is set aside, under which name, and which old ones go. Pure.
//
// "audit.jsonl" becomes "audit.jsonl.20261123T083000Z.1", compressed "audit.jsonl.20261123T083000Z.1.zst".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace eventyard::targets {

struct Rotation {
    std::uint64_t max_size = 0;  // bytes; 0: not by size
    Duration every{0};           // 0: not by time
    std::uint32_t keep = 0;      // rotated files; 0: all
    bool compress = false;       // with zstd
};

/// The UTC boundary a time falls behind: whole hours for 1h, midnights for 24h.
[[nodiscard]] WallTime period_start(WallTime time, Duration every);

/// Asked before each write. An empty file is never rotated.
/// @param since  period_start of what the file holds
[[nodiscard]] bool rotation_due(const Rotation& rotation, std::uint64_t size, std::uint64_t adding,
                                WallTime since, WallTime now);

struct RotatedFile {
    std::string name;
    std::string stamp;           // "20261123T083000Z"
    std::uint64_t number = 0;
    bool compressed = false;
};

/// A name not among `names`, compressed or not.
[[nodiscard]] std::string rotated_name(std::string_view base, WallTime now,
                                       const std::vector<std::string>& names);
/// The rotated files of `base` among `names`, oldest first. Anything else is left alone.
[[nodiscard]] std::vector<RotatedFile> rotated_files(std::string_view base,
                                                     const std::vector<std::string>& names);

}  // namespace eventyard::targets
