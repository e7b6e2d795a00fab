#include "router/ingest/cloudevents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace eventyard::router {
namespace {

using json::Kind;
using json::Value;

bool is_hex(char c) noexcept
{
    const char lower = static_cast<char>(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
}

// --- Types: each says what is wrong with a decoded text, or null ---------------------------------

const char* string_fault(std::string_view text)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = [&](std::size_t k) {
            return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
        };
        const unsigned c = byte(0);
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && byte(1) < 0xa0)) return "must hold no control characters";
        if (c == 0xed && byte(1) >= 0xa0) return "must hold no lone surrogates";
        const bool reserved = c == 0xef && byte(1) == 0xb7 && byte(2) >= 0x90 && byte(2) <= 0xaf;
        const bool plane_end = (c == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe) ||
                               (c >= 0xf0 && (byte(1) & 0x0f) == 0x0f && byte(2) == 0xbf && byte(3) >= 0xbe);
        if (reserved || plane_end) return "must hold no noncharacters of Unicode";
    }
    return nullptr;
}

const char* uri_fault(std::string_view text, bool absolute)
{
    constexpr const char* bad = "must be a URI reference (RFC 3986; other characters percent-encoded)";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f ||
            std::string_view{"<>\"{}|\\^`"}.find(c) != std::string_view::npos)
            return bad;
        if (c == '%' && !(i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2]))) return bad;
    }
    if (!absolute) return nullptr;
    const std::size_t colon = text.find(':');
    const auto alpha = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
    bool scheme = colon != std::string_view::npos && colon > 0 && alpha(text[0]);
    for (std::size_t i = 1; scheme && i < colon; ++i)
        scheme = alpha(text[i]) || (text[i] >= '0' && text[i] <= '9') || text[i] == '+' ||
                 text[i] == '-' || text[i] == '.';
    return scheme ? nullptr : "must be an absolute URI";
}

const char* plain_fault(std::string_view text) { return string_fault(text); }
const char* source_fault(std::string_view text) { return uri_fault(text, false); }
const char* schema_fault(std::string_view text) { return uri_fault(text, true); }
const char* version_fault(std::string_view text)
{
    return text == "1.0" ? nullptr : "must be \"1.0\", the only version this router takes";
}
const char* content_type_fault(std::string_view text)
{
    return parse_media_type(text) ? nullptr : "must be a media type";
}
const char* time_fault(std::string_view text)
{
    return is_rfc3339(text) ? nullptr : "must be an RFC 3339 timestamp";
}

struct Attribute {
    std::string_view name;
    bool required;
    const char* (*fault)(std::string_view);
};

constexpr std::array<Attribute, 8> attributes{{
    {"specversion", true, version_fault},
    {"id", true, plain_fault},
    {"source", true, source_fault},
    {"type", true, plain_fault},
    {"datacontenttype", false, content_type_fault},
    {"dataschema", false, schema_fault},
    {"subject", false, plain_fault},
    {"time", false, time_fault},
}};

bool is_extension_name(std::string_view name)
{
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    });
}

class Checker {
public:
    Checker(const json::Document& event, std::size_t base, Refusal& refusal)
        : event_(event), base_(base), refusal_(refusal) {}

    bool check()
    {
        if (event_.root().kind != Kind::object)
            return refuse(event_.root(), "a CloudEvent is a JSON object");
        if (!check_names()) return false;
        const auto& values = event_.values();
        for (std::uint32_t i = 1; i < values[0].next; i = values[i].next)
            if (!check_member(values[i])) return false;
        for (std::size_t i = 0; i < attributes.size(); ++i)
            if (attributes[i].required && !present_[i])
                return refuse(event_.root(), fmt::format("the CloudEvents attribute '{}' is missing",
                                                         attributes[i].name));
        if (data_ && data_base64_)
            return refuse(event_.root(), "a CloudEvent has 'data' or 'data_base64', not both");
        return true;
    }

private:
    bool refuse(const Value& at, std::string message)
    {
        refusal_.status = 400;
        refusal_.code = "invalid_cloudevent";
        refusal_.message = std::move(message);
        refusal_.offset = base_ + at.begin;
        return false;
    }

    bool refuse_attribute(const Value& at, std::string_view rule)
    {
        return refuse(at, fmt::format("the CloudEvents attribute '{}' {}", at.key, rule));
    }

    /// A name given twice would leave open which value counts.
    bool check_names()
    {
        const auto& values = event_.values();
        std::vector<const Value*> members;
        for (std::uint32_t i = 1; i < values[0].next; i = values[i].next) members.push_back(&values[i]);
        std::stable_sort(members.begin(), members.end(),
                         [](const Value* a, const Value* b) { return a->key < b->key; });
        for (std::size_t i = 1; i < members.size(); ++i)
            if (members[i]->key == members[i - 1]->key)
                return refuse_attribute(*members[i], "is given twice");
        return true;
    }

    bool check_member(const Value& value)
    {
        if (value.key == "data") {
            data_ = true;
            return true;
        }
        if (value.kind == Kind::null) {  // unset
            return is_extension_name(value.key) || value.key == "data_base64" || bad_name(value);
        }
        if (value.key == "data_base64") {
            data_base64_ = true;
            if (value.kind != Kind::string || !is_base64(value.text))
                return refuse(value, "'data_base64' must be a string of base64 (RFC 4648, padded)");
            return true;
        }
        for (std::size_t i = 0; i < attributes.size(); ++i)
            if (attributes[i].name == value.key) {
                present_[i] = true;
                if (value.kind != Kind::string) return refuse_attribute(value, "must be a string");
                if (value.text.empty()) return refuse_attribute(value, "must not be empty");
                const char* const fault = attributes[i].fault(value.text);
                return fault == nullptr || refuse_attribute(value, fault);
            }
        if (!is_extension_name(value.key)) return bad_name(value);
        return check_extension(value);
    }

    bool bad_name(const Value& value)
    {
        return refuse(value, fmt::format("'{}' is no CloudEvents attribute: names hold a-z and 0-9 only; "
                                         "the event's own content belongs into 'data'",
                                         printable(value.key)));
    }

    static std::string printable(std::string_view name)
    {
        std::string out;
        for (const char c : name.substr(0, 64)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
        return out;
    }

    bool check_extension(const Value& value)
    {
        switch (value.kind) {
            case Kind::boolean: return true;
            case Kind::string:
                if (const char* const fault = string_fault(value.text)) return refuse_attribute(value, fault);
                return true;
            case Kind::number: {
                std::int32_t number = 0;
                const char* const end = value.text.data() + value.text.size();
                const auto [stop, ec] = std::from_chars(value.text.data(), end, number);
                if (ec == std::errc{} && stop == end) return true;
                break;
            }
            default: break;
        }
        return refuse_attribute(value, "must be a boolean, an integer of 32 bits or a string");
    }

    const json::Document& event_;
    std::size_t base_;
    Refusal& refusal_;
    std::array<bool, attributes.size()> present_{};
    bool data_ = false, data_base64_ = false;
};

bool refuse_header(Refusal& refusal, std::string message)
{
    refusal.status = 400;
    refusal.code = "invalid_cloudevent";
    refusal.message = std::move(message);
    return false;
}

}  // namespace

bool check_cloudevent(const json::Document& event, std::size_t base, Refusal& refusal)
{
    return Checker{event, base, refusal}.check();
}

bool build_cloudevent(const std::vector<CeHeader>& headers, std::string_view content_type,
                      std::string_view body, const json::Limits& limits,
                      json::Document& body_document, std::string& out, Refusal& refusal)
{
    out.assign(1, '{');
    std::string value;
    for (const CeHeader& header : headers) {
        if (!is_extension_name(header.name) || header.name == "data")
            return refuse_header(refusal, fmt::format("'ce-{}' is no CloudEvents header: names hold a-z "
                                                      "and 0-9 only, and 'data' is reserved", header.name));
        if (header.name == "datacontenttype")
            return refuse_header(refusal, "in binary mode Content-Type says what 'ce-datacontenttype' "
                                          "would; leave the latter out");
        if (!decode_header_value(header.value, value))
            return refuse_header(refusal, fmt::format("the header 'ce-{}' is percent-encoded, but not "
                                                      "from UTF-8", header.name));
        if (out.size() > 1) out += ',';
        json::append_quoted(out, header.name);
        out += ':';
        json::append_quoted(out, value);
    }
    if (!content_type.empty()) {
        if (!parse_media_type(content_type))
            return refuse_header(refusal, "the Content-Type is no media type");
        if (!is_utf8(content_type)) return refuse_header(refusal, "the Content-Type is not UTF-8");
        out += ",\"datacontenttype\":";
        json::append_quoted(out, content_type);
    }
    const auto type = parse_media_type(content_type);
    if (body.empty()) {
        // No data, whatever the Content-Type says: SDKs send one with an empty body.
    } else if (type && type->is_json()) {
        json::SyntaxError error;
        if (!body_document.parse(body, limits, error)) {
            refusal.status = 400;
            refusal.code = error.too_deep ? "too_deep" : "invalid_json";
            refusal.message = std::move(error.message);
            refusal.offset = error.offset;
            if (error.too_deep) {
                refusal.config = "limits.depth";
                refusal.limit = limits.depth;
            }
            return false;
        }
        out += ",\"data\":";
        out += body_document.source(body_document.root());
    } else if (type && type->is_text() && is_utf8(body)) {
        out += ",\"data\":";
        json::append_quoted(out, body);
    } else {
        out += ",\"data_base64\":\"";
        append_base64(out, body);
        out += '"';
    }
    out += '}';
    return true;
}

}  // namespace eventyard::router
