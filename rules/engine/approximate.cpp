#include "rules/engine/approximate.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>

#include "rules/decimal.hpp"

namespace eventyard::rules {
namespace {

/// Powers of ten that a double holds exactly.
constexpr std::array<double, 23> powers{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// A sign, a point and nineteen digits fit in.
constexpr std::size_t short_number = 20;

bool is_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') < 10; }

Approximate slowly(std::string_view number) noexcept
{
    Approximate out;
    if (std::from_chars(number.data(), number.data() + number.size(), out.value).ec == std::errc{}) {
        if (out.value != 0) return out;
        const auto value = Decimal::read(number);
        const bool zero = value && *value == *Decimal::read("0");
        return {0, zero};
    }
    // Too large or too small for a double: its decimal exponent says which.
    const auto value = Decimal::read(number);
    const bool large = value && value->exponent() > 0;
    out.value = large ? std::numeric_limits<double>::infinity() : 0.0;
    if (number.front() == '-') out.value = -out.value;
    out.in_range = false;
    return out;
}

/// digits x 10^scale; `digits` has no trailing zeros, so that 1, 1.0 and 10e-1 agree.
Approximate scaled(std::string_view number, std::uint64_t digits, std::int64_t scale) noexcept
{
    if (scale < -22 || scale > 22) return slowly(number);
    const auto whole = static_cast<double>(digits);
    const double value = scale < 0 ? whole / powers[static_cast<std::size_t>(-scale)]
                                   : whole * powers[static_cast<std::size_t>(scale)];
    return {number.front() == '-' ? -value : value, true};
}

/// The exponent's value at `p`, which is 'e', 'E' or the end.
std::int64_t read_exponent(const char* p, const char* end) noexcept
{
    if (p == end) return 0;
    ++p;
    const bool below = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    std::int64_t exponent = 0;  // core/json and rules/operators allow 18 digits after leading zeros
    for (; p != end; ++p) exponent = exponent * 10 + (*p - '0');
    return below ? -exponent : exponent;
}

/// Many digits: only those that count are kept, zeros at either end are not among them.
Approximate digit_by_digit(std::string_view number) noexcept
{
    const char* p = number.data() + (number.front() == '-' ? 1 : 0);
    const char* const end = number.data() + number.size();
    std::uint64_t digits = 0;
    std::int64_t count = 0, zeros = 0, scale = 0;
    bool fraction = false;
    for (; p != end; ++p) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        if (!is_digit(*p)) break;
        if (fraction) --scale;
        if (*p == '0') {
            if (count > 0) ++zeros;
            continue;
        }
        count += count > 0 ? zeros + 1 : 1;
        if (count > 19) return slowly(number);
        for (; zeros > 0; --zeros) digits *= 10;
        digits = digits * 10 + static_cast<unsigned>(*p - '0');
    }
    if (count == 0) return {};
    return scaled(number, digits, scale + zeros + read_exponent(p, end));
}

constexpr std::array<std::uint64_t, 9> ten_to_the{1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
constexpr std::uint64_t threes = 0x3030303030303030;

std::uint64_t load(const char* p) noexcept
{
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

/// How many of eight bytes are digits before the first that is none.
std::size_t leading_digits(std::uint64_t word) noexcept
{
    // A byte is a digit when its upper half is 3, also after adding 6.
    constexpr std::uint64_t upper = 0xf0f0f0f0f0f0f0f0, sixes = 0x0606060606060606;
    const std::uint64_t wrong = ((word & upper) ^ threes) | (((word + sixes) & upper) ^ threes);
    return wrong == 0 ? 8 : static_cast<std::size_t>(__builtin_ctzll(wrong)) / 8;
}

/// The first `count` bytes, all digits, 1 to 8 of them, behind the digits there are.
void take(std::uint64_t word, std::size_t count, std::uint64_t& digits) noexcept
{
    // The digits move to the upper end; zeros take the place before them.
    if (count < 8) word = word << 8 * (8 - count) | threes >> 8 * count;
    word -= threes;
    word = word * 10 + (word >> 8);
    word = ((word & 0x000000ff000000ff) * 0x000f424000000064 +
            ((word >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
    digits = digits * ten_to_the[count] + static_cast<std::uint32_t>(word);
}

/// Takes the digits at `p` into `digits`, up to eight at a time. Eight bytes are readable from every
/// place of the number on.
const char* take_digits(const char* p, std::uint64_t& digits) noexcept
{
    for (;;) {
        const std::uint64_t word = load(p);
        const std::size_t count = leading_digits(word);
        if (count == 0) return p;
        take(word, count, digits);
        p += count;
        if (count < 8) return p;
    }
}

/// Takes a number of up to nineteen digits with a point after at most seven of them, and no exponent, as one
/// row of digits: the usual measure or coordinate. False: it is written otherwise.
bool take_fraction(const char* p, std::size_t size, std::size_t whole, std::uint64_t& digits) noexcept
{
    std::size_t left = size - 1;
    const std::uint64_t before = (std::uint64_t{1} << 8 * whole) - 1;
    std::uint64_t word = (load(p) & before) | (load(p + 1) & ~before);
    for (p += 9;; p += 8) {
        const std::size_t count = std::min<std::size_t>(left, 8);
        if (leading_digits(word) < count) return false;
        take(word, count, digits);
        left -= count;
        if (left == 0) return true;
        word = load(p);
    }
}

}  // namespace

Approximate approximate(std::string_view number) noexcept
{
    std::array<char, 32> copy{};
    if (number.size() > short_number) return digit_by_digit(number);
    std::memcpy(copy.data(), number.data(), number.size());
    return approximate_padded({copy.data(), number.size()});
}

Approximate approximate_padded(std::string_view number) noexcept
{
    if (number.size() > short_number) return digit_by_digit(number);
    const char* const end = number.data() + number.size();
    const char* p = number.data() + (number.front() == '-' ? 1 : 0);
    std::uint64_t digits = 0;
    const auto size = static_cast<std::size_t>(end - p);
    const std::size_t first = leading_digits(load(p));
    if (first < 8 && first < size && p[first] == '.' && take_fraction(p, size, first, digits)) {
        if (digits == 0) return {};
        auto scale = static_cast<std::int64_t>(first + 1) - static_cast<std::int64_t>(size);
        while (digits % 10 == 0) digits /= 10, ++scale;
        return scaled(number, digits, scale);
    }
    digits = 0;
    const char* const whole = p;
    p = take_digits(p, digits);
    if (p - whole > 19) return digit_by_digit(number);
    std::int64_t scale = 0;
    if (p != end && *p == '.') {
        const char* const fraction = ++p;
        p = take_digits(p, digits);
        scale = fraction - p;
    }
    if (digits == 0) return {};
    while (digits % 10 == 0) digits /= 10, ++scale;
    return scaled(number, digits, scale + read_exponent(p, end));
}

}  // namespace eventyard::rules
