#include "router/state/fingerprint.hpp"

#include <algorithm>

namespace eventyard::router {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool in_word(char c) noexcept { return is_digit(c) || is_letter(c) || c == '_'; }

/// Numbers, ids and hexadecimal; words such as "utf8" go with them, which does no harm.
bool varies(std::string_view word)
{
    if (std::any_of(word.begin(), word.end(), is_digit)) return true;
    const auto hex = [](char c) { return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
    return word.size() >= 8 && std::all_of(word.begin(), word.end(), hex);
}

bool is_status(std::string_view text, std::size_t at, std::string_view word)
{
    return word.size() == 3 && at >= 5 && text.substr(at - 5, 5) == "HTTP ";
}

/// What joins the parts of one address, time or id: "#.#.#.#:#" is one '#'.
bool joins(char c) noexcept { return c == '.' || c == ':' || c == '-' || c == '/' || c == '#'; }

void append_word(std::string& out, std::string_view word)
{
    if (!varies(word)) {
        out += word;
        return;
    }
    std::size_t end = out.size();
    while (end > 0 && joins(out[end - 1]) && out[end - 1] != '#') --end;
    if (end > 0 && out[end - 1] == '#' && end < out.size())
        out.resize(end);
    else
        out += '#';
}

std::string normalised(std::string_view text)
{
    std::string out;
    for (std::size_t at = 0; at < text.size() && out.size() < fingerprint_max;) {
        const char c = text[at];
        if (in_word(c)) {
            std::size_t end = at;
            while (end < text.size() && in_word(text[end])) ++end;
            const std::string_view word = text.substr(at, end - at);
            if (is_status(text, at, word))
                out += word;
            else
                append_word(out, word);
            at = end;
            continue;
        }
        ++at;
        const bool printable = c > ' ' && c < 0x7f;
        if (printable)
            out += c;
        else if (c < 0 || c == 0x7f)  // beyond ASCII: one mark for a run of it
            out += out.empty() || out.back() != '?' ? "?" : "";
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    if (out.size() > fingerprint_max) out.resize(fingerprint_max);
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}  // namespace

std::string fingerprint(std::string_view detail, std::string_view response)
{
    std::string out = normalised(detail);
    const std::string said = normalised(response);
    if (said.empty()) return out;
    if (!out.empty()) out += ": ";
    out += said;
    if (out.size() > fingerprint_max) out.resize(fingerprint_max);
    return out;
}

}  // namespace eventyard::router
