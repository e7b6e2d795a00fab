// config/names.hpp — what rules, targets and buses may be called, and what comes later.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/fields.hpp"

namespace eventyard::config {

/// Names are 1 to 64 of A-Z a-z 0-9 . _ -; a rule's may also hold '/', to group rules by folder.
[[nodiscard]] bool is_name(std::string_view name, bool slash) noexcept;

/// Reports a name that is none. @param what  "a rule", "a target", "a bus"
void check_name(std::string_view name, const char* what, bool slash, const Place& place,
                Report& report);

/// "rules/orders.yaml:3" for messages that name a second place.
[[nodiscard]] std::string shown(const Place& place);

/// Reports those of `keys` that are there: features announced, not in this version. They are then
/// known to `fields`, so finish() says nothing more about them.
void refuse_later(Fields& fields, const Node& node, std::initializer_list<const char*> keys);

/// Reports that `key` is missing, unless it is there misspelt: then finish() suggests it.
void report_missing(const Node& map, const char* key, Report& report);

/// Where a key itself stands (Fields::place_of gives its value's place).
[[nodiscard]] const Place& key_place(const Node& map, std::string_view key) noexcept;

}  // namespace eventyard::config
