// tests/draws/tree.hpp — a JSON text as it is drawn: patterns and events alike.
//
// Repeated keys, number text and odd spellings of strings are kept.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/draws/random.hpp"

namespace eventyard::draws {

struct Tree {
    enum class Kind : std::uint8_t { literal, number, string, array, object };

    Kind kind = Kind::literal;
    std::string text = "null";  // string: decoded; number and literal: as written
    std::string spelled;        // string: the JSON text if it is not the plain one
    std::string key;            // members: decoded
    std::string key_spelled;    // members: the JSON text if it is not the plain one
    std::vector<Tree> items;    // array: elements; object: members

    static Tree string(std::string text) { return {Kind::string, std::move(text), {}, {}, {}, {}}; }
    static Tree number(std::string text) { return {Kind::number, std::move(text), {}, {}, {}, {}}; }
    static Tree literal(std::string text) { return {Kind::literal, std::move(text), {}, {}, {}, {}}; }
    static Tree array(std::vector<Tree> items = {}) { return {Kind::array, {}, {}, {}, {}, std::move(items)}; }
    static Tree object() { return {Kind::object, {}, {}, {}, {}, {}}; }
    /// {"key": value}
    static Tree object(std::string key, Tree value);

    [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
    [[nodiscard]] bool is_scalar() const noexcept { return kind < Kind::array; }
    void add(std::string member_key, Tree value);
    void write(std::string& out) const;
    [[nodiscard]] std::string json() const;
};

/// `text` cut after each code point (three-byte surrogates are one).
[[nodiscard]] std::vector<std::string> code_points(std::string_view text);
/// A dotted key's names: k dots make k + 1.
[[nodiscard]] std::vector<std::string> names_of(std::string_view key);
/// `text` as a JSON string with needless escapes.
[[nodiscard]] std::string spell_oddly(std::string_view text, Dice& random);

/// How an event is written, as far as it changes what may be asked of it.
struct Spelling {
    bool dotted = false;    // a key with a dot
    bool repeated = false;  // two keys of one object begin with the same name
    bool mixed = false;     // such two hold an array and an object (or a dotted key)
};
[[nodiscard]] Spelling spelling_of(const Tree& event);

}  // namespace eventyard::draws
