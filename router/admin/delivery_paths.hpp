// router/admin/delivery_paths.hpp — /v1/deliveries, and the move of one target's: what is pending. docs/operations.md describes it.
#pragma once

#include "router/admin/api.hpp"

namespace eventyard::router::admin {

// False: the path is none of these, and nothing was answered.
bool get_deliveries(Backend& backend, const Request& request, const Respond& respond);
bool act_on_deliveries(Backend& backend, const Request& request, const Respond& respond);
/// POST /v1/targets/{from}/move.
void move_deliveries(Backend& backend, const Request& request, const std::string& from, const Respond& respond);
/// Whether the path changes something.
[[nodiscard]] bool acts_on_deliveries(const std::string& path);

}  // namespace eventyard::router::admin
