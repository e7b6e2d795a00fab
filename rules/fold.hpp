// rules/fold.hpp — strings compared without regard to case.
//
// Unicode simple case folding, one code point to one: ß is not SS, K is U+212A (Kelvin), final ς is
// σ, İ is only itself. Folded code points are compared, so every string matches itself.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::rules {

class Folded {
public:
    /// `text` is UTF-8, lone surrogates in their three-byte form.
    explicit Folded(std::string_view text);
    [[nodiscard]] bool equals(std::string_view text) const noexcept;
    [[nodiscard]] bool is_prefix_of(std::string_view text) const noexcept;
    [[nodiscard]] bool is_suffix_of(std::string_view text) const noexcept;

private:
    std::u32string points_;
};

}  // namespace eventyard::rules
