// The strict reader of JSON pattern text: see docs/adr/0003.
#include <fmt/format.h>

#include "rules/pattern.hpp"

namespace eventyard::rules {
namespace {

constexpr int depth_max = 1000;

class Reader {
public:
    Reader(std::string_view text, const Place& start, Report& report)
        : text_(text), start_(start), report_(report)
    {
        if (start_.line == 0) start_.line = start_.column = 1;
    }

    std::optional<Node> read()
    {
        if (text_.starts_with("\xef\xbb\xbf")) {
            refuse("a byte order mark is not JSON");
            return std::nullopt;
        }
        Node root;
        blanks();
        if (at_ == text_.size()) refuse("the pattern is empty; it must be an object");
        if (failed_ || !value(root, 0)) return std::nullopt;
        blanks();
        if (at_ < text_.size()) refuse("nothing may follow the pattern");
        if (failed_) return std::nullopt;
        return root;
    }

private:
    /// The place of byte `at_`; lines are counted as reading goes on, never from the start again.
    Place here()
    {
        for (; counted_ < at_; ++counted_)
            if (text_[counted_] == '\n') {
                ++lines_;
                line_begin_ = counted_ + 1;
            }
        const auto column = static_cast<std::uint32_t>(at_ - line_begin_);
        return {start_.file, start_.line + lines_,
                lines_ == 0 ? start_.column + column : column + 1};
    }

    bool refuse(std::string message)
    {
        if (!failed_) report_.error(here(), std::move(message));
        failed_ = true;
        return false;
    }

    bool unexpected(std::string_view wanted)
    {
        if (at_ >= text_.size())
            return refuse(fmt::format("the text ends where {} was expected", wanted));
        const auto c = static_cast<unsigned char>(text_[at_]);
        if (c == '/')
            return refuse(fmt::format("expected {}, found '/': JSON has no comments", wanted));
        if (c > 0x20 && c < 0x7f)
            return refuse(fmt::format("expected {}, found '{}'", wanted, static_cast<char>(c)));
        return refuse(fmt::format("expected {}, found byte 0x{:02x}", wanted, c));
    }

    [[nodiscard]] char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
    [[nodiscard]] bool at(char c) const noexcept { return at_ < text_.size() && text_[at_] == c; }
    [[nodiscard]] bool digit() const noexcept { return peek() >= '0' && peek() <= '9'; }

    void blanks() noexcept
    {
        while (at(' ') || at('\t') || at('\n') || at('\r')) ++at_;
    }

    bool word(std::string_view name, Node::Kind kind, Node& out)
    {
        if (text_.substr(at_, name.size()) != name) return unexpected("a value");
        at_ += name.size();
        out.kind = kind;
        out.text = name;
        return true;
    }

    bool value(Node& out, int depth)
    {
        out.place = here();
        if (depth > depth_max)
            return refuse(fmt::format("more than {} levels inside one another", depth_max));
        switch (peek()) {
            case '{': return object(out, depth);
            case '[': return list(out, depth);
            case '"': out.kind = Node::Kind::string; return string(out.text);
            case 't': return word("true", Node::Kind::boolean, out);
            case 'f': return word("false", Node::Kind::boolean, out);
            case 'n': return word("null", Node::Kind::null, out);
            default: break;
        }
        return at('-') || digit() ? number(out) : unexpected("a value");
    }

    bool object(Node& out, int depth)
    {
        out.kind = Node::Kind::map;
        ++at_;
        blanks();
        if (at('}')) return ++at_, true;
        for (;;) {
            Member member;
            blanks();
            member.key_place = here();
            if (!at('"')) return unexpected("a field name in double quotes");
            if (!string(member.key)) return false;
            blanks();
            if (!at(':')) return unexpected("':' after the field name");
            ++at_;
            blanks();
            if (!value(member.value, depth + 1)) return false;
            out.members.push_back(std::move(member));
            blanks();
            if (at('}')) return ++at_, true;
            if (!at(',')) return unexpected("',' or '}'");
            ++at_;
        }
    }

    bool list(Node& out, int depth)
    {
        out.kind = Node::Kind::list;
        ++at_;
        blanks();
        if (at(']')) return ++at_, true;
        for (;;) {
            blanks();
            if (!value(out.items.emplace_back(), depth + 1)) return false;
            blanks();
            if (at(']')) return ++at_, true;
            if (!at(',')) return unexpected("',' or ']'");
            ++at_;
        }
    }

    bool digits()
    {
        if (!digit()) return unexpected("a digit");
        while (digit()) ++at_;
        return true;
    }

    bool number(Node& out)
    {
        const std::size_t begin = at_;
        if (at('-')) ++at_;
        if (at('0')) {
            ++at_;
            if (digit()) return refuse("a number must not begin with 0");
        } else if (!digits()) {
            return false;
        }
        if (at('.') && (++at_, !digits())) return false;
        if (at('e') || at('E')) {
            ++at_;
            if (at('+') || at('-')) ++at_;
            if (!digits()) return false;
        }
        out.kind = Node::Kind::number;
        out.text = text_.substr(begin, at_ - begin);
        return true;
    }

    static void append_utf8(std::string& out, std::uint32_t point)
    {
        const auto byte = [&](std::uint32_t b) { out += static_cast<char>(b); };
        if (point < 0x80) return byte(point);
        if (point < 0x800) {
            byte(0xc0 | (point >> 6));
        } else if (point < 0x10000) {
            byte(0xe0 | (point >> 12));
            byte(0x80 | ((point >> 6) & 0x3f));
        } else {
            byte(0xf0 | (point >> 18));
            byte(0x80 | ((point >> 12) & 0x3f));
            byte(0x80 | ((point >> 6) & 0x3f));
        }
        byte(0x80 | (point & 0x3f));
    }

    /// Four hex digits; nothing when they are not there.
    [[nodiscard]] std::optional<std::uint32_t> hex4(std::size_t from) const noexcept
    {
        if (from + 4 > text_.size()) return std::nullopt;
        std::uint32_t unit = 0;
        for (const char c : text_.substr(from, 4)) {
            const int nibble = c >= '0' && c <= '9'   ? c - '0'
                               : c >= 'a' && c <= 'f' ? c - 'a' + 10
                               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                      : -1;
            if (nibble < 0) return std::nullopt;
            unit = unit << 4 | static_cast<std::uint32_t>(nibble);
        }
        return unit;
    }

    bool escape(std::string& out)
    {
        const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        constexpr std::string_view names = "\"\\/bfnrt";
        constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
        if (const auto i = names.find(c); c != '\0' && i != std::string_view::npos) {
            out += meant[i];
            at_ += 2;
            return true;
        }
        if (c != 'u')
            return refuse(R"(invalid escape: JSON has \" \\ \/ \b \f \n \r \t and \u; )"
                          R"(a backslash itself is written \\)");
        const auto unit = hex4(at_ + 2);
        if (!unit) return refuse(R"(\u must be followed by four hexadecimal digits)");
        at_ += 6;
        std::uint32_t point = *unit;
        if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
            const auto low = hex4(at_ + 2);
            if (low && *low >= 0xdc00 && *low < 0xe000) {
                point = 0x10000 + ((point - 0xd800) << 10) + (*low - 0xdc00);
                at_ += 6;
            }
        }
        append_utf8(out, point);  // a lone surrogate gets its three-byte form
        return true;
    }

    /// The length of the well-formed UTF-8 sequence at `at_`, 0 when there is none.
    [[nodiscard]] std::size_t sequence() const noexcept
    {
        const auto byte = [&](std::size_t i) -> unsigned {
            return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0U;
        };
        const unsigned lead = byte(0);
        const std::size_t size = lead < 0x80                    ? 1
                                 : lead >= 0xc2 && lead <= 0xdf ? 2
                                 : lead >= 0xe0 && lead <= 0xef ? 3
                                 : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                                : 0;
        for (std::size_t i = 1; i < size; ++i)
            if ((byte(i) & 0xc0) != 0x80) return 0;
        const unsigned second = byte(1);
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
            (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
            return 0;
        return size;
    }

    bool string(std::string& out)
    {
        const std::size_t opening = at_++;
        for (;;) {
            if (at_ >= text_.size()) {
                at_ = opening;
                return refuse("this string has no closing quote");
            }
            const char c = text_[at_];
            if (c == '"') return ++at_, true;
            if (c == '\\') {
                if (!escape(out)) return false;
            } else if (static_cast<unsigned char>(c) < 0x20) {
                return refuse("a control character in a string must be written as an escape");
            } else {
                const std::size_t size = sequence();
                if (size == 0) return refuse("invalid UTF-8");
                out += text_.substr(at_, size);
                at_ += size;
            }
        }
    }

    std::string_view text_;
    Place start_;
    Report& report_;
    std::size_t at_ = 0;
    std::size_t counted_ = 0;
    std::size_t line_begin_ = 0;
    std::uint32_t lines_ = 0;
    bool failed_ = false;
};

}  // namespace

std::optional<Node> read_pattern_text(std::string_view json, const Place& start, Report& report)
{
    return Reader(json, start, report).read();
}

}  // namespace eventyard::rules
