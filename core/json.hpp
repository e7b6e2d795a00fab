// core/json.hpp — reads one JSON text exactly as RFC 8259 says, losing nothing.
//
// One validating walk over simdjson's structural index (stage 1) fills a flat list of values:
// duplicate members, number text, and every \u escape are kept, UTF-8 is checked, and nothing but
// blanks may follow the root. simdjson's own DOM and On-Demand either drop some of that or do not
// check all of it. The one text of the grammar that is refused is a number whose exponent has more
// than 18 digits (leading zeros not counted). A lone surrogate escape is decoded to its three-byte
// form (as in WTF-8) and flagged, see docs/patterns.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace eventyard::json {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

/// One value. Values lie in document order (pre-order): a container is followed by its children,
/// and `next` is the index just past its last descendant, so `for (i = c + 1; i < v[c].next; i =
/// v[i].next)` visits the children of c. In an object each child has its member name in `key`.
struct Value {
    Kind kind = Kind::null;
    bool truth = false;           // boolean: its value
    bool lone_surrogate = false;  // string: holds a lone surrogate
    bool key_lone_surrogate = false;
    std::uint32_t next = 0;
    std::uint32_t begin = 0;      // the value's source text is [begin, end) of the parsed text
    std::uint32_t end = 0;
    std::string_view key;         // member name, decoded; empty outside objects
    std::string_view text;        // string: decoded; number: source text
};

struct Limits {
    std::uint32_t depth = 1000;   // containers inside one another
};

/// Why a text was refused: `offset` in bytes from its start is the first byte at which no valid text
/// can go on (the size, when the text ends too early), `message` one line, no place in it.
struct SyntaxError {
    std::size_t offset = 0;
    bool too_deep = false;        // the depth limit, not the grammar
    std::string message;          // e.g. "expected ',' or '}' after a member"
};

/// A parsed text. Reuse one object for many texts: it keeps its memory.
class Document {
public:
    Document();
    ~Document();
    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;

    /// Parses `text`, which is copied into a padded buffer of this object.
    /// On failure the document is empty and `error` says why.
    [[nodiscard]] bool parse(std::string_view text, const Limits& limits, SyntaxError& error);
    /// As parse, for text that stays valid as long as this document is used and has at least
    /// `padding` readable bytes (of any content) after its end.
    [[nodiscard]] bool parse_padded(std::string_view text, const Limits& limits, SyntaxError& error);
    static constexpr std::size_t padding = 64;

    [[nodiscard]] std::span<const Value> values() const noexcept { return values_; }
    /// Values that there is memory for.
    [[nodiscard]] std::size_t capacity() const noexcept;
    [[nodiscard]] const Value& root() const noexcept { return values_.front(); }
    [[nodiscard]] bool empty() const noexcept { return values_.empty(); }
    /// The source text of a value.
    [[nodiscard]] std::string_view source(const Value& value) const noexcept
    {
        return text_.substr(value.begin, value.end - value.begin);
    }
    [[nodiscard]] std::string_view source() const noexcept { return text_; }
    /// The last member of that name in the object at `index`; null when absent.
    [[nodiscard]] const Value* member(std::uint32_t index, std::string_view key) const noexcept;

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
    std::span<const Value> values_;  // in memory of the parser
    std::string_view text_;
};

/// Appends `text` as a JSON string, quotes included. Three-byte surrogates are written back as \u
/// escapes.
void append_quoted(std::string& out, std::string_view text);

}  // namespace eventyard::json
