// targets/json_lines.hpp — one delivery as one line of JSON. Pure.
#pragma once

#include <string>

#include "targets/target.hpp"

namespace eventyard::targets {

/// The event's body on one line, with its line feed; line breaks between its tokens become blanks
/// (inside strings JSON has none).
/// @param envelope  {"delivery","id","rule","bus","received","event"} around it
void append_json_line(std::string& out, const Delivery& delivery, bool envelope);
[[nodiscard]] std::string to_json_line(const Delivery& delivery, bool envelope);

}  // namespace eventyard::targets
