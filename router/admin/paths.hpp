// router/admin/paths.hpp — what the admin paths share: answers as JSON, parameters of a query. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "router/admin/server.hpp"
#include "router/state/dead_letter.hpp"

namespace eventyard::router::admin {

[[nodiscard]] std::string dump(const nlohmann::json& value);
[[nodiscard]] Answer error_answer(unsigned status, const std::string& why);
[[nodiscard]] Answer failure(const Error& error);
/// Empty when not given.
[[nodiscard]] std::string query(const Request& request, const char* key);
[[nodiscard]] bool number(const std::string& text, std::int64_t& value);
/// `who` and `why` of the query.
[[nodiscard]] Act act_of(const Request& request);
/// Bytes as a string when they are UTF-8, else as base64 under `key` + "_base64".
void put_bytes(nlohmann::json& out, const std::string& key, const std::string& bytes);

}  // namespace eventyard::router::admin
