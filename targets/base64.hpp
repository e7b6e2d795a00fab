// targets/base64.hpp — bytes as base64 text, with padding. Pure.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::targets {

[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace eventyard::targets
