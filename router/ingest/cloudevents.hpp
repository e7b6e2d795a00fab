// router/ingest/cloudevents.hpp — CloudEvents 1.0: checks structured events, builds them from
// headers. Pure.
//
// Whatever mode an event arrived in, it is kept in the CloudEvents JSON format: structured and
// batched events byte for byte, binary ones as an object built here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.hpp"
#include "router/ingest/media_type.hpp"
#include "router/ingest/refusal.hpp"

namespace eventyard::router {

/// One `ce-` header: the name in lower case without "ce-", the value as received.
struct CeHeader {
    std::string name;
    std::string_view value;
};

/// Checks a structured event; on failure `refusal` names the attribute and the rule it breaks.
/// @param base  offset of the document in the request's body
[[nodiscard]] bool check_cloudevent(const json::Document& event, std::size_t base, Refusal& refusal);

/// Builds the JSON form of a binary-mode event into `out`. The attributes are not checked beyond
/// what building needs: check_cloudevent() on the result does that.
/// @param body_document  scratch for checking a JSON body
[[nodiscard]] bool build_cloudevent(const std::vector<CeHeader>& headers,
                                    std::string_view content_type, std::string_view body,
                                    const json::Limits& limits, json::Document& body_document,
                                    std::string& out, Refusal& refusal);

/// Undoes the encoding of a header value: quotes, then one round of percent-decoding. Lenient: raw
/// UTF-8, else raw Latin-1 bytes, blanks and stray '%' are taken as they are. False when what was
/// percent-encoded is not UTF-8.
[[nodiscard]] bool decode_header_value(std::string_view value, std::string& out);

[[nodiscard]] bool is_rfc3339(std::string_view text) noexcept;
/// Standard alphabet, padded.
[[nodiscard]] bool is_base64(std::string_view text) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
void append_base64(std::string& out, std::string_view bytes);

}  // namespace eventyard::router
