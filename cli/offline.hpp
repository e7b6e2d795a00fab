// cli/offline.hpp — looks into the data directory of a daemon that does not run, without changing it.
#pragma once

#include <string>

#include "router/audit.hpp"

namespace eventyard::cli {

/// The state is read from a copy in the directory for temporary files; the journal is recovered as a
/// start would, but in memory. Errc::conflict: a daemon uses the directory.
Result<router::AuditReport> audit_offline(const std::string& data_dir);

}  // namespace eventyard::cli
