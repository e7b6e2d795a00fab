// router/state/fingerprint.hpp — error texts without what differs from one to the next.
//
// Two failures with one reason should read alike: numbers, ids, hexadecimal, addresses and times
// become '#'. What HTTP answered ("HTTP 503") stays. Pure.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::router {

inline constexpr std::size_t fingerprint_max = 160;  // bytes

/// @param detail    the attempt's error, e.g. "HTTP 400"
/// @param response  first bytes of the answer, which often say more
[[nodiscard]] std::string fingerprint(std::string_view detail, std::string_view response);

}  // namespace eventyard::router
