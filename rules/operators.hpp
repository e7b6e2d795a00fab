// rules/operators.hpp — a leaf list read from its tree; one table row an operator.
#pragma once

#include <string>
#include <string_view>

#include "core/node.hpp"
#include "rules/pattern_body.hpp"

namespace eventyard::rules {

/// Fills everything of `field` but its path from the list `items`. Mistakes go to `report`.
void read_items(const Node& items, Field& field, Report& report);

/// Whether `name` is an operator of a leaf list, such as "prefix".
[[nodiscard]] bool is_operator(std::string_view name) noexcept;
/// Whether a field inside `$or` may not be called so.
[[nodiscard]] bool is_reserved_in_or(std::string_view name) noexcept;

/// `node` as compact JSON; numbers as written.
[[nodiscard]] std::string to_json(const Node& node);

}  // namespace eventyard::rules
