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

void append_utf8(std::string& out, char32_t point)
{
    const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xc0 | point >> 6);
        put(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        put(0xe0 | point >> 12);
        put(0x80 | (point >> 6 & 0x3f));
        put(0x80 | (point & 0x3f));
    } else {
        put(0xf0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3f));
        put(0x80 | (point >> 6 & 0x3f));
        put(0x80 | (point & 0x3f));
    }
}

}  // namespace

void append_folded(std::string& out, std::string_view text)
{
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text.front());
        if (byte < 0x80) {
            out.push_back(byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : text.front());
            text.remove_prefix(1);
        } else {
            append_utf8(out, take_front(text));
        }
    }
}

std::string Folded::text() const
{
    std::string out;
    for (const char32_t point : points_) append_utf8(out, point);
    return out;
}

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
