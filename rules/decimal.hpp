// rules/decimal.hpp — JSON numbers compared as the exact decimals they are.
//
// A number is sign x 0.DIGITS x 10^point with neither leading nor trailing zeros in DIGITS. Nothing
// is ever expanded: 1e999999999 costs as much as its text is long. Doubles decide first: rounding
// is monotone, so two numbers whose nearest doubles differ are ordered as those are.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace eventyard::rules {

/// A view of a number's text; valid as long as that text.
class Decimal {
public:
    /// `text` follows JSON's grammar. Nothing comes back for an exponent of more than 18 digits
    /// (leading zeros not counted), which core/json.hpp refuses in events.
    [[nodiscard]] static std::optional<Decimal> read(std::string_view text) noexcept;

    [[nodiscard]] std::strong_ordering operator<=>(const Decimal& other) const noexcept;
    [[nodiscard]] bool operator==(const Decimal& other) const noexcept
    {
        return (*this <=> other) == std::strong_ordering::equal;
    }
    /// Whether a double holds this value as its shortest decimal: what EventBridge can compare.
    [[nodiscard]] bool survives_double() const;
    /// Of the form 0.DIGITS x 10^exponent.
    [[nodiscard]] std::int64_t exponent() const noexcept { return point_; }

private:
    [[nodiscard]] std::strong_ordering compare_digits(const Decimal& other) const noexcept;

    bool negative_ = false;
    std::string_view digits_;  // from the first to the last significant digit, maybe with a '.'
    std::int64_t point_ = 0;   // the exponent of 0.DIGITS
    double nearest_ = 0;       // infinite when out of a double's range
};

/// A number that keeps its text, for patterns.
class Number {
public:
    [[nodiscard]] static std::optional<Number> read(std::string text);
    [[nodiscard]] const Decimal& value() const noexcept { return value_; }
    [[nodiscard]] const std::string& text() const noexcept { return *text_; }

private:
    std::shared_ptr<const std::string> text_;  // value_ looks into it, so it must not move
    Decimal value_;
};

}  // namespace eventyard::rules
