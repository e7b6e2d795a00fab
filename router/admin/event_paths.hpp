// router/admin/event_paths.hpp — the admin paths of single events: erasing one. Pure.
#pragma once

#include "router/admin/api.hpp"

namespace eventyard::router::admin {

[[nodiscard]] bool acts_on_events(const std::string& path);
/// False: another path's.
bool act_on_events(Backend& backend, const Request& request, const Respond& respond);

}  // namespace eventyard::router::admin
