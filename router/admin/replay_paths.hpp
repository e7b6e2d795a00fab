// router/admin/replay_paths.hpp — the admin paths below /v1/replays.
#pragma once

#include "router/admin/api.hpp"

namespace eventyard::router::admin {

inline const std::string replays_path = "/v1/replays";

[[nodiscard]] bool acts_on_replays(const std::string& path);
/// False: the path is none of these.
bool get_replays(Backend& backend, const Request& request, const Respond& respond);
bool act_on_replays(Backend& backend, const Request& request, const Respond& respond);

}  // namespace eventyard::router::admin
