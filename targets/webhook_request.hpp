// targets/webhook_request.hpp — the URL of a webhook and the head of its requests. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "core/secret.hpp"
#include "targets/target.hpp"

namespace eventyard::targets {

struct WebhookUrl {
    bool https = false;
    std::string host;    // without brackets
    std::uint16_t port = 80;
    std::string target;  // path and query as sent; at least "/"
    std::string host_header;
    std::string shown;   // for people: without the query, which may hold a token
};

/// http or https, no user name (`auth` carries credentials), no fragment.
Result<WebhookUrl> parse_webhook_url(const std::string& text);

inline constexpr const char* not_a_header_name = "is not a header name";
/// Why a configured header cannot be sent; empty when it can.
[[nodiscard]] std::string header_problem(std::string_view name, std::string_view value);

struct RequestHead {
    std::string method = "POST";
    WebhookUrl url;
    std::vector<std::pair<std::string, Secret>> headers;  // checked by header_problem
};

struct RequestBody {
    std::string_view id;            // webhook-id
    std::string_view content_type;
    std::string_view bytes;
};

/// Request line and headers up to the blank line. Values that come with a delivery are made harmless:
/// control bytes become '_'.
/// @param signature  value of webhook-signature; empty: not signed
/// @param bearer  a token for this request; empty: none
[[nodiscard]] std::string request_head(const RequestHead& head, const Delivery& delivery,
                                       std::int64_t timestamp, std::string_view signature,
                                       std::string_view bearer = {});

/// The same for a request with many deliveries.
[[nodiscard]] std::string batch_request_head(const RequestHead& head, const RequestBody& body, std::size_t deliveries,
                                             std::int64_t timestamp, std::string_view signature,
                                             std::string_view bearer = {});

}  // namespace eventyard::targets
