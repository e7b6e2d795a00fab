// targets/retry_after.hpp — reads the Retry-After header in every form seen in the field.
#pragma once

#include <optional>
#include <string_view>

#include "core/time.hpp"

namespace eventyard::targets {

struct RetryAfter {
    bool stop = false;  // a negative number: do not come back
    Duration wait{0};   // at most ten years
};

/// Seconds ("120", "1.5"), a duration ("6m5s"), or an HTTP date in one of its three formats (a past
/// one means at once). Nothing when the text is none of these.
[[nodiscard]] std::optional<RetryAfter> parse_retry_after(std::string_view text, WallTime now);

/// An HTTP date: "Sun, 06 Nov 1994 08:49:37 GMT" or the two obsolete formats.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace eventyard::targets
