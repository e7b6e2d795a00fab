// config/hidden.hpp — what of a target's settings no report may quote, also where it is misspelt or misplaced.
//
// Settings are read one by one, and a mistake may end that before a secret is known to be one. So whatever stands below
// a kind is a secret unless its key is known to be none.
#pragma once

#include "core/node.hpp"
#include "core/report.hpp"

namespace eventyard::config {

/// @param target    the whole entry
/// @param policies  keys that every target may have; what stands there is no secret
void hide_settings(const Node& target, const std::vector<std::string>& policies, Report& report);

}  // namespace eventyard::config
