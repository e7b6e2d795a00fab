#include "rules/decimal.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace eventyard::rules {
namespace {

constexpr std::size_t exponent_digits_max = 18;

/// Reads the digits of a Decimal one by one, then zeros without end.
class Digits {
public:
    explicit Digits(std::string_view text) noexcept : rest_(text) {}
    [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
    char next() noexcept
    {
        if (rest_.empty()) return '0';
        if (rest_.front() == '.') rest_.remove_prefix(1);
        const char digit = rest_.front();
        rest_.remove_prefix(1);
        return digit;
    }

private:
    std::string_view rest_;  // ends in a digit, so a '.' is always followed by one
};

}  // namespace

std::optional<Decimal> Decimal::read(std::string_view text) noexcept
{
    Decimal number;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    if (std::from_chars(begin, end, number.nearest_).ec == std::errc::result_out_of_range)
        number.nearest_ = std::numeric_limits<double>::infinity();  // or nearly 0: ask the digits

    number.negative_ = !text.empty() && text.front() == '-';
    if (number.negative_) text.remove_prefix(1);

    std::int64_t exponent = 0;
    if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
        std::string_view written = text.substr(e + 1);
        text = text.substr(0, e);
        const bool below = !written.empty() && written.front() == '-';
        if (!written.empty() && (written.front() == '-' || written.front() == '+'))
            written.remove_prefix(1);
        while (written.size() > 1 && written.front() == '0') written.remove_prefix(1);
        if (written.size() > exponent_digits_max) return std::nullopt;
        std::from_chars(written.data(), written.data() + written.size(), exponent);
        if (below) exponent = -exponent;
    }

    const auto first = text.find_first_of("123456789");
    if (first == std::string_view::npos) {  // all zeros are equal
        number.negative_ = false;
        number.nearest_ = 0;
        return number;
    }
    const auto last = text.find_last_of("123456789");
    number.digits_ = text.substr(first, last - first + 1);
    const auto dot = std::min(text.find('.'), text.size());
    const auto before = first < dot ? static_cast<std::int64_t>(dot - first)
                                    : -static_cast<std::int64_t>(first - dot - 1);
    number.point_ = exponent + before;
    return number;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const noexcept
{
    if (std::isfinite(nearest_) && std::isfinite(other.nearest_)) {
        if (nearest_ < other.nearest_) return std::strong_ordering::less;
        if (nearest_ > other.nearest_) return std::strong_ordering::greater;
    }
    return compare_digits(other);
}

std::strong_ordering Decimal::compare_digits(const Decimal& other) const noexcept
{
    const auto sign = [](const Decimal& d) { return d.digits_.empty() ? 0 : d.negative_ ? -1 : 1; };
    if (sign(*this) != sign(other)) return sign(*this) <=> sign(other);
    if (sign(*this) == 0) return std::strong_ordering::equal;

    const auto of_sign = [&](std::strong_ordering magnitude) {
        return negative_ ? 0 <=> magnitude : magnitude;
    };
    if (point_ != other.point_) return of_sign(point_ <=> other.point_);
    Digits mine(digits_);
    Digits theirs(other.digits_);
    while (!mine.done() || !theirs.done()) {
        const char a = mine.next();
        const char b = theirs.next();
        if (a != b) return of_sign(a <=> b);
    }
    return std::strong_ordering::equal;
}

bool Decimal::survives_double() const
{
    if (digits_.empty()) return true;
    if (!std::isfinite(nearest_)) return false;
    std::array<char, 64> shortest{};
    const auto written = std::to_chars(shortest.data(), shortest.data() + shortest.size(), nearest_,
                                       std::chars_format::scientific);
    const auto again = read({shortest.data(), static_cast<std::size_t>(written.ptr - shortest.data())});
    return again && compare_digits(*again) == std::strong_ordering::equal;
}

std::optional<Number> Number::read(std::string text)
{
    Number number;
    number.text_ = std::make_shared<const std::string>(std::move(text));
    const auto value = Decimal::read(*number.text_);
    if (!value) return std::nullopt;
    number.value_ = *value;
    return number;
}

}  // namespace eventyard::rules
