// router/admin/audit_json.hpp — an audit for GET /v1/audit and `eventyard audit --json`. Pure.
#pragma once

#include <string>

#include "router/audit.hpp"

namespace eventyard::router::admin {

[[nodiscard]] std::string audit_json(const AuditReport& report);

}  // namespace eventyard::router::admin
