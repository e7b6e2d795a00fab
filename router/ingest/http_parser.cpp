#include "router/ingest/http_parser.hpp"

#include <algorithm>

namespace eventyard::router {
namespace http = boost::beast::http;

void RequestHead::clear()
{
    method = http::verb::unknown;
    target.clear();
    version = 11;
    content_type.reset();
    expect.clear();
    content_encoding.clear();
    transfer_encoding.reset();
    hook_origin.clear();
    hook_rate.clear();
    ce.clear();
    hosts = 0;
    repeated_content_type = false;
}

RequestParser::RequestParser(RequestHead& head, std::string& body, std::uint64_t body_limit)
    : head_(head), body_(body), body_max_(body_limit)
{
    this->body_limit(body_limit);
    head_.clear();
    body_.clear();
}

void RequestParser::on_request_impl(http::verb method, Text, Text target, int version, Code&)
{
    head_.method = method;
    head_.target.assign(target.data(), target.size());
    head_.version = version;
}

void RequestParser::on_response_impl(int, Text, int, Code&) {}

void RequestParser::on_field_impl(http::field field, Text name, Text value, Code&)
{
    if (!in_head_) return;
    const auto keep = [&value](std::string& out) { out.assign(value.data(), value.size()); };
    const auto add = [&value](std::string& list) {
        if (!list.empty()) list += ", ";
        list.append(value.data(), value.size());
    };
    switch (field) {
        case http::field::host: ++head_.hosts; return;
        case http::field::content_type:
            head_.repeated_content_type = head_.content_type.has_value();
            keep(head_.content_type.emplace());
            return;
        case http::field::expect: keep(head_.expect); return;
        case http::field::content_encoding: add(head_.content_encoding); return;
        case http::field::transfer_encoding:
            if (!head_.transfer_encoding) head_.transfer_encoding.emplace();
            add(*head_.transfer_encoding);
            return;
        case http::field::unknown: break;
        default: return;
    }
    std::string lower{name.data(), name.size()};
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (lower.rfind("ce-", 0) == 0)
        head_.ce.emplace_back(lower.substr(3), std::string(value.data(), value.size()));
    else if (lower == "webhook-request-origin") keep(head_.hook_origin);
    else if (lower == "webhook-request-rate") keep(head_.hook_rate);
}

void RequestParser::on_header_impl(Code&) { in_head_ = false; }

void RequestParser::on_body_init_impl(const boost::optional<std::uint64_t>& length, Code&)
{
    // Memory follows what arrives, not what a client announces.
    constexpr std::uint64_t trusted = 64U << 10;
    if (!length) return;
    body_max_ = *length;
    if (!discard_) body_.reserve(static_cast<std::size_t>(std::min(*length, trusted)));
}

std::size_t RequestParser::on_body_impl(Text bytes, Code&)
{
    if (discard_) return bytes.size();
    const std::size_t needed = body_.size() + bytes.size();
    if (needed > body_.capacity()) {
        // Doubled as strings do, but never beyond what can still come: events keep this memory.
        const std::size_t doubled = body_.capacity() * 2;
        std::string larger;
        larger.reserve(std::max(needed, static_cast<std::size_t>(std::min<std::uint64_t>(doubled, body_max_))));
        larger += body_;
        body_.swap(larger);
    }
    body_.append(bytes.data(), bytes.size());
    return bytes.size();
}

void RequestParser::on_chunk_header_impl(std::uint64_t, Text, Code&) {}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, Text bytes, Code& ec)
{
    return on_body_impl(bytes, ec);
}

void RequestParser::on_finish_impl(Code&) {}

}  // namespace eventyard::router
