// targets/fingerprint.hpp — one hash over a target's settings, secrets included.
//
// Two blueprints with equal fingerprints make the same target; nothing can be read out of one.
#pragma once

#include <string>
#include <string_view>

namespace eventyard::targets {

class Fingerprint {
public:
    /// Each part counts with its length, so ("ab","c") and ("a","bc") differ.
    Fingerprint& add(std::string_view part);
    Fingerprint& add(long long number) { return add(std::string_view{std::to_string(number)}); }
    /// SHA-256 of everything added, as hex.
    [[nodiscard]] std::string text() const;

private:
    std::string parts_;
};

}  // namespace eventyard::targets
