// cli/pieces.hpp — acts on many deliveries: done piece by piece, and confirmed by their number.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/admin_client.hpp"

namespace eventyard::cli {

/// Posts to `path`, which has a query, until an answer's `next` is null; the sums of the answers' numbers. Nothing when
/// the daemon refused: it has been told then, and `exit_code` is set.
[[nodiscard]] std::optional<nlohmann::json> act_in_pieces(const AdminOptions& admin, const std::string& path, int& exit_code);

/// Asks for the number on standard input.
/// @param act  "this moves 7 pending deliveries to 'b'"
[[nodiscard]] bool confirmed(const std::string& act, std::uint64_t number);

}  // namespace eventyard::cli
