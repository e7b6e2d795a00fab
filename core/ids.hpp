// core/ids.hpp — the ids on the wire and on disk.
//
// An event id is a UUIDv7 (RFC 9562) given at acceptance. A delivery id is derived from the event
// id, the rule's name and the target's name (the original target's, also after a move), so it is
// the same in every attempt, after restarts and after redrives, and never depends on a sequence
// number, which another store could give again.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace eventyard {

/// 16 bytes shown as a UUID. Random when made with `random_id`, time-ordered from `new_event_id`.
struct Id {
    std::array<std::uint8_t, 16> bytes{};
    auto operator<=>(const Id&) const = default;
    [[nodiscard]] std::string text() const;  // 8-4-4-4-12 lower-case hex
    [[nodiscard]] bool is_nil() const noexcept { return *this == Id{}; }
};

[[nodiscard]] std::optional<Id> parse_id(std::string_view text);
[[nodiscard]] Id new_event_id(WallTime now, Random& random) noexcept;
/// The time that an id from new_event_id() was given, cut to milliseconds; of another id, any.
[[nodiscard]] WallTime time_of(const Id& event) noexcept;
[[nodiscard]] Id random_id(Random& random) noexcept;

/// The `webhook-id`: "dlv_" and 26 characters of base32 (Crockford, lower case): 128 bits of
/// SHA-256 over the three parts, each preceded by its length.
[[nodiscard]] std::string delivery_id(const Id& event, std::string_view rule,
                                      std::string_view target);

}  // namespace eventyard
