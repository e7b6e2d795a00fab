#include "rules/wildcard.hpp"

namespace eventyard::rules {

Result<Wildcard> Wildcard::read(std::string_view text)
{
    Wildcard wildcard;
    wildcard.pieces_.emplace_back();
    bool after_star = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool star = text[i] == '*';
        if (star && after_star)
            return fail(Errc::invalid,
                        "Consecutive wildcard characters at pos " + std::to_string(i) +
                            ": one '*' already stands for any characters");
        if (star) {
            wildcard.pieces_.emplace_back();
        } else if (text[i] == '\\') {
            if (i + 1 == text.size() || (text[i + 1] != '*' && text[i + 1] != '\\'))
                return fail(Errc::invalid, "Invalid escape character at pos " + std::to_string(i + 1) +
                                               R"(: only \* and \\ are escapes)");
            wildcard.pieces_.back() += text[++i];
        } else {
            wildcard.pieces_.back() += text[i];
        }
        after_star = star;
    }
    return wildcard;
}

bool Wildcard::matches(std::string_view text) const noexcept
{
    const std::string& first = pieces_.front();
    const std::string& last = pieces_.back();
    if (pieces_.size() == 1) return text == first;
    if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
        !text.ends_with(last))
        return false;
    text = text.substr(first.size(), text.size() - first.size() - last.size());
    for (std::size_t i = 1; i + 1 < pieces_.size(); ++i) {
        const auto at = text.find(pieces_[i]);
        if (at == std::string_view::npos) return false;
        text.remove_prefix(at + pieces_[i].size());
    }
    return true;
}

}  // namespace eventyard::rules
