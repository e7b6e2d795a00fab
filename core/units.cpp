#include "core/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace eventyard {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t scale;
};

constexpr std::array<Unit, 7> duration_units{{{"d", 86'400'000'000'000},
                                              {"h", 3'600'000'000'000},
                                              {"m", 60'000'000'000},
                                              {"s", 1'000'000'000},
                                              {"ms", 1'000'000},
                                              {"us", 1'000},
                                              {"ns", 1}}};

constexpr std::array<Unit, 9> size_units{{{"B", 1},
                                          {"KiB", 1ULL << 10},
                                          {"MiB", 1ULL << 20},
                                          {"GiB", 1ULL << 30},
                                          {"TiB", 1ULL << 40},
                                          {"kB", 1'000},
                                          {"MB", 1'000'000},
                                          {"GB", 1'000'000'000},
                                          {"TB", 1'000'000'000'000}}};

/// Takes "12" or "1.5" off the front; nothing when there is no number.
std::optional<double> take_number(std::string_view& text)
{
    std::size_t size = 0;
    while (size < text.size() && text[size] >= '0' && text[size] <= '9') ++size;
    if (size == 0) return std::nullopt;
    if (size < text.size() && text[size] == '.') {
        const std::size_t dot = size++;
        while (size < text.size() && text[size] >= '0' && text[size] <= '9') ++size;
        if (size == dot + 1) return std::nullopt;
    }
    double value = 0;
    std::from_chars(text.data(), text.data() + size, value);
    text.remove_prefix(size);
    return value;
}

std::string_view take_letters(std::string_view& text)
{
    std::size_t size = 0;
    while (size < text.size() && ((text[size] >= 'a' && text[size] <= 'z') ||
                                  (text[size] >= 'A' && text[size] <= 'Z')))
        ++size;
    const std::string_view letters = text.substr(0, size);
    text.remove_prefix(size);
    return letters;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text)
{
    if (text == "0") return Duration{0};
    if (text.empty()) return std::nullopt;
    double total = 0;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        const auto number = take_number(text);
        const std::string_view unit = take_letters(text);
        if (!number) return std::nullopt;
        while (next_unit < duration_units.size() && duration_units[next_unit].name != unit)
            ++next_unit;
        if (next_unit == duration_units.size()) return std::nullopt;
        total += *number * static_cast<double>(duration_units[next_unit].scale);
        ++next_unit;
    }
    if (total > 9.0e18) return std::nullopt;
    return Duration{std::llround(total)};
}

std::string format_duration(Duration value)
{
    auto left = value.count();
    if (left == 0) return "0s";
    std::string out = left < 0 ? "-" : "";
    left = left < 0 ? -left : left;
    for (const Unit& unit : duration_units) {
        const auto scale = static_cast<std::int64_t>(unit.scale);
        if (left < scale) continue;
        out += std::to_string(left / scale) + std::string(unit.name);
        left %= scale;
    }
    return out;
}

std::optional<std::uint64_t> parse_size(std::string_view text)
{
    if (text == "0") return 0;
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const std::string_view name = take_letters(text);
    if (!text.empty()) return std::nullopt;
    for (const Unit& unit : size_units) {
        if (unit.name != name) continue;
        const double bytes = *number * static_cast<double>(unit.scale);
        if (bytes > 9.0e18) return std::nullopt;
        return static_cast<std::uint64_t>(std::llround(bytes));
    }
    return std::nullopt;
}

std::string format_size(std::uint64_t bytes)
{
    constexpr std::array<const char*, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < names.size(); ++unit) value /= 1024;
    std::array<char, 32> text{};
    const bool whole = value == std::floor(value);
    std::snprintf(text.data(), text.size(), whole ? "%.0f %s" : "%.1f %s", value, names[unit]);
    return text.data();
}

}  // namespace eventyard
