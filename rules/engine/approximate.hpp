// rules/engine/approximate.hpp — a double near a JSON number, for telling most numbers apart quickly.
//
// Equal numbers have equal approximations, however they are written, and each lies within one unit in
// the last place of the number it stands for. So approximations further apart than apart() says are
// ordered as their numbers are; only closer ones need rules/decimal.hpp. This is cheaper than
// the nearest double: up to nineteen digits are read as one integer and scaled once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace eventyard::rules {

struct Approximate {
    double value = 0;
    bool in_range = true;  // false: beyond the doubles; `value` is infinite or 0, only the text decides
};

/// `number` follows JSON's grammar.
[[nodiscard]] Approximate approximate(std::string_view number) noexcept;
/// As above, for a number in a text that goes on, or has eight readable bytes after its end.
[[nodiscard]] Approximate approximate_padded(std::string_view number) noexcept;

/// Times a number's size: more than approximations of one number, or of two that are equal, are apart.
inline constexpr double approximate_slack = 1.0 / (std::uint64_t{1} << 49);

/// -1 or 1 when the numbers are surely below or above one another, else 0.
[[nodiscard]] inline int surely(double a, double b) noexcept
{
    const double distance = a - b;
    const double margin = std::max(std::abs(a), std::abs(b)) * approximate_slack;
    if (distance > margin) return 1;
    if (-distance > margin) return -1;
    return 0;
}

}  // namespace eventyard::rules
