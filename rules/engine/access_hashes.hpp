// rules/engine/access_hashes.hpp — what the hash table of rules/engine/access.hpp is asked for.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "rules/cidr.hpp"
#include "rules/engine/approximate.hpp"
#include "rules/engine/hash.hpp"

namespace eventyard::rules {

[[nodiscard]] inline std::uint64_t literal_hash(std::uint64_t which, std::uint64_t position) noexcept
{
    return mix(which ^ std::uint64_t{1} << 60, position);
}

[[nodiscard]] inline std::uint64_t number_hash(const Approximate& number, std::uint64_t position) noexcept
{
    // All numbers that doubles cannot hold share a hash.
    if (!number.in_range) return mix(position, 3);
    std::uint64_t bits = 0;
    if (number.value != 0) std::memcpy(&bits, &number.value, sizeof bits);  // -0 is 0
    return mix(bits ^ std::uint64_t{2} << 60, position);
}

[[nodiscard]] inline std::uint64_t affix_hash(std::string_view text, bool from_end, std::uint64_t seed) noexcept
{
    RollingHash hash;
    if (from_end)
        for (auto c = text.rbegin(); c != text.rend(); ++c) hash.add(*c);
    else
        for (const char c : text) hash.add(c);
    return hash.value(seed);
}

/// Up to eight bytes as a number; `p` has them.
[[nodiscard]] inline std::uint64_t piece_word(const char* p, std::size_t size) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, p, size);
    return word;
}

[[nodiscard]] inline std::uint64_t piece_hash(std::uint64_t word, std::size_t size, std::uint64_t seed) noexcept
{
    return mix(word, seed << 4 | size);
}

/// Of the block that holds the address, with a mask of so many bits.
[[nodiscard]] inline std::uint64_t block_hash(const Address& address, unsigned bits, std::uint64_t seed) noexcept
{
    std::array<char, 18> key{};
    key[16] = static_cast<char>(address.v4 ? 4 : 6);
    key[17] = static_cast<char>(bits);
    const unsigned whole = bits / 8;
    for (unsigned i = 0; i < whole; ++i) key[i] = static_cast<char>(address.bytes[i]);
    if (bits % 8 != 0) key[whole] = static_cast<char>(address.bytes[whole] & (0xff00U >> (bits % 8)));
    return hash_of({key.data(), key.size()}, seed);
}

}  // namespace eventyard::rules
