// router/journal/quarantine.hpp — what a start or a repair takes out of the journal, kept for people to look at.
//
// Everything goes to the folder `quarantine` below the journal's; nothing there is ever read or removed again.
#pragma once

#include <optional>
#include <string>

#include "core/disk.hpp"
#include "router/journal/judge.hpp"

namespace eventyard::router {

/// Moves a segment of another store out of the way; where to. None: it could not be moved.
std::optional<std::string> set_aside(Disk& disk, const std::string& directory, const std::string& segment);

/// Writes down the bytes of `segment` that make no sense, up to 64 MiB, as (offset, length, bytes); where. None: there
/// are none, or no space for them, which stops no start.
std::optional<std::string> keep_bad_bytes(Disk& disk, const std::string& directory, const std::string& segment, File& file,
                                          const Scan& scan, const Verdict& verdict);

/// Copies a segment as it is, durably; where to.
Result<std::string> keep_original(Disk& disk, const std::string& directory, const std::string& segment);

}  // namespace eventyard::router
