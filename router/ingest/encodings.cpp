// The encodings CloudEvents uses: header values, base64, timestamps.
#include "core/rfc3339.hpp"
#include "router/ingest/cloudevents.hpp"

namespace eventyard::router {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

int hex_digit(char c) noexcept
{
    if (is_digit(c)) return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int base64_digit(char c) noexcept
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (is_digit(c)) return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept
{
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t k) {
            return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
        };
        const auto follows = [&](std::size_t k) { return (byte(k) & 0xc0U) == 0x80U; };
        const unsigned lead = byte(0);
        if (lead < 0x80) {
            i += 1;
        } else if (lead >= 0xc2 && lead <= 0xdf && follows(1)) {
            i += 2;
        } else if (lead >= 0xe0 && lead <= 0xef && follows(1) && follows(2) &&
                   !(lead == 0xe0 && byte(1) < 0xa0) && !(lead == 0xed && byte(1) > 0x9f)) {
            i += 3;
        } else if (lead >= 0xf0 && lead <= 0xf4 && follows(1) && follows(2) && follows(3) &&
                   !(lead == 0xf0 && byte(1) < 0x90) && !(lead == 0xf4 && byte(1) > 0x8f)) {
            i += 4;
        } else {
            return false;
        }
    }
    return true;
}

bool decode_header_value(std::string_view value, std::string& out)
{
    std::string unquoted;
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        for (std::size_t i = 1; i + 1 < value.size(); ++i) {
            if (value[i] == '\\' && i + 2 < value.size()) ++i;
            unquoted.push_back(value[i]);
        }
    } else {
        unquoted = value;
    }
    const bool latin1 = !is_utf8(unquoted);
    out.clear();
    for (std::size_t i = 0; i < unquoted.size(); ++i) {
        const auto byte = static_cast<unsigned char>(unquoted[i]);
        const int high = i + 2 < unquoted.size() ? hex_digit(unquoted[i + 1]) : -1;
        const int low = i + 2 < unquoted.size() ? hex_digit(unquoted[i + 2]) : -1;
        if (byte == '%' && high >= 0 && low >= 0) {
            out.push_back(static_cast<char>(high * 16 + low));
            i += 2;
        } else if (latin1 && byte >= 0x80) {
            out.push_back(static_cast<char>(0xc0 | byte >> 6));
            out.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
        } else {
            out.push_back(unquoted[i]);
        }
    }
    return is_utf8(out);
}

bool is_rfc3339(std::string_view text) noexcept { return parse_rfc3339(text).has_value(); }

bool is_base64(std::string_view text) noexcept
{
    if (text.size() % 4 != 0) return false;
    for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
    for (const char c : text)
        if (base64_digit(c) < 0) return false;
    return true;
}

void append_base64(std::string& out, std::string_view bytes)
{
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        const auto byte = [&](std::size_t k) -> std::uint32_t {
            return k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U;
        };
        const std::uint32_t bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.push_back(digits[bits >> 18]);
        out.push_back(digits[bits >> 12 & 63]);
        out.push_back(left > 1 ? digits[bits >> 6 & 63] : '=');
        out.push_back(left > 2 ? digits[bits & 63] : '=');
    }
}

}  // namespace eventyard::router
