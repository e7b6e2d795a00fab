// core/json_fault.hpp — where and why a text is not JSON.
//
// The fast walk in json.cpp only says yes or no. A text it refuses is read once more, byte by byte,
// for a person: the fault is the first byte at which no valid text can go on, or the end of the
// text where it must go on. Everything before that offset is the beginning of some valid text.
#pragma once

#include <string_view>

#include "core/json.hpp"

namespace eventyard::json {

/// Longest exponent of a number, without sign and leading zeros: comparing numbers exactly must
/// not overflow. The only texts of the grammar that are refused.
inline constexpr int exponent_digits_max = 18;

/// The first fault of `text`; only for texts that have one.
[[nodiscard]] SyntaxError find_fault(std::string_view text, const Limits& limits);

}  // namespace eventyard::json
