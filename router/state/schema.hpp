// router/state/schema.hpp — the tables of state.db and how the file is opened.
//
// docs/adr/0004-state-in-sqlite.md says what each table is for. The format version stands in
// PRAGMA user_version; a newer one is refused, an older one is copied into a new file at start
// (salvage.hpp).
#pragma once

#include <string>

#include "core/disk.hpp"
#include "router/state/sqlite.hpp"

namespace eventyard::router {

inline constexpr int state_format = 6;
inline constexpr int state_application = 0x45595354;  // "EYST"

/// Looks at the first page without SQLite. Errc::unsupported: a newer format; corrupt: not a file
/// that create_state_file() made.
Result<void> check_header(Disk& disk, const std::string& path);

/// Opens an existing state file and makes the connection ours: WAL, synchronous=FULL, no automatic
/// checkpoints, checksummed pages. Reads page 1, so a damaged one is found here.
/// @param salvage  only to read what is left: nothing is written, not even a checkpoint at the end
Result<Database> open_state_file(const std::string& path, bool salvage);

/// Makes a state file with empty tables; `path` must not exist. Mode 0640. Durable on return,
/// except for its name (sync the directory).
Result<void> create_state_file(Disk& disk, const std::string& path, int format = state_format);

/// Errc::unsupported: a newer format. Errc::corrupt: not a state file, or its tables are not ours.
Result<void> check_schema(Database& database, int format = state_format);

/// What page 1 says, without SQLite; 0: it cannot be told.
int stored_format(Disk& disk, const std::string& path);

/// Page 1 of an empty state file, its header adapted to a file of `pages` pages: the tables' roots
/// are always the same in one format, so it leads to the tables of a file whose own page 1 is damaged.
Result<std::string> rebuilt_page_one(Disk& disk, const std::string& scratch_path, std::uint64_t pages,
                                     int format = state_format);

}  // namespace eventyard::router
