// router/admin/dead_letter_paths.hpp — /v1/dead-letters and /v1/redrives. docs/dead-letters.md describes them.
#pragma once

#include "router/admin/api.hpp"

namespace eventyard::router::admin {

// False: the path is none of these, and nothing was answered.
bool get_dead_letters(Backend& backend, const Request& request, const Respond& respond);
bool act_on_dead_letters(Backend& backend, const Request& request, const Respond& respond);
/// Whether the path changes something.
[[nodiscard]] bool acts_on_dead_letters(const std::string& path);

}  // namespace eventyard::router::admin
