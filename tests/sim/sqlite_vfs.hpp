// tests/sim/sqlite_vfs.hpp — SQLite's files on a simulated disk.
//
// A VFS over core/disk.hpp that does what SQLite's own for Unix does: the same calls in the same
// order, a directory synced after a new journal or log. Registered as the default one, so that the
// production's page checksums wrap it as they wrap the real one. One thread.
#pragma once

#include "core/disk.hpp"

namespace eventyard::sim {

/// Databases opened from now on lie on this disk; chance comes from `random`. Resets SQLite's own chance.
void attach_sqlite(Disk& disk, Random& random);

}  // namespace eventyard::sim
