// tests/draws/items.hpp — the items of leaf lists: how they are drawn, and values that satisfy them
// or fail them by little.
//
// Operands come from small pools made to interact: one value a prefix of another, the same string
// in different roles, letters whose cases differ in bytes, numbers a double cannot tell apart.
#pragma once

#include "tests/draws/tree.hpp"
#include "tests/draws/vocabulary.hpp"

namespace eventyard::draws {

[[nodiscard]] const char* form_name(Form form) noexcept;
[[nodiscard]] Form form_of(const Tree& item);

[[nodiscard]] Tree draw_item(Form form, const Vocabulary& words, Dice& random);
/// Any value at all.
[[nodiscard]] Tree draw_scalar(const Vocabulary& words, Dice& random);
/// A value that most likely satisfies `item` (not exists: false, all-of, none-of).
[[nodiscard]] Tree witness(const Tree& item, const Vocabulary& words, Dice& random);
/// A value that most likely does not, but nearly.
[[nodiscard]] Tree near_miss(const Tree& item, const Vocabulary& words, Dice& random);
/// `value` changed a little.
[[nodiscard]] Tree changed(const Tree& value, const Vocabulary& words, Dice& random);

}  // namespace eventyard::draws
