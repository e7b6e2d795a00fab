// cli/validators.hpp — what options that take a duration or a time must look like, told before a daemon is asked.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/rfc3339.hpp"
#include "core/units.hpp"

namespace eventyard::cli {

[[nodiscard]] inline CLI::Validator a_duration()
{
    return {[](std::string& text) {
                const auto duration = parse_duration(text);
                return duration && *duration > Duration{0} ? std::string{} : "must be a duration such as 90m or 7d";
            },
            ""};
}

[[nodiscard]] inline CLI::Validator a_time()
{
    return {[](std::string& text) {
                return parse_rfc3339(text) ? std::string{} : "must be a time such as 2026-11-25T08:00:00Z";
            },
            ""};
}

[[nodiscard]] inline CLI::Validator not_empty()
{
    return {[](std::string& text) { return text.empty() ? "must not be empty" : std::string{}; }, ""};
}

}  // namespace eventyard::cli
