// config/rule_input.hpp — what a rule says that a target of it gets instead of the event.
#pragma once

#include <string_view>

#include "core/fields.hpp"
#include "router/input/input.hpp"

namespace eventyard::config {

/// @param node    {path: $.detail}, {constant: JSON} or {paths: {NAME: PATH}, template: TEXT}
/// @param source  the text of the file, where there is one: places inside a template are told from it
/// @returns an empty one after a mistake, which is reported
[[nodiscard]] router::Input read_input(const Node& node, std::string_view source, Report& report, SecretSource& secrets);

}  // namespace eventyard::config
