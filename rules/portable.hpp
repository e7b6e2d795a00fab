// rules/portable.hpp — where a pattern leaves what AWS EventBridge accepts or answers alike.
#pragma once

#include <string>
#include <vector>

#include "rules/pattern.hpp"

namespace eventyard::rules {

struct PortabilityNote {
    Place place;
    std::string row;      // the row of the table in docs/patterns.md, e.g. "row 6", "regex"
    bool refused = false; // true: AWS refuses the pattern; false: it may answer differently
    std::string message;
};

/// Whether a value of an event may be compared as a number. AWS does that by doubles, so its answer
/// differs for a number in an event that is none; the pattern alone cannot say whether one comes.
[[nodiscard]] bool compares_numbers(const Node& pattern);

/// Everything in the pattern that AWS would refuse or may answer differently.
[[nodiscard]] std::vector<PortabilityNote> portability(const Node& pattern);

}  // namespace eventyard::rules
