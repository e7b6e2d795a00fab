// config/quotable.hpp — what reports may quote of a settings file: its keys, and values that are known to be no secrets.
//
// Reports quote the line of a mistake, and the mistake may be why a secret is not known to be one: a key misspelt, at a
// wrong place, or a line that is no YAML. So it is decided by the text alone, before anything is read.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::config {

/// YAML or JSON with every other value, and every comment, in stars. Lines and columns stay where they are.
[[nodiscard]] std::string quotable(std::string_view text);

}  // namespace eventyard::config
