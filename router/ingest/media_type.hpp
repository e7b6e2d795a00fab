// router/ingest/media_type.hpp — reads a Content-Type (RFC 9110, section 8.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace eventyard::router {

struct MediaType {
    std::string essence;  // "type/subtype" in lower case
    std::string charset;  // lower case; empty: not given

    /// application/json, anything/json or anything/anything+json.
    [[nodiscard]] bool is_json() const noexcept;
    /// Text in UTF-8 by its own word: text/*, application/xml and +xml, charset absent, utf-8 or us-ascii.
    [[nodiscard]] bool is_text() const noexcept;
};

/// Nothing when `text` is no media type.
[[nodiscard]] std::optional<MediaType> parse_media_type(std::string_view text);

}  // namespace eventyard::router
