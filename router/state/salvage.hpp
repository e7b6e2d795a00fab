// router/state/salvage.hpp — a usable state file from whatever lies at its path.
//
// A damaged file is read through the page checksums, so what comes out was written by us; the rest
// is named in the report. The old file is kept beside the new one under another name.
#pragma once

#include <memory>
#include <string>

#include "router/state/store.hpp"

namespace eventyard::router {

struct OpenedStore {
    std::unique_ptr<Store> store;
    StateReport report;
    StateSnapshot snapshot;  // by open_or_salvage(): of the store
};

/// Opens, creates, brings an older format to the present one (a copy; the former file stays beside it
/// under another name), or sets aside and salvages. Any crash on the way leaves a state that the next
/// call handles: the new file takes its name only when it is complete.
/// @param now  stamps the name of a file set aside
Result<OpenedStore> open_or_salvage(Disk& disk, const std::string& path, WallTime now);

/// Sets a good file aside and starts an empty one; `store` is closed.
Result<OpenedStore> start_over(Disk& disk, const std::string& path, WallTime now, std::unique_ptr<Store> store,
                               std::string why);

}  // namespace eventyard::router
