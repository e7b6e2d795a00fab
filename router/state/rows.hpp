// router/state/rows.hpp — records of the state as columns and blobs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/state/sqlite.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

/// Keys sorted and as differences: a sequence step, then the route (varints); a few bytes each.
[[nodiscard]] std::string encode_settled(std::vector<DeliveryKey> keys);
/// Errc::corrupt when the bytes are not what encode_settled() makes.
Result<std::vector<DeliveryKey>> decode_settled(std::string_view bytes);

[[nodiscard]] Id to_id(std::string_view bytes) noexcept;  // nil unless 16 bytes
[[nodiscard]] std::string_view bytes_of(const Id& id) noexcept;

/// Columns of a retry as the readers select them; `target` is the name, not a column.
inline constexpr const char* retry_columns =
    "seq, route, due, delay, attempts, received, event, rule, letter, earlier, expires, order_key, routed_to";
RetryRow read_retry(const Statement& row, std::string target);

/// Columns of a dead letter `d`; the target's name comes by a join with `t`. `with_body`: the body is
/// selected.
inline constexpr const char* dead_letter_columns =
    "d.id, d.seq, d.route, d.rule, d.bus, d.forward_to, d.event, d.delivery, d.format, d.attempts,"
    " d.received, d.dead, d.reason, d.cause, d.last_status, d.last_detail, d.last_response, t.name,"
    " d.grp, d.redrives, d.routed_to";
/// What follows them where bodies are asked for.
inline constexpr const char* dead_letter_body_columns = ", d.body, d.input";
inline constexpr int dead_letter_body_column = 21;  // where they follow
DeadLetter read_dead_letter(const Statement& row, bool with_body);
void read_body(const Statement& row, DeadLetter& letter);

inline constexpr const char* attempt_columns = "at, status, latency, cause, detail, response";
AttemptRecord read_attempt(const Statement& row);

/// Ledger codes beside the endings.
inline constexpr int ledger_routed = 100;
inline constexpr int ledger_replayed = 101;
inline constexpr int ledger_counted = 102;
inline constexpr int ledger_moved_in = 103;
inline constexpr int endings = 9;

}  // namespace eventyard::router
