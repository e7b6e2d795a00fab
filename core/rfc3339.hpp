// core/rfc3339.hpp — reads a time as people and events write it. See to_rfc3339() in time.hpp for the other way. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "core/time.hpp"

namespace eventyard {

/// None: not a timestamp of RFC 3339. A time that WallTime cannot hold becomes the nearest it can; a leap second
/// counts as the second after it.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text) noexcept;

}  // namespace eventyard
