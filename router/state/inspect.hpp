// router/state/inspect.hpp — what a state file says of itself, read without changing it.
#pragma once

#include <string>

#include "core/disk.hpp"
#include "core/ids.hpp"
#include "core/result.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

struct StateMarks {
    int format = 0;
    Id store;                // nil: not bound to a journal yet
    Sequence reserved = 0, synced = 0, routed_through = 0, counted_through = 0;
};

/// Of a file that no daemon has open. SQLite merges the log beside it in memory.
/// Errc::unsupported: a newer format; corrupt: not a state file, or damaged.
Result<StateMarks> inspect_state(Disk& disk, const std::string& path);

}  // namespace eventyard::router
