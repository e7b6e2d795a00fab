// tests/draws/pools.hpp — the fixed pools that operands and values are drawn from.
#pragma once

#include <string>
#include <vector>

namespace eventyard::draws {

/// Decoded; lone surrogates in their three-byte form.
[[nodiscard]] const std::vector<std::string>& string_pool();
/// Ascending; each entry lists spellings of one number.
[[nodiscard]] const std::vector<std::vector<std::string>>& number_pool();
/// Groups of letters that are equal when case is ignored.
[[nodiscard]] const std::vector<std::vector<std::string>>& letter_cases();

/// An operand with values that satisfy it.
struct Known {
    std::string operand;
    std::vector<std::string> values;
};
[[nodiscard]] const std::vector<Known>& cidr_v4_pool();
[[nodiscard]] const std::vector<Known>& cidr_v6_pool();
[[nodiscard]] const std::vector<Known>& cidr_mapped_pool();
[[nodiscard]] const std::vector<std::string>& no_address_pool();
[[nodiscard]] const std::vector<Known>& regex_pool();
[[nodiscard]] const std::vector<std::string>& name_pool();

}  // namespace eventyard::draws
