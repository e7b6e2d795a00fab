#include "core/json.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "core/json_fault.hpp"

namespace eventyard::json {

static_assert(Document::padding >= simdjson::SIMDJSON_PADDING);

namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Whether [p, end) holds a backslash; may read up to 7 bytes past the end, which padding allows.
bool has_backslash(const char* p, const char* end) noexcept
{
    constexpr std::uint64_t ones = 0x0101010101010101;
    for (; p < end; p += 8) {
        std::uint64_t word;
        std::memcpy(&word, p, sizeof word);
        word ^= ones * '\\';  // a backslash becomes a zero byte
        std::uint64_t zeros = (word - ones) & ~word & (ones << 7);
        if (end - p < 8) zeros &= (std::uint64_t{1} << (8 * (end - p))) - 1;
        if (zeros != 0) return true;  // a false positive above a true one changes nothing
    }
    return false;
}

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

/// Memory that is kept between texts but not after an unusually large one.
class Buffer {
public:
    char* at_least(std::size_t size)
    {
        if (size > capacity_ || (capacity_ > kept && size < capacity_ / 16)) {
            capacity_ = std::max<std::size_t>(size, 4096);
            bytes_.reset();
            bytes_.reset(new char[capacity_]);
        }
        return bytes_.get();
    }

private:
    static constexpr std::size_t kept = 2U << 20;
    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
};

}  // namespace

/// The walk says only yes or no: a text it refuses is read again by find_fault(), byte by byte.
struct Document::Parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1;
    std::vector<std::uint32_t> open;  // containers around the present value, as indices of values
    Buffer copy;                      // of a text given to parse()
    Buffer decoded;                   // strings that hold escapes
    char* decoded_end = nullptr;      // null: none in this text yet

    // The text at hand. Structurals are the offsets of braces, brackets, colons, commas, opening
    // quotes and first bytes of other scalars, all outside strings; one past them stands the size.
    const char* base = nullptr;
    std::size_t size = 0;
    const std::uint32_t* index = nullptr;
    const std::uint32_t* last = nullptr;

    bool index_structurals(std::string_view text);
    bool walk(std::vector<Value>& values, const Limits& limits);
    bool read_string(std::uint32_t begin, std::uint32_t limit, std::string_view& out, bool& lone,
                     std::uint32_t& end);
    bool read_key(std::string_view& key, bool& lone);
    bool read_number(std::uint32_t begin, std::uint32_t limit, std::uint32_t& end) const noexcept;
    bool read_literal(std::string_view word, std::uint32_t begin, std::uint32_t limit,
                      std::uint32_t& end) const noexcept;
};

bool Document::Parser::index_structurals(std::string_view text)
{
    // simdjson asks for a capacity above zero and rounds it up itself.
    const std::size_t wanted = std::max<std::size_t>(text.size(), 4096);
    if (stage1 && stage1->capacity() > (4U << 20) && wanted < stage1->capacity() / 16) stage1.reset();
    if (!stage1) {
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                wanted, 1, stage1) != simdjson::SUCCESS)
            throw std::bad_alloc();
    } else if (stage1->capacity() < wanted) {
        if (stage1->set_capacity(wanted) != simdjson::SUCCESS) throw std::bad_alloc();
    }
    base = text.data();
    size = text.size();
    decoded_end = nullptr;
    open.clear();
    // Finds unclosed strings, control characters in strings and faults of UTF-8.
    if (stage1->stage1(reinterpret_cast<const std::uint8_t*>(base), size,
                       simdjson::stage1_mode::regular) != simdjson::SUCCESS)
        return false;
    index = stage1->structural_indexes.get();
    last = index + stage1->n_structural_indexes;
    return true;
}

bool Document::Parser::read_string(std::uint32_t begin, std::uint32_t limit, std::string_view& out,
                                   bool& lone, std::uint32_t& end)
{
    // Only blanks can stand between the closing quote and the next structural.
    const char* close = base + limit - 1;
    while (is_blank(*close)) --close;
    const char* const first = base + begin + 1;
    if (close < first || *close != '"') return false;
    end = static_cast<std::uint32_t>(close + 1 - base);
    if (!has_backslash(first, close)) {
        out = {first, static_cast<std::size_t>(close - first)};
        return true;
    }
    // All decoded strings together are never longer than the text, so views stay valid.
    if (decoded_end == nullptr) decoded_end = decoded.at_least(size);
    char* const written = unescape(first, close, decoded_end, lone);
    if (written == nullptr) return false;
    out = {decoded_end, static_cast<std::size_t>(written - decoded_end)};
    decoded_end = written;
    return true;
}

bool Document::Parser::read_key(std::string_view& key, bool& lone)
{
    if (index == last || base[*index] != '"') return false;
    std::uint32_t end = 0;
    lone = false;
    if (!read_string(*index, index[1], key, lone, end)) return false;
    ++index;
    if (index == last || base[*index] != ':') return false;
    ++index;
    return true;
}

bool Document::Parser::read_number(std::uint32_t begin, std::uint32_t limit,
                                   std::uint32_t& end) const noexcept
{
    const char* p = base + begin;
    const char* const stop = base + limit;
    if (*p == '-') ++p;
    if (p == stop || !is_digit(*p)) return false;
    if (*p == '0') ++p;
    else while (p != stop && is_digit(*p)) ++p;
    if (p != stop && *p == '.') {
        ++p;
        if (p == stop || !is_digit(*p)) return false;
        while (p != stop && is_digit(*p)) ++p;
    }
    if (p != stop && (*p == 'e' || *p == 'E')) {
        ++p;
        if (p != stop && (*p == '+' || *p == '-')) ++p;
        if (p == stop || !is_digit(*p)) return false;
        while (p != stop && *p == '0') ++p;
        const char* const significant = p;
        while (p != stop && is_digit(*p)) ++p;
        if (p - significant > exponent_digits_max) return false;
    }
    end = static_cast<std::uint32_t>(p - base);
    return p == stop || is_blank(*p);
}

bool Document::Parser::read_literal(std::string_view word, std::uint32_t begin, std::uint32_t limit,
                                    std::uint32_t& end) const noexcept
{
    if (limit - begin < word.size() || std::memcmp(base + begin, word.data(), word.size()) != 0)
        return false;
    end = begin + static_cast<std::uint32_t>(word.size());
    return end == limit || is_blank(base[end]);
}

bool Document::Parser::walk(std::vector<Value>& values, const Limits& limits)
{
    std::string_view key;
    bool key_lone = false;
    for (;;) {
        // One value, whose member name was read before it.
        if (index == last) return false;
        const std::uint32_t begin = *index++;
        const std::uint32_t limit = *index;
        const auto number = static_cast<std::uint32_t>(values.size());
        Value& value = values.emplace_back();
        value.key = key;
        value.key_lone_surrogate = key_lone;
        value.begin = begin;
        value.next = number + 1;
        switch (const char first = base[begin]) {
            case '{':
            case '[': {
                const bool object = first == '{';
                value.kind = object ? Kind::object : Kind::array;
                if (open.size() >= limits.depth) return false;
                open.push_back(number);
                if (index != last && base[*index] == (object ? '}' : ']')) break;
                if (!object) {
                    key = {};
                    key_lone = false;
                } else if (!read_key(key, key_lone)) {
                    return false;
                }
                continue;
            }
            case '"':
                value.kind = Kind::string;
                if (!read_string(begin, limit, value.text, value.lone_surrogate, value.end)) return false;
                break;
            case 't':
            case 'f':
                value.kind = Kind::boolean;
                value.truth = first == 't';
                if (!read_literal(value.truth ? "true" : "false", begin, limit, value.end)) return false;
                break;
            case 'n':
                if (!read_literal("null", begin, limit, value.end)) return false;
                break;
            default:
                value.kind = Kind::number;
                if (!read_number(begin, limit, value.end)) return false;
                value.text = {base + begin, value.end - begin};
        }
        // What follows a value: containers end until a comma asks for another value.
        for (;;) {
            if (open.empty()) return index == last;
            if (index == last) return false;
            const std::uint32_t at = *index++;
            Value& container = values[open.back()];
            const bool object = container.kind == Kind::object;
            if (base[at] == ',') {
                if (!object) {
                    key = {};
                    key_lone = false;
                } else if (!read_key(key, key_lone)) {
                    return false;
                }
                break;
            }
            if (base[at] != (object ? '}' : ']')) return false;
            container.next = static_cast<std::uint32_t>(values.size());
            container.end = at + 1;
            open.pop_back();
        }
    }
}

Document::Document() : parser_(std::make_unique<Parser>()) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

bool Document::parse(std::string_view text, const Limits& limits, SyntaxError& error)
{
    char* const copy = parser_->copy.at_least(text.size() + padding);
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    std::memset(copy + text.size(), ' ', padding);
    return parse_padded({copy, text.size()}, limits, error);
}

bool Document::parse_padded(std::string_view text, const Limits& limits, SyntaxError& error)
{
    constexpr std::size_t values_kept = 1U << 15;
    values_.clear();
    if (values_.capacity() > values_kept && text.size() < values_.capacity()) values_.shrink_to_fit();
    text_ = text;
    if (text.size() >= simdjson::SIMDJSON_MAXSIZE_BYTES) {
        error = {0, false, "the text is larger than 4 GiB"};
    } else if (parser_->index_structurals(text) && parser_->walk(values_, limits)) {
        return true;
    } else {
        error = find_fault(text, limits);
    }
    values_.clear();
    text_ = {};
    return false;
}

const Value* Document::member(std::uint32_t index, std::string_view key) const noexcept
{
    const Value* found = nullptr;
    if (index >= values_.size() || values_[index].kind != Kind::object) return found;
    for (std::uint32_t i = index + 1; i < values_[index].next; i = values_[i].next)
        if (values_[i].key == key) found = &values_[i];
    return found;
}

void append_quoted(std::string& out, std::string_view text)
{
    constexpr char digits[] = "0123456789abcdef";
    const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    out.push_back('"');
    std::size_t plain = 0;  // [plain, i) needs no escape and is not yet written
    for (std::size_t i = 0; i < text.size(); ++i) {
        const unsigned char c = byte(i);
        const bool surrogate = c == 0xed && i + 2 < text.size() && byte(i + 1) >= 0xa0;
        if (c >= 0x20 && c != '"' && c != '\\' && !surrogate) continue;
        out.append(text, plain, i - plain);
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default: {
                unsigned unit = c;
                if (surrogate) {
                    unit = 0xd000U | (byte(i + 1) & 0x3fU) << 6 | (byte(i + 2) & 0x3fU);
                    i += 2;
                }
                out += "\\u";
                for (int shift = 12; shift >= 0; shift -= 4) out.push_back(digits[unit >> shift & 0xf]);
            }
        }
        plain = i + 1;
    }
    out.append(text, plain);
    out.push_back('"');
}

}  // namespace eventyard::json
