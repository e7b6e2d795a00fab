// core/sha256.hpp — SHA-256 (FIPS 180-4) of a few bytes.
//
// OpenSSL's SHA256() looks its own implementation up at every call, under a lock, which costs more than the sum of a short text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace eventyard {

/// Throws std::runtime_error where OpenSSL has none, e.g. by its configuration.
[[nodiscard]] std::array<std::uint8_t, 32> sha256(std::string_view bytes);

}  // namespace eventyard
