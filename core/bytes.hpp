// core/bytes.hpp — little-endian fields and CRC32C, the alphabet of everything we store.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace eventyard {

static_assert(std::endian::native == std::endian::little, "formats are little-endian");

/// CRC-32C (Castagnoli) of `data`, continuing from `seed` (a former result, or 0).
/// Uses the CPU's instruction where it has one, decided at run time.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size) noexcept;

/// Appends fields to a byte string.
class ByteWriter {
public:
    explicit ByteWriter(std::string& out) noexcept : out_(out) {}
    template <class T>
    void fixed(T value)
    {
        static_assert(std::is_integral_v<T>);
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    /// LEB128: 7 bits a byte, low bits first.
    void varint(std::uint64_t value)
    {
        while (value >= 0x80) {
            out_.push_back(static_cast<char>(value | 0x80));
            value >>= 7;
        }
        out_.push_back(static_cast<char>(value));
    }
    void raw(std::string_view bytes) { out_.append(bytes); }
    /// A varint length and the bytes.
    void text(std::string_view bytes)
    {
        varint(bytes.size());
        raw(bytes);
    }

private:
    std::string& out_;
};

/// Reads fields; after the first read past the end `ok()` is false and all reads give zeros.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) noexcept : rest_(bytes) {}
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }
    template <class T>
    T fixed() noexcept
    {
        static_assert(std::is_integral_v<T>);
        T value{};
        if (rest_.size() < sizeof value) return bad<T>();
        std::memcpy(&value, rest_.data(), sizeof value);
        rest_.remove_prefix(sizeof value);
        return value;
    }
    std::uint64_t varint() noexcept
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) return bad<std::uint64_t>();
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        return bad<std::uint64_t>();
    }
    std::string_view raw(std::size_t size) noexcept
    {
        if (rest_.size() < size) return bad<std::string_view>();
        const std::string_view bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return bytes;
    }
    std::string_view text() noexcept
    {
        const std::uint64_t size = varint();
        if (size > rest_.size()) return bad<std::string_view>();
        return raw(static_cast<std::size_t>(size));
    }

private:
    template <class T>
    T bad() noexcept
    {
        ok_ = false;
        rest_ = {};
        return T{};
    }
    std::string_view rest_;
    bool ok_ = true;
};

[[nodiscard]] std::string to_hex(std::string_view bytes);
/// Lower or upper case; nothing when `hex` is not pairs of hex digits.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view hex);

}  // namespace eventyard
