// core/units.hpp — durations and sizes as people write them: "10s", "1h30m", "100MiB".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace eventyard {

/// Sums of a whole or decimal number and one of ns us ms s m h d, largest first ("1h30m", "1.5s");
/// "0" stands alone. Nothing when the text is anything else or does not fit.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
/// The shortest form that parse_duration reads back, e.g. "1m30s", "250ms".
[[nodiscard]] std::string format_duration(Duration value);

/// A whole or decimal number and one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; bytes. "0" stands alone.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
/// E.g. "1 MiB", "1.5 GiB", "900 B": at most one decimal, for people.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace eventyard
