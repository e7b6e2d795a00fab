// rules/fold.hpp — strings compared without regard to case.
//
// Unicode simple case folding, one code point to one: ß is not SS, K is U+212A (Kelvin), final ς is
// σ, İ is only itself. Folded code points are compared, so every string matches itself.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::rules {

/// Appends `text` with each code point folded. Compare such texts by bytes: equal, prefix and suffix
/// then mean what they mean for Folded, since UTF-8 never starts a code point inside another.
void append_folded(std::string& out, std::string_view text);

class Folded {
public:
    /// `text` is UTF-8, lone surrogates in their three-byte form.
    explicit Folded(std::string_view text);
    [[nodiscard]] bool equals(std::string_view text) const noexcept;
    [[nodiscard]] bool is_prefix_of(std::string_view text) const noexcept;
    [[nodiscard]] bool is_suffix_of(std::string_view text) const noexcept;
    /// The folded text as UTF-8.
    [[nodiscard]] std::string text() const;

private:
    std::u32string points_;
};

}  // namespace eventyard::rules
