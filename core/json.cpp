#include "core/json.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

#include "core/json_fault.hpp"
#include "core/json_tokens.hpp"

namespace eventyard::json {

static_assert(Document::padding >= simdjson::SIMDJSON_PADDING);

namespace {

/// Room for values that are written one after the other, without a constructor run before.
class ValueBuffer {
public:
    Value* at_least(std::size_t count)
    {
        constexpr std::size_t kept = 1U << 15;
        if (count > capacity_ || (capacity_ > kept && count < capacity_ / 16)) {
            capacity_ = std::max<std::size_t>(count, 256);
            memory_.reset();
            memory_.reset(static_cast<Value*>(::operator new(capacity_ * sizeof(Value))));
        }
        return memory_.get();
    }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

private:
    struct Free {
        void operator()(Value* memory) const noexcept { ::operator delete(memory); }
    };
    static_assert(std::is_trivially_destructible_v<Value>);
    std::unique_ptr<Value, Free> memory_;
    std::size_t capacity_ = 0;
};

}  // namespace

/// The walk says only yes or no: a text it refuses is read again by find_fault(), byte by byte.
struct Document::Parser {
    Tokens tokens;
    std::vector<std::uint32_t> open;  // containers around the present one, as indices of values
    Buffer copy;                      // of a text given to parse()
    ValueBuffer memory;               // of the values

    /// Empty: refused.
    std::span<const Value> walk(const Limits& limits);
};

std::span<const Value> Document::Parser::walk(const Limits& limits)
{
    Tokens& in = tokens;
    const char* const base = in.base;
    const std::uint32_t* next = in.next;
    const std::uint32_t* const last = in.last;
    // Every value has a structural of its own and, but for the root, one that follows it; containers that
    // are open at a fault lack the latter.
    const auto structurals = static_cast<std::size_t>(last - next);
    Value* const values = memory.at_least(std::min(structurals, (structurals + limits.depth) / 2 + 1) + 1);
    Value* out = values;
    open.clear();
    std::uint32_t container = 0;        // the innermost that is open, if there is any
    bool object = false;                // what it is
    // Of the next value. After the last structural stand two more that are the text's size, so a key and
    // its colon may be looked for before it is known whether there are any left.
    std::string_view key;
    bool key_lone = false;
    for (;;) {
        if (object) {
            std::uint32_t end = 0;
            if (next >= last || base[*next] != '"' || base[next[1]] != ':') return {};
            key_lone = false;
            if (!in.read_string(next[0], next[1], key, key_lone, end)) return {};
            next += 2;
        }
        if (next >= last) return {};
        const std::uint32_t begin = *next++;
        const std::uint32_t limit = *next;
        const char first = base[begin];
        const auto after = static_cast<std::uint32_t>(out - values) + 1;
        std::uint32_t end = 0;
        if (first == '"') {
            std::string_view text;
            bool lone = false;
            if (!in.read_string(begin, limit, text, lone, end)) return {};
            new (out++) Value{Kind::string, false, lone, key_lone, after, begin, end, key, text};
        } else if (first == '{' || first == '[') {
            if (open.size() >= limits.depth) return {};
            open.push_back(container);
            container = after - 1;
            object = first == '{';
            new (out++) Value{object ? Kind::object : Kind::array, false, false, key_lone, after, begin, 0, key, {}};
            key = {};
            key_lone = false;
            if (next >= last) return {};
            if (base[*next] != (object ? '}' : ']')) continue;
        } else if (first == 't' || first == 'f') {
            if (!in.read_literal(first == 't' ? "true" : "false", begin, limit, end)) return {};
            new (out++) Value{Kind::boolean, first == 't', false, key_lone, after, begin, end, key, {}};
        } else if (first == 'n') {
            if (!in.read_literal("null", begin, limit, end)) return {};
            new (out++) Value{Kind::null, false, false, key_lone, after, begin, end, key, {}};
        } else {
            if (!in.read_number(begin, limit, end)) return {};
            new (out++) Value{Kind::number, false, false, key_lone, after, begin, end, key, {base + begin, end - begin}};
        }
        // What follows a value: containers end until a comma asks for another value.
        for (;;) {
            if (open.empty()) return next == last ? std::span<const Value>{values, out} : std::span<const Value>{};
            if (next >= last) return {};
            const std::uint32_t at = *next++;
            if (base[at] == ',') break;
            if (base[at] != (object ? '}' : ']')) return {};
            values[container].next = static_cast<std::uint32_t>(out - values);
            values[container].end = at + 1;
            container = open.back();
            open.pop_back();
            object = !open.empty() && values[container].kind == Kind::object;
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
    values_ = {};
    text_ = text;
    if (text.size() >= simdjson::SIMDJSON_MAXSIZE_BYTES) {
        error = {0, false, "the text is larger than 4 GiB"};
    } else {
        if (parser_->tokens.index(text)) values_ = parser_->walk(limits);
        if (!values_.empty()) return true;
        error = find_fault(text, limits);
    }
    text_ = {};
    return false;
}

std::size_t Document::capacity() const noexcept { return parser_->memory.capacity(); }

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
