// cli/target_text.hpp — a target of /v1/status in the words of a table's cells.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace eventyard::cli {

/// "running", or "paused (why)".
[[nodiscard]] std::string state_text(const nlohmann::json& target);
/// "drains in 4m", "does not drain, oldest given up in 5h (max_age)", "nothing is due yet" where
/// all is delayed. Empty: nothing waits for longer than a moment.
[[nodiscard]] std::string forecast_text(const nlohmann::json& target);
/// "HTTP 503 (12m ago)": an error may be long past. Empty: there was none.
[[nodiscard]] std::string last_error_text(const nlohmann::json& target);

}  // namespace eventyard::cli
