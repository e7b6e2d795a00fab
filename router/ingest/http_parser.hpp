// router/ingest/http_parser.hpp — an HTTP/1 request parser that keeps only what ingest asks for.
//
// Beast's grammar and limits, without its container of fields: no allocation a header. The head
// and body it fills are the connection's and keep their memory from request to request.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace eventyard::router {

/// What ingest wants to know of a request's head.
struct RequestHead {
    boost::beast::http::verb method = boost::beast::http::verb::unknown;
    std::string target;
    int version = 11;  // 10 or 11
    std::optional<std::string> content_type;
    std::optional<std::string> transfer_encoding;  // all its lines as one list, as for content_encoding
    std::string expect, content_encoding, hook_origin, hook_rate;
    std::vector<std::pair<std::string, std::string>> ce;  // lower-case name without "ce-", raw value
    int hosts = 0;
    bool repeated_content_type = false;

    void clear();
};

class RequestParser final : public boost::beast::http::basic_parser<true> {
public:
    /// Both must outlive the parser, and are cleared.
    /// @param body_limit  in bytes
    RequestParser(RequestHead& head, std::string& body, std::uint64_t body_limit);
    /// Reads the body to its end without keeping it.
    void discard_body() noexcept { discard_ = true; }

private:
    using Code = boost::beast::error_code;
    using Text = boost::beast::string_view;
    void on_request_impl(boost::beast::http::verb method, Text method_text, Text target, int version,
                         Code& ec) override;
    void on_response_impl(int code, Text reason, int version, Code& ec) override;
    void on_field_impl(boost::beast::http::field field, Text name, Text value, Code& ec) override;
    void on_header_impl(Code& ec) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& ec) override;
    std::size_t on_body_impl(Text bytes, Code& ec) override;
    void on_chunk_header_impl(std::uint64_t size, Text extensions, Code& ec) override;
    std::size_t on_chunk_body_impl(std::uint64_t left, Text bytes, Code& ec) override;
    void on_finish_impl(Code& ec) override;

    RequestHead& head_;
    std::string& body_;
    std::uint64_t body_max_;  // its length once that is known
    bool discard_ = false;
    bool in_head_ = true;  // false: fields are trailers, which nobody reads
};

}  // namespace eventyard::router
