// config/json_text.hpp — a located tree written as JSON text.
#pragma once

#include <string>

#include "core/node.hpp"

namespace eventyard::config {

/// One line; number text and repeated members are kept as they were read.
[[nodiscard]] std::string to_json(const Node& node);

}  // namespace eventyard::config
