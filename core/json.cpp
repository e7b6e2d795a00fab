#include "core/json.hpp"

#include <algorithm>
#include <cstring>

#include "core/json_fault.hpp"
#include "core/json_tokens.hpp"

namespace eventyard::json {

static_assert(Document::padding >= simdjson::SIMDJSON_PADDING);

/// The walk says only yes or no: a text it refuses is read again by find_fault(), byte by byte.
struct Document::Parser {
    Tokens tokens;
    std::vector<std::uint32_t> open;  // containers around the present value, as indices of values
    Buffer copy;                      // of a text given to parse()

    bool walk(std::vector<Value>& values, const Limits& limits);
};

bool Document::Parser::walk(std::vector<Value>& values, const Limits& limits)
{
    Tokens& in = tokens;
    const char* const base = in.base;
    const std::uint32_t* next = in.next;
    const std::uint32_t* const last = in.last;
    open.clear();
    std::uint32_t count = 0;            // of values
    std::uint32_t container = 0;        // the innermost that is open
    bool object = false;                // what it is
    // Of the next value. After the last structural stand two more that are the text's size, so a key and
    // its colon may be looked for before it is known whether there are any left.
    std::string_view key;
    bool key_lone = false;
    const auto read_key = [&] {
        std::uint32_t end = 0;
        if (next >= last || base[*next] != '"' || base[next[1]] != ':') return false;
        key_lone = false;
        if (!in.read_string(next[0], next[1], key, key_lone, end)) return false;
        next += 2;
        return true;
    };
    for (;;) {
        if (next >= last) return false;
        const std::uint32_t begin = *next++;
        const std::uint32_t limit = *next;
        const char first = base[begin];
        std::uint32_t end = 0;
        if (first == '"') {
            std::string_view text;
            bool lone = false;
            if (!in.read_string(begin, limit, text, lone, end)) return false;
            values.push_back({Kind::string, false, lone, key_lone, ++count, begin, end, key, text});
        } else if (first == '{' || first == '[') {
            if (open.size() >= limits.depth) return false;
            values.push_back({first == '{' ? Kind::object : Kind::array, false, false, key_lone, count + 1, begin, 0, key, {}});
            open.push_back(count);
            container = count++;
            object = first == '{';
            if (next >= last) return false;
            if (base[*next] != (object ? '}' : ']')) {
                key = {};
                key_lone = false;
                if (object && !read_key()) return false;
                continue;
            }
        } else if (first == 't' || first == 'f') {
            if (!in.read_literal(first == 't' ? "true" : "false", begin, limit, end)) return false;
            values.push_back({Kind::boolean, first == 't', false, key_lone, ++count, begin, end, key, {}});
        } else if (first == 'n') {
            if (!in.read_literal("null", begin, limit, end)) return false;
            values.push_back({Kind::null, false, false, key_lone, ++count, begin, end, key, {}});
        } else {
            if (!in.read_number(begin, limit, end)) return false;
            values.push_back({Kind::number, false, false, key_lone, ++count, begin, end, key, {base + begin, end - begin}});
        }
        // What follows a value: containers end until a comma asks for another value.
        for (;;) {
            if (open.empty()) return next == last;
            if (next >= last) return false;
            const std::uint32_t at = *next++;
            if (base[at] == ',') {
                if (!object) break;
                if (!read_key()) return false;
                break;
            }
            if (base[at] != (object ? '}' : ']')) return false;
            values[container].next = count;
            values[container].end = at + 1;
            open.pop_back();
            if (open.empty()) continue;
            container = open.back();
            object = values[container].kind == Kind::object;
            key = {};
            key_lone = false;
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
    } else if (parser_->tokens.index(text) && parser_->walk(values_, limits)) {
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
