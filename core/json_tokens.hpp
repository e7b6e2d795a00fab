// core/json_tokens.hpp — one JSON text as simdjson's first stage sees it: where its tokens begin.
//
// A structural is the offset of a brace, bracket, colon, comma, opening quote, or first byte of
// another scalar, all outside strings; one past the last stands the text's size. index() finds faults
// of UTF-8, unclosed strings and control characters; the grammar is for the caller to check.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/json_fault.hpp"

namespace eventyard::json {

/// Memory that is kept between texts but not after an unusually large one.
class Buffer {
public:
    char* at_least(std::size_t size);

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
};

class Tokens {
public:
    /// `text` has Document::padding readable bytes after its end. False when it is no JSON.
    [[nodiscard]] bool index(std::string_view text);
    /// As index(), of about the first `reach` bytes of a text that is known to be JSON; the last token may be cut off.
    /// False: it cannot be told where to cut, or index() was never asked.
    [[nodiscard]] bool index_start(std::string_view text, std::size_t reach);

    const char* base = nullptr;
    std::size_t size = 0;
    const std::uint32_t* next = nullptr;  // the structural to read next
    const std::uint32_t* last = nullptr;  // one past the last; *last == size

    /// What begins at a structural; `limit` is the structural after it. `end` is one past its last byte.
    /// A string: decoded into `out`, which stays valid until the next index().
    [[nodiscard]] bool read_string(std::uint32_t begin, std::uint32_t limit, std::string_view& out, bool& lone_surrogate,
                                   std::uint32_t& end)
    {
        // Only blanks can stand between the closing quote and the next structural.
        const char* close = base + limit - 1;
        while (static_cast<unsigned char>(*close) <= ' ') --close;
        const char* const first = base + begin + 1;
        if (close < first || *close != '"') return false;
        end = static_cast<std::uint32_t>(close + 1 - base);
        if (!escapes_ || std::memchr(first, '\\', static_cast<std::size_t>(close - first)) == nullptr) {
            out = {first, static_cast<std::size_t>(close - first)};
            return true;
        }
        return decode(first, close, out, lone_surrogate);
    }
    [[nodiscard]] bool read_number(std::uint32_t begin, std::uint32_t limit, std::uint32_t& end) const noexcept
    {
        const char* p = base + begin;
        const char* const stop = base + limit;
        if (*p == '-') ++p;
        if (p == stop || !is_digit(*p)) return false;
        if (*p == '0') ++p;
        else p = skip_digits(p, stop);
        if (p != stop && *p == '.') {
            ++p;
            if (p == stop || !is_digit(*p)) return false;
            p = skip_digits(p, stop);
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
    [[nodiscard]] bool read_literal(std::string_view word, std::uint32_t begin, std::uint32_t limit,
                                    std::uint32_t& end) const noexcept
    {
        if (limit - begin < word.size() || std::memcmp(base + begin, word.data(), word.size()) != 0) return false;
        end = begin + static_cast<std::uint32_t>(word.size());
        return end == limit || is_blank(base[end]);
    }

private:
    static bool is_blank(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    static bool is_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') < 10; }
    /// Eight at a time; the padding after the text lets the last load go beyond it.
    static const char* skip_digits(const char* p, const char* stop) noexcept
    {
        for (;; p += 8) {
            std::uint64_t word;
            std::memcpy(&word, p, sizeof word);
            // A byte is a digit when its upper half is 3, also after adding 6.
            constexpr std::uint64_t upper = 0xf0f0f0f0f0f0f0f0, threes = 0x3030303030303030, sixes = 0x0606060606060606;
            const std::uint64_t wrong = ((word & upper) ^ threes) | (((word + sixes) & upper) ^ threes);
            if (wrong != 0) return std::min(p + __builtin_ctzll(wrong) / 8, stop);
            if (stop - p <= 8) return stop;
        }
    }
    [[nodiscard]] bool index_bytes(std::size_t count);
    [[nodiscard]] bool decode(const char* first, const char* close, std::string_view& out, bool& lone_surrogate);

    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1_;
    Buffer decoded_;               // strings that hold escapes
    char* decoded_end_ = nullptr;  // null: none in this text yet
    bool escapes_ = false;         // the text holds a backslash
};

}  // namespace eventyard::json
