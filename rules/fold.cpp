#include "rules/fold.hpp"

#include <unicode/uchar.h>

namespace eventyard::rules {
namespace {

bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// The code point of a well-formed sequence, folded. Surrogates have no case.
char32_t fold(std::string_view sequence) noexcept
{
    const auto lead = static_cast<unsigned char>(sequence[0]);
    auto point = static_cast<char32_t>(sequence.size() == 1   ? lead
                                       : sequence.size() == 2 ? lead & 0x1f
                                       : sequence.size() == 3 ? lead & 0x0f
                                                              : lead & 0x07);
    for (const char c : sequence.substr(1))
        point = (point << 6) | (static_cast<unsigned char>(c) & 0x3fU);
    return static_cast<char32_t>(u_foldCase(static_cast<UChar32>(point), U_FOLD_CASE_DEFAULT));
}

/// Takes the first code point off `text`.
char32_t take_front(std::string_view& text) noexcept
{
    std::size_t size = 1;
    while (size < text.size() && continues(text[size])) ++size;
    const char32_t point = fold(text.substr(0, size));
    text.remove_prefix(size);
    return point;
}

char32_t take_back(std::string_view& text) noexcept
{
    std::size_t size = 1;
    while (size < text.size() && continues(text[text.size() - size])) ++size;
    const char32_t point = fold(text.substr(text.size() - size));
    text.remove_suffix(size);
    return point;
}

}  // namespace

Folded::Folded(std::string_view text)
{
    while (!text.empty()) points_.push_back(take_front(text));
}

bool Folded::equals(std::string_view text) const noexcept
{
    for (const char32_t point : points_)
        if (text.empty() || take_front(text) != point) return false;
    return text.empty();
}

bool Folded::is_prefix_of(std::string_view text) const noexcept
{
    for (const char32_t point : points_)
        if (text.empty() || take_front(text) != point) return false;
    return true;
}

bool Folded::is_suffix_of(std::string_view text) const noexcept
{
    for (auto point = points_.rbegin(); point != points_.rend(); ++point)
        if (text.empty() || take_back(text) != *point) return false;
    return true;
}

}  // namespace eventyard::rules
