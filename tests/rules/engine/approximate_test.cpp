// Approximations of numbers against their exact decimals: equal ones agree, far ones are ordered.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "rules/decimal.hpp"
#include "rules/engine/approximate.hpp"

using namespace eventyard::rules;

namespace {

/// Read where other bytes follow at once, as in an event.
Approximate padded(const std::string& number)
{
    const std::string text = number + ",12.3456";
    return approximate_padded(std::string_view(text).substr(0, number.size()));
}

class Numbers {
public:
    explicit Numbers(unsigned seed) : random_(seed) {}

    int up_to(int most) { return std::uniform_int_distribution<int>(0, most)(random_); }
    /// A number of `digits` digits, its point after `whole` of them.
    std::string number(int digits, int whole)
    {
        std::string text = up_to(2) == 0 ? "-" : "";
        for (int i = 0; i < digits; ++i) {
            if (i == whole) text += '.';
            const bool leading = i == 0 && whole > 1;
            text += static_cast<char>('0' + (leading ? 1 + up_to(8) : up_to(3) == 0 ? 0 : up_to(9)));
        }
        return text;
    }
    /// The same number written in another way.
    std::string respelled(std::string text)
    {
        const auto point = text.find('.');
        if (up_to(2) == 0) text += point == std::string::npos ? ".0" : std::string(static_cast<std::size_t>(up_to(3)), '0');
        if (up_to(2) == 0) return text + (up_to(1) == 0 ? "e0" : "E+00");
        if (point == std::string::npos || point + 1 == text.size()) return text;
        // One digit over the point.
        std::string moved = text;
        std::swap(moved[point], moved[point + 1]);
        if (moved.back() == '.') moved += '0';
        const std::size_t first = moved[0] == '-' ? 1 : 0;
        while (moved[first] == '0' && moved[first + 1] != '.') moved.erase(first, 1);
        return moved + "e-1";
    }

private:
    std::mt19937 random_;
};

}  // namespace

TEST_CASE("numbers that are equal have equal approximations, and those of others tell their order")
{
    Numbers numbers(7);
    for (int digits = 1; digits <= 24; ++digits)
        for (int whole = 1; whole <= digits; ++whole)
            for (int round = 0; round < 40; ++round) {
                const std::string one = numbers.number(digits, whole), same = numbers.respelled(one);
                INFO(one << " and " << same);
                REQUIRE(*Decimal::read(one) == *Decimal::read(same));
                const Approximate a = padded(one), b = padded(same);
                REQUIRE(a.value == b.value);
                REQUIRE(approximate(one).value == a.value);
                REQUIRE(a.value == Approx(std::stod(one)).epsilon(1e-15).margin(1e-300));

                std::string near = one;
                char& last = near.back();
                last = static_cast<char>(last == '9' ? '8' : last + 1);
                const std::string other = numbers.up_to(1) == 0 ? near : numbers.number(digits, numbers.up_to(digits - 1) + 1);
                const int order = surely(a.value, padded(other).value);
                const auto exact = *Decimal::read(one) <=> *Decimal::read(other);
                INFO("and " << other);
                REQUIRE((order == 0 || (order > 0 && exact > 0) || (order < 0 && exact < 0)));
            }
}

TEST_CASE("numbers beyond the doubles have no approximation, zeros all have one")
{
    for (const char* zero : {"0", "-0", "0.0", "0.000", "0e9", "-0.0e-400", "0.00000000000000000000000000"})
        CHECK(padded(zero).value == 0);
    CHECK(padded("0.0e99999").in_range);
    CHECK_FALSE(padded("1e400").in_range);
    CHECK_FALSE(padded("-1.5e-400").in_range);
}
