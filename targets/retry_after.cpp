#include "targets/retry_after.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>

#include "core/units.hpp"

namespace eventyard::targets {
namespace {

constexpr Duration wait_max = std::chrono::hours{24 * 3650};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Takes `count` digits off the front, or as many as there are up to two when `count` is 0.
std::optional<int> take_digits(std::string_view& text, std::size_t count)
{
    std::size_t size = 0;
    while (size < text.size() && size < (count == 0 ? 2 : count) && is_digit(text[size])) ++size;
    if (size == 0 || (count != 0 && size != count)) return std::nullopt;
    int value = 0;
    std::from_chars(text.data(), text.data() + size, value);
    text.remove_prefix(size);
    return value;
}

bool take(std::string_view& text, std::string_view word)
{
    if (text.substr(0, word.size()) != word) return false;
    text.remove_prefix(word.size());
    return true;
}

std::optional<unsigned> take_month(std::string_view& text)
{
    constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (unsigned i = 0; i < months.size(); ++i)
        if (take(text, months[i])) return i + 1;
    return std::nullopt;
}

struct TimeOfDay {
    int hour = 0, minute = 0, second = 0;
};

std::optional<TimeOfDay> take_time(std::string_view& text)
{
    const auto hour = take_digits(text, 2);
    if (!hour || !take(text, ":")) return std::nullopt;
    const auto minute = take_digits(text, 2);
    if (!minute || !take(text, ":")) return std::nullopt;
    const auto second = take_digits(text, 2);
    if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    return TimeOfDay{*hour, *minute, *second};
}

std::optional<WallTime> assemble(int year, unsigned month, int day, const TimeOfDay& time)
{
    using namespace std::chrono;
    const year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                              std::chrono::day{static_cast<unsigned>(day)}};
    // Nanoseconds since 1970 in 64 bits end in 2262.
    if (!date.ok() || year < 1900 || year > 2200) return std::nullopt;
    return WallTime{sys_days{date}.time_since_epoch() + hours{time.hour} + minutes{time.minute} +
                    seconds{time.second}};
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text)
{
    text = trimmed(text);
    std::size_t name = 0;
    while (name < text.size() && !is_digit(text[name]) && text[name] != ',' && text[name] != ' ')
        ++name;
    if (name < 3) return std::nullopt;
    text.remove_prefix(name);
    if (take(text, ", ")) {
        const auto day = take_digits(text, 2);
        if (!day || text.empty()) return std::nullopt;
        const char gap = text.front();  // ' ' today, '-' in RFC 850
        if (gap != ' ' && gap != '-') return std::nullopt;
        text.remove_prefix(1);
        const auto month = take_month(text);
        if (!month || text.empty() || text.front() != gap) return std::nullopt;
        text.remove_prefix(1);
        auto year = take_digits(text, gap == ' ' ? 4 : 2);
        if (!year || !take(text, " ")) return std::nullopt;
        if (gap == '-') *year += *year < 70 ? 2000 : 1900;
        const auto time = take_time(text);
        if (!time || text != " GMT") return std::nullopt;
        return assemble(*year, *month, *day, *time);
    }
    // asctime: "Sun Nov  6 08:49:37 1994"
    if (!take(text, " ")) return std::nullopt;
    const auto month = take_month(text);
    if (!month || !take(text, " ")) return std::nullopt;
    take(text, " ");
    const auto day = take_digits(text, 0);
    if (!day || !take(text, " ")) return std::nullopt;
    const auto time = take_time(text);
    if (!time || !take(text, " ")) return std::nullopt;
    const auto year = take_digits(text, 4);
    if (!year || !text.empty()) return std::nullopt;
    return assemble(*year, *month, *day, *time);
}

std::optional<RetryAfter> parse_retry_after(std::string_view text, WallTime now)
{
    text = trimmed(text);
    const bool negative = take(text, "-");
    if (text.empty()) return std::nullopt;
    const bool number = std::all_of(text.begin(), text.end(),
                                    [](char c) { return is_digit(c) || c == '.'; });
    if (number && is_digit(text.front())) {
        double seconds = 0;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (end != text.data() + text.size()) return std::nullopt;
        constexpr double seconds_max = static_cast<double>(wait_max.count()) / 1e9;
        if (ec != std::errc{} || seconds > seconds_max) seconds = seconds_max;
        if (negative && seconds > 0) return RetryAfter{true, Duration{0}};
        return RetryAfter{false, Duration{static_cast<std::int64_t>(seconds * 1e9)}};
    }
    if (const auto duration = parse_duration(text)) {
        if (negative) return RetryAfter{true, Duration{0}};
        return RetryAfter{false, std::min(*duration, wait_max)};
    }
    if (negative) return std::nullopt;
    if (const auto date = parse_http_date(text))
        return RetryAfter{false, std::clamp<Duration>(*date - now, Duration{0}, wait_max)};
    return std::nullopt;
}

}  // namespace eventyard::targets
