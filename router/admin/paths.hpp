// router/admin/paths.hpp — what the admin paths share: answers as JSON, parameters of a query. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "router/admin/server.hpp"
#include "router/state/dead_letter.hpp"

namespace eventyard::router::admin {

[[nodiscard]] std::string dump(const nlohmann::json& value);
[[nodiscard]] Answer error_answer(unsigned status, const std::string& why);
[[nodiscard]] Answer failure(const Error& error);
/// Empty when not given.
[[nodiscard]] std::string query(const Request& request, const char* key);
/// The sentence to refuse a request with that has a parameter which is not `known`, is empty or came twice; nothing when all is
/// well. A name misspelt, or a script's variable that is not set, would widen an act that cannot be undone. `after`,
/// `who` and `why` may be empty.
[[nodiscard]] std::string refused_parameters(const Request& request, const std::vector<std::string_view>& known);
/// For what changes something: `who` and `why` are known, too.
[[nodiscard]] std::string refused_parameters_of_act(const Request& request, std::vector<std::string_view> known = {});
/// Sets `value` when `key` is given; the sentence to refuse it with, or nothing.
[[nodiscard]] std::string read_flag(const Request& request, const char* key, bool& value);
[[nodiscard]] bool number(const std::string& text, std::int64_t& value);
/// `who` and `why` of the query.
[[nodiscard]] Act act_of(const Request& request);
/// Bytes as a string when they are UTF-8, else as base64 under `key` + "_base64".
void put_bytes(nlohmann::json& out, const std::string& key, const std::string& bytes);

}  // namespace eventyard::router::admin
