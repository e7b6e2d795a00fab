// tests/draws/vocabulary.hpp — what the rules and events of one set are made of: few names, few operands
// and few forms, so that the rules of a set meet each other's values.
#pragma once

#include <string>
#include <vector>

#include "tests/draws/random.hpp"

namespace eventyard::draws {

/// Every form of an item that the language has.
enum class Form : std::uint8_t {
    string, number, literal, exactly, prefix, prefix_ignoring_case, suffix, suffix_ignoring_case,
    equals_ignore_case, wildcard, numeric_equal, numeric_not, numeric_less, numeric_greater, numeric_between,
    cidr_v4, cidr_v6, cidr_mapped, regex, exists_true, exists_false,
    but_string, but_strings, but_number, but_numbers, but_prefix, but_suffix, but_equals_ignore_case,
    but_wildcard, but_numeric, but_cidr, but_regex, all_of, none_of, count_
};
inline constexpr std::size_t form_count = static_cast<std::size_t>(Form::count_);
/// In what surroundings a field was asked for.
enum class Setting : std::uint8_t { flat, array, arrays, either, dotted, repeated, mixed, count_ };
inline constexpr std::size_t setting_count = static_cast<std::size_t>(Setting::count_);
[[nodiscard]] const char* setting_name(Setting setting) noexcept;

/// What one rule set is made of.
struct Vocabulary {
    std::vector<std::string> strings;             // decoded
    std::vector<std::size_t> numbers;             // indices into the ascending pool of numbers
    std::vector<std::vector<std::string>> paths;  // by name
    std::vector<Form> forms;                      // as often as they shall be drawn
    std::size_t fields_max = 4;
    std::size_t or_percent = 20;
    std::size_t dotted_percent = 12;
    std::size_t array_percent = 40;  // objects of an event that lie in an array
    std::size_t odd_percent = 8;       // objects of an event that are spelled with dots, or cut in two
    std::size_t spoiled_percent = 70;  // events made for a rule that get something wrong
};
[[nodiscard]] Vocabulary draw_vocabulary(Dice& random);
/// Makes draws of these forms in that setting likely.
void steer(Vocabulary& words, const std::vector<Form>& forms, Setting setting, Dice& random);
/// Leaves only what EventBridge's library understands; with `plain`, only what it is known to
/// answer as we do.
void keep_common(Vocabulary& words, bool plain);

}  // namespace eventyard::draws
