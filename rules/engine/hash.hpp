// rules/engine/hash.hpp — hashes of the engine's tables.
//
// Nothing stored on disk or sent depends on them. Tables keep 32 bits of a hash as a tag and no key:
// two keys that share a tag only make a rule a candidate too many, and candidates are verified.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace eventyard::rules {

[[nodiscard]] inline std::uint64_t mix(std::uint64_t x) noexcept
{
    // The finaliser of splitmix64 (Steele, Lea, Flood 2014).
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9U;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

[[nodiscard]] inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept
{
    return mix(a * 0x9e3779b97f4a7c15U + b);
}

[[nodiscard]] inline std::uint64_t hash_of(std::string_view text, std::uint64_t seed) noexcept
{
    return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

/// A hash that grows byte by byte: the hashes of all prefixes of a text in one pass.
class RollingHash {
public:
    void add(char c) noexcept { state_ = (state_ + static_cast<unsigned char>(c) + 1) * 0x9e3779b97f4a7c15U; }
    [[nodiscard]] std::uint64_t value(std::uint64_t seed) const noexcept { return mix(state_ ^ seed); }

private:
    std::uint64_t state_ = 0;
};

}  // namespace eventyard::rules
