// cli/target_moves.hpp — `eventyard targets move`: pending deliveries of one target go on as another's.
#pragma once

#include <string>

#include "cli/admin_client.hpp"

namespace eventyard::cli {

struct MoveOptions {
    std::string from, to;
    std::string rule, id, older_than;    // empty: any
    std::string who, why;
    bool yes = false, dry_run = false;
};

/// @returns the exit code
int move_deliveries(const AdminOptions& admin, const MoveOptions& options);

}  // namespace eventyard::cli
