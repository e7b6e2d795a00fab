// tests/draws/rules.hpp — rules drawn from one vocabulary, so that they share fields and operands.
#pragma once

#include "tests/draws/items.hpp"

namespace eventyard::draws {

/// A pattern. Now and then one that must be refused: a path may come out twice.
[[nodiscard]] Tree draw_pattern(const Vocabulary& words, Dice& random);

/// Patterns of one shape, for index structures of any size. Patterns of one family differ in
/// operands alone.
[[nodiscard]] std::vector<Tree> draw_family(std::size_t family, std::size_t size, Dice& random);
inline constexpr std::size_t families = 15;

/// One field whose `$or` has that many branches.
[[nodiscard]] Tree draw_wide_or(std::size_t branches, const Vocabulary& words, Dice& random);

}  // namespace eventyard::draws
