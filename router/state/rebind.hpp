// router/state/rebind.hpp — makes a copy of a state the state of another store, with all it knows.
#pragma once

#include <string>

#include "core/disk.hpp"
#include "core/ids.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard::router {

/// For a journal that was copied with it and given the same new id. An older format is brought to this
/// one on the way. Errc::corrupt: the file is damaged; it is moved aside then, as a start would.
Result<void> rebind_state(Disk& disk, const Clock& clock, const std::string& path, const Id& store);

}  // namespace eventyard::router
