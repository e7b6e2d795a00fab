// rules/warnings.hpp — the closed list of warnings about patterns (docs/patterns.md).
#pragma once

#include "core/node.hpp"

namespace eventyard::rules {

/// `{"amount": {"numeric": [">", 5]}}`: the list round the operator was forgotten.
void warn_of_forgotten_list(const Member& member, bool in_or, Report& report);
/// Items of one list that repeat each other, make each other pointless, or hold for every event.
void warn_of_items(const Node& list, Report& report);

}  // namespace eventyard::rules
