#include "core/rfc3339.hpp"

namespace eventyard {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// -1: not two digits.
int two_digits(std::string_view text, std::size_t at)
{
    if (at + 2 > text.size() || !is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
    return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) noexcept
{
    using namespace std::chrono;
    const auto is = [&text](std::size_t at, char a, char b) { return at < text.size() && (text[at] == a || text[at] == b); };
    const int century = two_digits(text, 0), rest = two_digits(text, 2);
    const int month_number = two_digits(text, 5), day_number = two_digits(text, 8);
    const int hour = two_digits(text, 11), minute = two_digits(text, 14), second = two_digits(text, 17);
    if (century < 0 || rest < 0 || month_number < 0 || day_number < 0 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return std::nullopt;
    if (!is(4, '-', '-') || !is(7, '-', '-') || !is(10, 'T', 't') || !is(13, ':', ':') || !is(16, ':', ':'))
        return std::nullopt;
    const year_month_day date{year{century * 100 + rest}, month{static_cast<unsigned>(month_number)},
                              day{static_cast<unsigned>(day_number)}};
    if (!date.ok()) return std::nullopt;
    std::size_t at = 19;
    nanoseconds part{0};
    if (is(at, '.', '.')) {
        const std::size_t first = ++at;
        for (nanoseconds digit{100'000'000}; at < text.size() && is_digit(text[at]); ++at, digit /= 10)
            part += digit * (text[at] - '0');
        if (at == first) return std::nullopt;
    }
    minutes offset{0};
    if (is(at, 'Z', 'z')) {
        if (at + 1 != text.size()) return std::nullopt;
    } else {
        const int offset_hour = two_digits(text, at + 1), offset_minute = two_digits(text, at + 4);
        if (!is(at, '+', '-') || !is(at + 3, ':', ':') || at + 6 != text.size() || offset_hour < 0 || offset_hour > 23 ||
            offset_minute < 0 || offset_minute > 59)
            return std::nullopt;
        offset = hours{offset_hour} + minutes{offset_minute};
        if (text[at] == '-') offset = -offset;
    }
    if (date.year() < year{1678}) return WallTime::min();
    if (date.year() > year{2261}) return WallTime::max();
    return WallTime{sys_days{date}} + hours{hour} + minutes{minute} + seconds{second} + part - offset;
}

}  // namespace eventyard
