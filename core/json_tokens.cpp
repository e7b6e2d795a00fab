// The first stage, and strings with escapes.
#include "core/json_tokens.hpp"

#include <algorithm>
#include <new>

namespace eventyard::json {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Four hex digits; -1 when they are not.
int hex4(const char* p) noexcept
{
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = p[i];
        const char lower = static_cast<char>(c | 0x20);
        if (is_digit(c)) value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f') value = value * 16 + (lower - 'a' + 10);
        else return -1;
    }
    return value;
}

char* put_utf8(char* out, std::uint32_t code) noexcept
{
    const auto put = [&out](std::uint32_t byte) { *out++ = static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6);
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    }
    return out;
}

/// Decodes the inside of a string that holds a backslash. Returns the end of what was written, or
/// null at a bad escape. Never writes more bytes than it reads.
char* unescape(const char* p, const char* const end, char* out, bool& lone_surrogate) noexcept
{
    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (++p == end) return nullptr;
        switch (*p++) {
            case '"': *out++ = '"'; break;
            case '\\': *out++ = '\\'; break;
            case '/': *out++ = '/'; break;
            case 'b': *out++ = '\b'; break;
            case 'f': *out++ = '\f'; break;
            case 'n': *out++ = '\n'; break;
            case 'r': *out++ = '\r'; break;
            case 't': *out++ = '\t'; break;
            case 'u': {
                const int unit = end - p < 4 ? -1 : hex4(p);
                if (unit < 0) return nullptr;
                p += 4;
                auto code = static_cast<std::uint32_t>(unit);
                if (code >= 0xd800 && code < 0xe000) {
                    const int low = code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u'
                                        ? hex4(p + 2) : -1;
                    if (low >= 0xdc00 && low < 0xe000) {
                        code = 0x10000 + ((code - 0xd800) << 10) + static_cast<std::uint32_t>(low - 0xdc00);
                        p += 6;
                    } else {
                        lone_surrogate = true;
                    }
                }
                out = put_utf8(out, code);
                break;
            }
            default: return nullptr;
        }
    }
    return out;
}

}  // namespace

char* Buffer::at_least(std::size_t size)
{
    constexpr std::size_t kept = 2U << 20;
    if (size > capacity_ || (capacity_ > kept && size < capacity_ / 16)) {
        capacity_ = std::max<std::size_t>(size, 4096);
        bytes_.reset();
        bytes_.reset(new char[capacity_]);
    }
    return bytes_.get();
}

bool Tokens::index(std::string_view text)
{
    // simdjson asks for a capacity above zero and rounds it up itself.
    const std::size_t wanted = std::max<std::size_t>(text.size(), 4096);
    if (stage1_ && stage1_->capacity() > (4U << 20) && wanted < stage1_->capacity() / 16) stage1_.reset();
    if (!stage1_) {
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, stage1_) !=
            simdjson::SUCCESS)
            throw std::bad_alloc();
    } else if (stage1_->capacity() < wanted) {
        if (stage1_->set_capacity(wanted) != simdjson::SUCCESS) throw std::bad_alloc();
    }
    base = text.data();
    size = text.size();
    return index_bytes(size);
}

bool Tokens::index_start(std::string_view text, std::size_t reach)
{
    if (reach == 0 || !stage1_ || stage1_->capacity() < text.size()) return false;  // index() makes room
    base = text.data();
    size = text.size();
    const std::size_t cut = std::min(reach, size);
    if (index_bytes(cut)) return true;
    // Within a string, most likely: then the next quote ends it.
    const std::size_t quote = text.find('"', cut);
    return quote != std::string_view::npos && index_bytes(quote + 1);
}

bool Tokens::index_bytes(std::size_t count)
{
    decoded_end_ = nullptr;
    if (stage1_->stage1(reinterpret_cast<const std::uint8_t*>(base), count, simdjson::stage1_mode::regular) !=
        simdjson::SUCCESS)
        return false;
    next = stage1_->structural_indexes.get();
    last = next + stage1_->n_structural_indexes;
    escapes_ = std::memchr(base, '\\', count) != nullptr;
    return true;
}

bool Tokens::decode(const char* first, const char* close, std::string_view& out, bool& lone_surrogate)
{
    // All decoded strings together are never longer than the text, so views stay valid. Readers may look
    // at eight bytes from the start of any.
    if (decoded_end_ == nullptr) decoded_end_ = decoded_.at_least(size + 8);
    char* const written = unescape(first, close, decoded_end_, lone_surrogate);
    if (written == nullptr) return false;
    out = {decoded_end_, static_cast<std::size_t>(written - decoded_end_)};
    decoded_end_ = written;
    return true;
}

}  // namespace eventyard::json
