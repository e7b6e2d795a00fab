#include "core/bytes.hpp"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace eventyard {
namespace {

constexpr std::array<std::uint32_t, 256> make_table()
{
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0U ? 0x82f63b78U : 0U);
        table[i] = crc;
    }
    return table;
}

constexpr auto crc_of_byte = make_table();

std::uint32_t crc_table(std::uint32_t crc, const unsigned char* data, std::size_t size) noexcept
{
    for (std::size_t i = 0; i < size; ++i) crc = crc_of_byte[(crc ^ data[i]) & 0xffU] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
// The instruction takes three cycles and can start anew in each: so three pieces side by side. The sum of what stands
// before a piece is carried over it as over so many zeros, which is linear: one look-up for each of its bytes.
constexpr std::size_t piece = 336;  // bytes; three are a little less than 1 KiB

using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr Shift make_shift()
{
    std::array<std::uint32_t, 32> of_bit{};
    for (std::uint32_t bit = 0; bit < 32; ++bit) {
        std::uint32_t crc = std::uint32_t{1} << bit;
        for (std::size_t i = 0; i < piece; ++i) crc = crc_of_byte[crc & 0xffU] ^ (crc >> 8);
        of_bit[bit] = crc;
    }
    Shift shift{};
    for (std::uint32_t byte = 0; byte < 4; ++byte)
        for (std::uint32_t value = 0; value < 256; ++value)
            for (std::uint32_t bit = 0; bit < 8; ++bit)
                if ((value >> bit & 1U) != 0) shift[byte][value] ^= of_bit[8 * byte + bit];
    return shift;
}

std::uint64_t over_a_piece(std::uint64_t crc) noexcept
{
    static constexpr Shift shift = make_shift();
    return shift[0][crc & 0xffU] ^ shift[1][crc >> 8 & 0xffU] ^ shift[2][crc >> 16 & 0xffU] ^ shift[3][crc >> 24 & 0xffU];
}

std::uint64_t word_at(const unsigned char* data) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, data, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc_sse42(std::uint32_t crc,
                                                          const unsigned char* data,
                                                          std::size_t size) noexcept
{
    std::uint64_t wide = crc;
    for (; size >= 3 * piece; data += 3 * piece, size -= 3 * piece) {
        std::uint64_t second = 0, third = 0;
        for (const unsigned char* at = data; at < data + piece; at += 8) {
            wide = _mm_crc32_u64(wide, word_at(at));
            second = _mm_crc32_u64(second, word_at(at + piece));
            third = _mm_crc32_u64(third, word_at(at + 2 * piece));
        }
        wide = over_a_piece(over_a_piece(wide) ^ second) ^ third;
    }
    for (; size >= 8; data += 8, size -= 8) wide = _mm_crc32_u64(wide, word_at(data));
    crc = static_cast<std::uint32_t>(wide);
    for (; size > 0; ++data, --size) crc = _mm_crc32_u8(crc, *data);
    return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size) noexcept
{
    const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
    static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
    if (fast) return ~crc_sse42(~seed, bytes, size);
#endif
    return ~crc_table(~seed, bytes, size);
}

std::string to_hex(std::string_view bytes)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex.push_back(digits[byte >> 4]);
        hex.push_back(digits[byte & 15]);
    }
    return hex;
}

std::optional<std::string> from_hex(std::string_view hex)
{
    if (hex.size() % 2 != 0) return std::nullopt;
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digit(hex[i]);
        const int low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes.push_back(static_cast<char>(high * 16 + low));
    }
    return bytes;
}

}  // namespace eventyard
