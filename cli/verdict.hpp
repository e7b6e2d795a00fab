// cli/verdict.hpp — shows why a pattern matched an event or did not: for people and for scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json.hpp"
#include "core/report.hpp"
#include "rules/explain.hpp"

namespace eventyard::cli {

/// Lines of a table, one a field of the pattern, then the branches and array elements it took.
[[nodiscard]] std::string verdict_text(const rules::Explanation& explanation, std::size_t indent);

/// {"match","fields":[{"path","held","wanted","seen","witness","reason"}],"or_branches","elements"};
/// wanted and seen hold JSON text, so that number spellings survive.
[[nodiscard]] nlohmann::ordered_json verdict_json(const rules::Explanation& explanation);

/// What the fields seen so far make of it: how many do not hold.
[[nodiscard]] std::size_t failed_fields(const rules::Explanation& explanation) noexcept;

/// Parses an event; a mistake goes to the report, in `name`.
[[nodiscard]] bool parse_event(const std::string& text, const std::string& name,
                               json::Document& event, Report& report);

/// One line of JSON; bytes that are no UTF-8 (a lone surrogate) are replaced.
[[nodiscard]] std::string one_line(const nlohmann::ordered_json& value);

}  // namespace eventyard::cli
