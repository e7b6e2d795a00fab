// rules/engine/literals.hpp — texts that a value must hold for a wildcard or a regex to be true of it.
#pragma once

#include <re2/re2.h>

#include <string>

namespace eventyard::rules {

/// What every string that the regex matches as a whole begins with; empty when nothing is known.
[[nodiscard]] std::string required_prefix(const re2::RE2& regex);

/// The longest text that every such string holds somewhere; empty when nothing is known. Only plain
/// characters in a row outside any group, class, alternative or repetition are seen.
[[nodiscard]] std::string required_piece(const re2::RE2& regex);

}  // namespace eventyard::rules
