// router/state/row_copy.hpp — copies the rows of a state file of any format into a new one: all that can be read.
//
// What is lost costs no more than it must: a target whose retries are incomplete loses the trust in its cursor, counts
// are taken anew from the rows, and what was redriven without a retry left is dead as before.
#pragma once

#include "core/result.hpp"
#include "router/state/sqlite.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

/// @param to  with the present tables, empty, in an open transaction
/// @returns whether everything was read. Fails only where `to` cannot be written
Result<bool> copy_rows(Database& from, int format, Database& to, StateReport& report);

}  // namespace eventyard::router
