#include "rules/engine/literals.hpp"

#include <algorithm>
#include <string_view>

namespace eventyard::rules {

std::string required_prefix(const re2::RE2& regex)
{
    constexpr int size_max = 64;
    std::string low, high;
    if (!regex.PossibleMatchRange(&low, &high, size_max)) return {};
    // Whatever lies between both begins as both do.
    const auto [in_low, in_high] = std::mismatch(low.begin(), low.end(), high.begin(), high.end());
    return {low.begin(), in_low};
}

std::string required_piece(const re2::RE2& regex)
{
    const std::string_view text = regex.pattern();
    // Flags change what letters mean, \Q and \C what backslashes do: not for this simple reader.
    if (text.find("(?") != std::string_view::npos || text.find("\\Q") != std::string_view::npos ||
        text.find("\\C") != std::string_view::npos)
        return {};
    std::string best, run;
    const auto end_run = [&] {
        if (run.size() > best.size()) best = run;
        run.clear();
    };
    int depth = 0;  // of groups
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        std::string plain;
        if (c == '\\') {
            if (++i == text.size()) return {};
            const char escaped = text[i];
            const bool letter = (escaped >= 'a' && escaped <= 'z') || (escaped >= 'A' && escaped <= 'Z') ||
                                (escaped >= '0' && escaped <= '9');
            if (letter) {
                // A class, a boundary or a code: its operand, if any, must not be taken for text.
                if (escaped == 'x' || escaped == 'p' || escaped == 'P' || (escaped >= '0' && escaped <= '9')) return {};
                end_run();
                continue;
            }
            plain = escaped;
        } else if (c == '[') {
            // A class ends at the first ']' that is not its first character.
            end_run();
            ++i;
            if (i < text.size() && text[i] == '^') ++i;
            if (i < text.size() && text[i] == ']') ++i;
            for (; i < text.size() && text[i] != ']'; ++i) {
                if (text[i] == '\\') ++i;
                if (i + 1 < text.size() && text[i] == '[' && text[i + 1] == ':') {
                    const auto close = text.find(":]", i + 2);
                    if (close != std::string_view::npos) i = close + 1;
                }
            }
            continue;
        } else if (c == '(' || c == ')') {
            end_run();
            depth += c == '(' ? 1 : -1;
            continue;
        } else if (c == '|') {
            if (depth == 0) return {};
            continue;
        } else if (c == '.' || c == '^' || c == '$' || c == '+') {
            end_run();
            continue;
        } else if (c == '?' || c == '*') {
            end_run();
            continue;
        } else if (c == '{') {
            end_run();
            const auto close = text.find('}', i);
            if (close != std::string_view::npos) i = close;
            continue;
        } else {
            plain = c;
            // A code point of several bytes is repeated as a whole.
            while (i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xc0) == 0x80) plain += text[++i];
        }
        if (depth > 0) continue;
        const char after = i + 1 < text.size() ? text[i + 1] : '\0';
        if (after == '?' || after == '*' || after == '{') {
            end_run();
        } else {
            run += plain;
            if (after == '+') end_run();
        }
    }
    end_run();
    return best;
}

}  // namespace eventyard::rules
