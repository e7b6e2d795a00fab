// cli/redrives.hpp — redrives as a daemon tells of them: one followed to its end, or all in a table.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/admin_client.hpp"

namespace eventyard::cli {

struct RedriveOptions {
    double per_second = 100;
    bool wait = true;
    std::int64_t id = 0;
};

// All give the exit code.

/// @param job  as POST /v1/dead-letters/redrive answers
int follow_redrive(const AdminOptions& admin, const nlohmann::json& job, bool wait);
int follow_redrive(const AdminOptions& admin, std::int64_t id);
int list_redrives(const AdminOptions& admin);
/// @param act  "who=...&why=..."
int cancel_redrive(const AdminOptions& admin, std::int64_t id, const std::string& act);

}  // namespace eventyard::cli
