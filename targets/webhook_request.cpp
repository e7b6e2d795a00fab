#include "targets/webhook_request.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace eventyard::targets {
namespace {

/// Headers that belong to the protocol or to us.
constexpr std::array<std::string_view, 16> own_headers{
    "host",       "content-length",    "transfer-encoding", "connection",        "keep-alive",
    "upgrade",    "te",                "trailer",           "expect",            "webhook-id",
    "webhook-timestamp", "webhook-signature", "eventyard-event-id", "eventyard-attempt",
    "eventyard-batch", "eventyard-replay-of"};

bool is_token(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
    });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

void append_header(std::string& out, std::string_view name, std::string_view value)
{
    out.append(name).append(": ");
    for (const char c : value) out.push_back(is_control(c) && c != '\t' ? '_' : c);
    out.append("\r\n");
}

bool has(const RequestHead& head, std::string_view name)
{
    return std::any_of(head.headers.begin(), head.headers.end(), [&](const auto& header) {
        return boost::beast::iequals(header.first, name);
    });
}

std::string begin_head(const RequestHead& head, const RequestBody& body, std::int64_t timestamp,
                       std::string_view signature)
{
    std::string out;
    out.reserve(512);
    out.append(head.method).append(" ").append(head.url.target).append(" HTTP/1.1\r\n");
    append_header(out, "host", head.url.host_header);
    if (!has(head, "user-agent")) append_header(out, "user-agent", "eventyard/" EVENTYARD_VERSION);
    if (!has(head, "content-type")) append_header(out, "content-type", body.content_type);
    append_header(out, "content-length", std::to_string(body.bytes.size()));
    append_header(out, "webhook-id", body.id);
    append_header(out, "webhook-timestamp", std::to_string(timestamp));
    if (!signature.empty()) append_header(out, "webhook-signature", signature);
    return out;
}

void end_head(std::string& out, const RequestHead& head, std::string_view bearer)
{
    for (const auto& [name, value] : head.headers) append_header(out, name, value.reveal());
    if (!bearer.empty()) out.append("authorization: Bearer ").append(bearer).append("\r\n");
    out.append("\r\n");
}

}  // namespace

Result<WebhookUrl> parse_webhook_url(const std::string& text)
{
    namespace urls = boost::urls;
    const auto parsed = urls::parse_uri(text);
    if (!parsed) return fail(Errc::invalid, "must be a URL such as https://example.com/hook");
    const urls::url_view& url = *parsed;
    if (url.scheme_id() != urls::scheme::http && url.scheme_id() != urls::scheme::https)
        return fail(Errc::invalid, "must begin with https:// or http://");
    if (url.has_userinfo())
        return fail(Errc::invalid,
                    "must not hold a user name or password; they belong into 'auth'");
    if (url.has_fragment())
        return fail(Errc::invalid, "must not hold a fragment ('#'): it is never sent");
    // A password before an '@' that is no password: "https://user:pass/word@host/".
    const std::string_view port{url.port().data(), url.port().size()};
    const std::string_view path_text{url.encoded_path().data(), url.encoded_path().size()};
    if ((url.has_port() && (port.empty() || port.size() > 5 || std::stoul(std::string{port}) > 65535)) ||
        (!path_text.empty() && path_text.front() != '/'))
        return fail(Errc::invalid, "has a port that is not between 1 and 65535");
    WebhookUrl result;
    result.https = url.scheme_id() == urls::scheme::https;
    result.host = url.host_address();
    if (result.host.empty()) return fail(Errc::invalid, "must name a host");
    if (result.host.size() > 253 ||
        std::any_of(result.host.begin(), result.host.end(), [](char c) { return is_control(c) || c == ' '; }))
        return fail(Errc::invalid, "names a host that cannot be");
    if (url.has_port() && !url.port().empty() && url.port_number() == 0)
        return fail(Errc::invalid, "has a port that is not between 1 and 65535");
    result.port = url.port_number() != 0 ? url.port_number()
                                         : static_cast<std::uint16_t>(result.https ? 443 : 80);
    const urls::string_view path = url.encoded_path();
    result.target = path.empty() ? "/" : std::string(path);
    result.host_header = std::string(url.encoded_host());
    if (url.has_port() && !url.port().empty()) result.host_header += ":" + std::string(url.port());
    result.shown = (result.https ? "https://" : "http://") + result.host_header + result.target;
    if (url.has_query()) {
        result.target += "?" + std::string(url.encoded_query());
        result.shown += "?***";
    }
    return result;
}

std::string header_problem(std::string_view name, std::string_view value)
{
    if (!is_token(name)) return not_a_header_name;
    for (const std::string_view own : own_headers)
        if (boost::beast::iequals(own, name)) return "is set by eventyard itself";
    if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; }))
        return "has a value with a line break or another control character";
    return {};
}

std::string request_head(const RequestHead& head, const Delivery& delivery, std::int64_t timestamp,
                         std::string_view signature, std::string_view bearer)
{
    std::string out = begin_head(head, {delivery.id, content_type(delivery.event.format), delivery.event.body},
                                 timestamp, signature);
    append_header(out, "eventyard-event-id", delivery.event.id.text());
    append_header(out, "eventyard-attempt", std::to_string(delivery.attempt));
    if (!delivery.replay_of.empty()) append_header(out, "eventyard-replay-of", delivery.replay_of);
    end_head(out, head, bearer);
    return out;
}

std::string batch_request_head(const RequestHead& head, const RequestBody& body, std::size_t deliveries,
                               std::int64_t timestamp, std::string_view signature, std::string_view bearer)
{
    std::string out = begin_head(head, body, timestamp, signature);
    append_header(out, "eventyard-batch", std::to_string(deliveries));
    end_head(out, head, bearer);
    return out;
}

}  // namespace eventyard::targets
