// cli/input.hpp — an event or a pattern named on the command line.
#pragma once

#include <string>

#include "core/result.hpp"

namespace eventyard::cli {

/// The text that an argument means: itself when it starts like JSON ('{' or '['), standard input
/// for "-", else the content of the file it names.
[[nodiscard]] Result<std::string> read_input(const std::string& argument);

/// Whether the argument is the text itself, so that reports call it by what it is.
[[nodiscard]] bool is_literal(const std::string& argument) noexcept;

}  // namespace eventyard::cli
