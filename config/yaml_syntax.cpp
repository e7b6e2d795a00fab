#include "config/yaml_syntax.hpp"

#include <yaml-cpp/exceptions.h>

#include <algorithm>

namespace eventyard::config {
namespace {

namespace msg = YAML::ErrorMsg;
constexpr std::size_t npos = std::string_view::npos;

char at(std::string_view text, std::size_t offset)
{
    return offset < text.size() ? text[offset] : '\0';
}

std::size_t line_begin(std::string_view text, std::size_t offset)
{
    if (offset == 0) return 0;
    const std::size_t newline = text.rfind('\n', offset - 1);
    return newline == npos ? 0 : newline + 1;
}

/// The blanks before the first thing on the line hold a tab: its offset.
std::size_t tab_in_indentation(std::string_view text, std::size_t offset)
{
    for (std::size_t i = line_begin(text, offset); i < text.size(); ++i) {
        if (text[i] == '\t') return i;
        if (text[i] != ' ') break;
    }
    return npos;
}

/// The word at `offset`, as far as a plain value would go.
std::string word_at(std::string_view text, std::size_t offset)
{
    const std::size_t end = std::min(text.find_first_of(" \t\r\n,]}", offset), text.size());
    std::string word(text.substr(offset, std::min<std::size_t>(end - std::min(offset, end), 40)));
    return word;
}

/// Where the quoted text that never ended began: the first quote after the last complete value.
std::size_t open_quote(std::string_view text, const YamlFault& fault)
{
    std::size_t i = fault.last_value;
    if (const std::size_t end = quoted_end(text, i); end != npos) i = end;
    for (; i < text.size(); ++i) {
        const char before = i == 0 ? ' ' : text[i - 1];
        if ((text[i] == '"' || text[i] == '\'') && std::string_view(" \t\n[{,:-").find(before) != npos)
            return i;
    }
    return fault.offset;
}

/// The last '>' or '|' before the fault on its line, or npos.
std::size_t block_sign(std::string_view text, std::size_t offset)
{
    const std::size_t begin = line_begin(text, offset);
    const std::size_t found = text.substr(0, std::min(offset + 1, text.size())).find_last_of("|>");
    return found == npos || found < begin ? npos : found;
}

bool in_flow(std::string_view text, const YamlFault& fault)
{
    return std::any_of(fault.open.begin(), fault.open.end(), [text](std::size_t offset) {
        return at(text, offset) == '[' || at(text, offset) == '{';
    });
}

YamlAdvice unclosed(std::string_view text, const YamlFault& fault)
{
    for (std::size_t i = fault.open.size(); i-- > 0;) {
        const char sign = at(text, fault.open[i]);
        if (sign != '[' && sign != '{') continue;
        // A fault before the end of the text is where something else than ',' or the end came.
        const char* close = sign == '[' ? "]" : "}";
        return {fault.open[i], std::string("this '") + sign + "' has no matching '" + close +
                                   "', or a ',' is missing in it"};
    }
    return {fault.offset, "a '[' or '{' is never closed"};
}

/// A plain text that starts with a sign YAML keeps for itself.
YamlAdvice reserved(std::string_view text, std::size_t offset)
{
    const char sign = at(text, offset);
    const std::string word = word_at(text, offset);
    if (sign == '>' || sign == '|')
        return {offset, "'" + word + "' must be quoted here: \"" + word + "\""};
    if (sign == '@' || sign == '`' || sign == '%')
        return {offset, std::string("plain text cannot start with '") + sign +
                            "'; quote it: '" + word + "'"};
    return {offset, "unexpected '" + word + "'; if it is text, quote it"};
}

YamlAdvice alias(std::string_view text, std::size_t offset)
{
    std::size_t star = std::min(offset, text.empty() ? 0 : text.size() - 1);
    while (star > 0 && text[star] != '*' && text[star] != '\n') --star;
    if (at(text, star) != '*') star = offset;
    const std::string word = word_at(text, star);
    return {star, "'" + word + "' is read as an alias and there is no anchor of that name before it; "
                               "a wildcard must be quoted: \"" + word + "\""};
}

/// A value has ended and something stands where the next key should.
YamlAdvice after_value(std::string_view text, const YamlFault& fault)
{
    const char sign = at(text, fault.last_value);
    const std::size_t same_line = line_begin(text, fault.offset);
    if ((sign == '\'' || sign == '"') && same_line <= fault.last_value)
        return {fault.offset, std::string("text goes on after the closing ") + sign +
                                  "; quote the whole of it" +
                                  (sign == '\'' ? ", and write '' for a ' inside" : "")};
    if (at(text, fault.offset) == '-')
        return {fault.offset, "a list item cannot stand here; check the indentation"};
    return {fault.offset, "this does not belong to what stands above it; check the indentation"};
}

}  // namespace

std::size_t quoted_end(std::string_view text, std::size_t begin) noexcept
{
    const char quote = at(text, begin);
    if (quote != '"' && quote != '\'') return begin;
    for (std::size_t i = begin + 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') ++i;
        else if (quote == '\'' && text[i] == quote && at(text, i + 1) == quote) ++i;
        else if (text[i] == quote) return i + 1;
    }
    return npos;
}

YamlAdvice advise(std::string_view text, const YamlFault& fault)
{
    const std::string& reason = fault.reason;
    if (const std::size_t tab = tab_in_indentation(text, fault.offset);
        tab != npos && tab < fault.offset)
        return {tab, "a tab cannot indent in YAML; use spaces"};
    if (reason == msg::UNKNOWN_ANCHOR || reason == msg::ALIAS_NOT_FOUND ||
        reason == msg::CHAR_IN_ALIAS)
        return alias(text, fault.offset);
    if (reason == msg::ANCHOR_NOT_FOUND || reason == msg::CHAR_IN_ANCHOR)
        return {fault.offset, "'&' starts an anchor; if it is text, quote it"};
    if (reason == msg::UNKNOWN_TOKEN) return reserved(text, fault.offset);
    if (reason == msg::CHAR_IN_BLOCK || reason == msg::ZERO_INDENT_IN_BLOCK) {
        const std::size_t sign = block_sign(text, fault.offset);
        if (sign == npos) return {fault.offset, "unexpected text after the start of a text block"};
        const std::string word = word_at(text, sign);
        return {sign, "'" + word + "' starts a block of text in YAML; quote an operator: \"" + word +
                          "\""};
    }
    if (reason == msg::EOF_IN_SCALAR)
        return {open_quote(text, fault), "this quoted text is never closed"};
    if (reason == msg::END_OF_MAP_FLOW || reason == msg::END_OF_SEQ_FLOW)
        return unclosed(text, fault);
    if (reason == msg::END_OF_MAP || reason == msg::END_OF_SEQ) return after_value(text, fault);
    if (reason == msg::FLOW_END && in_flow(text, fault)) return unclosed(text, fault);
    if (reason == msg::FLOW_END)
        return {fault.offset, std::string("'") + at(text, fault.offset) +
                                  "' closes nothing; if it is text, quote it"};
    if (reason == msg::BLOCK_ENTRY)
        return {fault.offset, "a list item ('- ') cannot stand here; start it on a line of its own"};
    if (reason == msg::MAP_VALUE || reason == msg::MAP_KEY)
        return {fault.offset,
                "a key cannot stand here; check the indentation, or quote text that holds ': '"};
    if (reason.rfind(msg::INVALID_ESCAPE, 0) == 0)
        return {fault.offset > 2 ? fault.offset - 2 : 0,
                "'\\" + reason.substr(std::string_view(msg::INVALID_ESCAPE).size()) +
                    "' is no escape in double quotes; write it in single quotes, where a backslash "
                    "is a backslash"};
    if (reason.rfind(msg::INVALID_UNICODE, 0) == 0 || reason == msg::INVALID_HEX)
        return {fault.offset,
                "this escape is no character; half a surrogate pair cannot be written in YAML, "
                "write the character itself"};
    if (reason == msg::TAB_IN_INDENTATION)
        return {fault.offset, "a tab cannot indent in YAML; use spaces"};
    if (reason == msg::DOC_IN_SCALAR)
        return {open_quote(text, fault), "this quoted text is never closed"};
    return {fault.offset, "not YAML: " + reason};
}

std::size_t find_bad_byte(std::string_view text) noexcept
{
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x80) {
            if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return i;
            ++i;
            continue;
        }
        const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (c < 0xc2 || c > 0xf4 || i + length > text.size()) return i;
        const auto second = static_cast<unsigned char>(text[i + 1]);
        if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
            (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
            return i;
        for (std::size_t k = 1; k < length; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
        i += length;
    }
    return npos;
}

}  // namespace eventyard::config
