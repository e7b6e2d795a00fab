#include "core/json_fault.hpp"

#include <fmt/format.h>

namespace eventyard::json {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

class FaultFinder {
public:
    FaultFinder(std::string_view text, const Limits& limits) : text_(text), limits_(limits) {}

    SyntaxError find()
    {
        if (!document()) return std::move(error_);
        // Not reached as long as the walk and this agree on the grammar; tests compare them.
        return {0, false, "the text is not JSON"};
    }

private:
    bool ended() const noexcept { return at_ == text_.size(); }
    bool next_is(char c) const noexcept { return !ended() && text_[at_] == c; }

    /// Refuses the byte at hand, or the end.
    bool refuse(std::string_view expected)
    {
        error_.offset = at_;
        if (ended()) {
            error_.message = fmt::format("{}, but the text ends", expected);
            return false;
        }
        const auto byte = static_cast<unsigned char>(text_[at_]);
        error_.message = byte > 0x20 && byte < 0x7f
                             ? fmt::format("{}, not '{}'", expected, text_[at_])
                             : fmt::format("{}, not byte 0x{:02x}", expected, byte);
        return false;
    }

    void blanks() noexcept
    {
        while (!ended() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' ||
                            text_[at_] == '\t'))
            ++at_;
    }

    bool document()
    {
        if (text_.substr(0, 3) == "\xef\xbb\xbf") {
            error_ = {0, false, "a byte order mark is not allowed"};
            return false;
        }
        blanks();
        for (;;) {
            bool opened = false;
            if (!value(opened)) return false;
            if (opened) continue;
            if (!after_value()) return false;
            if (open_.empty()) break;
        }
        blanks();
        return ended() || refuse("expected nothing but blanks after the value");
    }

    /// One scalar, an empty container, or a container up to its first value.
    bool value(bool& opened)
    {
        if (ended()) return refuse("expected a value");
        switch (text_[at_]) {
            case '{':
            case '[': return container(opened);
            case '"': return string();
            case 't': return literal("true");
            case 'f': return literal("false");
            case 'n': return literal("null");
            default:
                return text_[at_] == '-' || is_digit(text_[at_]) ? number() : refuse("expected a value");
        }
    }

    bool container(bool& opened)
    {
        if (open_.size() >= limits_.depth) {
            error_ = {at_, true,
                      fmt::format("more than {} arrays and objects inside one another", limits_.depth)};
            return false;
        }
        const bool object = text_[at_++] == '{';
        blanks();
        if (next_is(object ? '}' : ']')) {
            ++at_;
            return true;
        }
        opened = true;
        open_.push_back(object ? '}' : ']');
        if (object) return member_name("expected a member name in quotes or '}'");
        // Tell the reader of "[" or "[x" that the array may end here, too.
        if (ended() || std::string_view{"{[\"tfn-0123456789"}.find(text_[at_]) == std::string_view::npos)
            return refuse("expected a value or ']'");
        return true;
    }

    bool member_name(std::string_view expected)
    {
        if (!next_is('"')) return refuse(expected);
        if (!string()) return false;
        blanks();
        if (!next_is(':')) return refuse("expected ':' after a member name");
        ++at_;
        blanks();
        return true;
    }

    /// Ends containers until a comma asks for another value; that value's name is read here.
    bool after_value()
    {
        while (!open_.empty()) {
            blanks();
            const bool object = open_.back() == '}';
            if (next_is(open_.back())) {
                ++at_;
                open_.pop_back();
                continue;
            }
            if (!next_is(','))
                return refuse(object ? "expected ',' or '}' after a member"
                                     : "expected ',' or ']' after an element");
            ++at_;
            blanks();
            return !object || member_name("expected a member name in quotes after ','");
        }
        return true;
    }

    bool literal(std::string_view word)
    {
        for (const char c : word) {
            if (!next_is(c)) return refuse(fmt::format("expected '{}'", word));
            ++at_;
        }
        return true;
    }

    bool digits(std::string_view expected)
    {
        if (ended() || !is_digit(text_[at_])) return refuse(expected);
        while (!ended() && is_digit(text_[at_])) ++at_;
        return true;
    }

    bool number()
    {
        if (next_is('-')) ++at_;
        if (next_is('0')) {
            ++at_;
            if (!ended() && is_digit(text_[at_])) return refuse("a number has no leading zeros");
        } else if (!digits("expected a digit")) {
            return false;
        }
        if (next_is('.')) {
            ++at_;
            if (!digits("expected a digit after the decimal point")) return false;
        }
        if (next_is('e') || next_is('E')) {
            ++at_;
            if (next_is('+') || next_is('-')) ++at_;
            if (ended() || !is_digit(text_[at_])) return refuse("expected a digit in the exponent");
            while (next_is('0')) ++at_;
            for (int count = 0; !ended() && is_digit(text_[at_]); ++count, ++at_)
                if (count == exponent_digits_max) {
                    error_ = {at_, false,
                              fmt::format("a number's exponent has more than {} digits",
                                          exponent_digits_max)};
                    return false;
                }
        }
        return true;
    }

    bool string()
    {
        ++at_;
        for (;;) {
            if (ended()) return refuse("a string must end with '\"'");
            const auto byte = static_cast<unsigned char>(text_[at_]);
            if (byte == '"') {
                ++at_;
                return true;
            }
            if (byte < 0x20) return refuse("a control character in a string must be written as an escape");
            if (byte == '\\' ? !escape() : !character(byte)) return false;
        }
    }

    bool escape()
    {
        ++at_;
        if (next_is('u')) {
            ++at_;
            for (int i = 0; i < 4; ++i, ++at_)
                if (ended() || std::string_view{"0123456789abcdefABCDEF"}.find(text_[at_]) ==
                                   std::string_view::npos)
                    return refuse("expected four hex digits after '\\u'");
            return true;
        }
        if (ended() || std::string_view{"\"\\/bfnrt"}.find(text_[at_]) == std::string_view::npos)
            return refuse("expected one of \" \\ / b f n r t u after a backslash");
        ++at_;
        return true;
    }

    /// One UTF-8 sequence, by the table of well-formed sequences (Unicode, table 3-7).
    bool character(unsigned char lead)
    {
        constexpr std::string_view why = "invalid UTF-8";
        int more = 0;
        unsigned char low = 0x80, high = 0xbf;  // bounds of the second byte
        if (lead < 0x80) more = 0;
        else if (lead >= 0xc2 && lead <= 0xdf) more = 1;
        else if (lead >= 0xe0 && lead <= 0xef) more = 2;
        else if (lead >= 0xf0 && lead <= 0xf4) more = 3;
        else return bad_utf8(why);
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;  // surrogates
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;  // above U+10FFFF
        ++at_;
        for (; more > 0; --more, ++at_) {
            const auto byte = ended() ? 0 : static_cast<unsigned char>(text_[at_]);
            if (byte < low || byte > high) return bad_utf8(why);
            low = 0x80;
            high = 0xbf;
        }
        return true;
    }

    bool bad_utf8(std::string_view why)
    {
        error_.offset = at_;
        error_.message = ended() ? fmt::format("{}: the text ends inside a character", why)
                                 : fmt::format("{}: byte 0x{:02x} cannot stand here", why,
                                               static_cast<unsigned char>(text_[at_]));
        return false;
    }

    std::string_view text_;
    Limits limits_;
    std::size_t at_ = 0;
    std::string open_;  // the closing brackets that are due, innermost last
    SyntaxError error_;
};

}  // namespace

SyntaxError find_fault(std::string_view text, const Limits& limits)
{
    return FaultFinder{text, limits}.find();
}

}  // namespace eventyard::json
