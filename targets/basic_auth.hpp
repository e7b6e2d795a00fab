// targets/basic_auth.hpp — the value of an HTTP Basic Authorization header. Pure.
#pragma once

#include <string>

#include "core/secret.hpp"

namespace eventyard::targets {

/// "Basic " and the base64 of user:password. The user must not hold a ':'.
[[nodiscard]] Secret basic_auth(const std::string& user, const std::string& password);

}  // namespace eventyard::targets
