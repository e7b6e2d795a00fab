// router/restore.hpp — makes a data directory of a backup. Offline.
//
// The restored pair gets a store id of its own: what the former daemon still has, or another restore of
// the same backup, is another journal from here on, and files of the two are never taken for a pair.
#pragma once

#include <string>

#include "core/disk.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/backup.hpp"
#include "router/journal/check.hpp"

namespace eventyard::router {

struct Restored {
    BackupManifest manifest;
    Id store;            // the new one
    JournalCheck check;  // of the restored journal, read whole
};

/// @param to  must not exist or be empty; on failure it is left so. Blocks. Errc::conflict: it is not
/// empty, or in use; not_found: no backup, or one of which a part is missing.
Result<Restored> restore_backup(Disk& disk, const Clock& clock, Random& random, const std::string& from,
                                const std::string& to);

}  // namespace eventyard::router
