#include "router/ingest/media_type.hpp"

namespace eventyard::router {
namespace {

bool is_token_char(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos);
}

std::string_view take_token(std::string_view& text)
{
    std::size_t size = 0;
    while (size < text.size() && is_token_char(text[size])) ++size;
    const std::string_view token = text.substr(0, size);
    text.remove_prefix(size);
    return token;
}

void skip_blanks(std::string_view& text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

std::string lower(std::string_view text)
{
    std::string out{text};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return out;
}

/// A quoted string or a token.
std::optional<std::string> take_value(std::string_view& text)
{
    if (text.empty() || text.front() != '"') {
        const std::string_view token = take_token(text);
        if (token.empty()) return std::nullopt;
        return std::string(token);
    }
    std::string value;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return value;
        }
        if (text[i] == '\\' && ++i == text.size()) break;
        value.push_back(text[i]);
    }
    return std::nullopt;
}

bool ends_with(std::string_view text, std::string_view end)
{
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool MediaType::is_json() const noexcept
{
    return ends_with(essence, "/json") || ends_with(essence, "+json");
}

bool MediaType::is_text() const noexcept
{
    if (!charset.empty() && charset != "utf-8" && charset != "us-ascii") return false;
    return essence.rfind("text/", 0) == 0 || essence == "application/xml" || ends_with(essence, "+xml");
}

std::optional<MediaType> parse_media_type(std::string_view text)
{
    MediaType out;
    skip_blanks(text);
    const std::string_view type = take_token(text);
    if (type.empty() || text.empty() || text.front() != '/') return std::nullopt;
    text.remove_prefix(1);
    const std::string_view subtype = take_token(text);
    if (subtype.empty()) return std::nullopt;
    out.essence = lower(type) + "/" + lower(subtype);
    for (;;) {
        skip_blanks(text);
        if (text.empty()) return out;
        if (text.front() != ';') return std::nullopt;
        text.remove_prefix(1);
        skip_blanks(text);
        if (text.empty() || text.front() == ';') continue;  // empty parameters are allowed
        const std::string name = lower(take_token(text));
        if (name.empty() || text.empty() || text.front() != '=') return std::nullopt;
        text.remove_prefix(1);
        const auto value = take_value(text);
        if (!value) return std::nullopt;
        if (name == "charset") out.charset = lower(*value);
    }
}

}  // namespace eventyard::router
