#include "rules/cidr.hpp"

#include <algorithm>
#include <charconv>

namespace eventyard::rules {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Four dotted decimals, each of any digit count and at most 255.
bool read_quad(std::string_view text, std::uint8_t* out) noexcept
{
    for (int part = 0; part < 4; ++part) {
        unsigned value = 0;
        std::size_t digits = 0;
        while (digits < text.size() && is_digit(text[digits])) {
            value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
            if (value > 255) return false;
        }
        if (digits == 0) return false;
        out[part] = static_cast<std::uint8_t>(value);
        text.remove_prefix(digits);
        if (part == 3) break;
        if (text.empty() || text.front() != '.') return false;
        text.remove_prefix(1);
    }
    return text.empty();
}

/// The groups on one side of "::" (or all of them); a dotted quad may be the last.
bool read_groups(std::string_view text, bool quad_allowed, std::array<std::uint8_t, 16>& out,
                 std::size_t& size) noexcept
{
    size = 0;
    if (text.empty()) return true;
    for (;;) {
        const auto colon = text.find(':');
        const std::string_view group = text.substr(0, colon);
        if (colon == std::string_view::npos && quad_allowed &&
            group.find('.') != std::string_view::npos) {
            if (size + 4 > out.size() || !read_quad(group, out.data() + size)) return false;
            size += 4;
            return true;
        }
        unsigned value = 0;
        const char* const end = group.data() + group.size();
        if (group.empty() || group.size() > 4 || size + 2 > out.size()) return false;
        const auto read = std::from_chars(group.data(), end, value, 16);
        if (read.ec != std::errc() || read.ptr != end) return false;
        out[size++] = static_cast<std::uint8_t>(value >> 8);
        out[size++] = static_cast<std::uint8_t>(value & 0xff);
        if (colon == std::string_view::npos) return true;
        text.remove_prefix(colon + 1);
    }
}

bool read_v6(std::string_view text, std::array<std::uint8_t, 16>& out) noexcept
{
    std::array<std::uint8_t, 16> head{};
    std::array<std::uint8_t, 16> tail{};
    std::size_t head_size = 0;
    std::size_t tail_size = 0;
    const auto gap = text.find("::");
    if (gap == std::string_view::npos) {
        if (!read_groups(text, true, head, head_size) || head_size != 16) return false;
        out = head;
        return true;
    }
    if (!read_groups(text.substr(0, gap), false, head, head_size) ||
        !read_groups(text.substr(gap + 2), true, tail, tail_size) || head_size + tail_size > 14)
        return false;
    out = {};
    std::copy_n(head.begin(), head_size, out.begin());
    std::copy_n(tail.begin(), tail_size, out.end() - static_cast<std::ptrdiff_t>(tail_size));
    return true;
}

bool is_mapped(const std::array<std::uint8_t, 16>& bytes) noexcept
{
    return std::all_of(bytes.begin(), bytes.begin() + 10, [](auto b) { return b == 0; }) &&
           bytes[10] == 0xff && bytes[11] == 0xff;
}

/// The first `bits` bits; the rest zero.
std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> bytes, unsigned bits) noexcept
{
    for (unsigned i = 0; i < bytes.size(); ++i) {
        const unsigned kept = bits > i * 8 ? std::min(bits - i * 8, 8U) : 0;
        bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> kept));
    }
    return bytes;
}

std::optional<Address> read_unmapped(std::string_view text) noexcept
{
    Address address;
    address.v4 = text.find(':') == std::string_view::npos;
    const bool good =
        address.v4 ? read_quad(text, address.bytes.data()) : read_v6(text, address.bytes);
    return good ? std::optional(address) : std::nullopt;
}

void map_to_v4(Address& address) noexcept
{
    std::array<std::uint8_t, 16> v4{};
    std::copy_n(address.bytes.begin() + 12, 4, v4.begin());
    address = {true, v4};
}

}  // namespace

std::optional<Address> Address::read(std::string_view text) noexcept
{
    auto address = read_unmapped(text);
    if (address && !address->v4 && is_mapped(address->bytes)) map_to_v4(*address);
    return address;
}

Result<Cidr> Cidr::read(std::string_view text)
{
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || text.find('/', slash + 1) != std::string_view::npos)
        return fail(Errc::invalid, "Malformed CIDR, one '/' required");
    const std::string_view mask = text.substr(slash + 1);
    const std::string_view address = text.substr(0, slash);
    if (mask.size() > 1 && mask.front() == '-' &&
        std::all_of(mask.begin() + 1, mask.end(), is_digit))
        return fail(Errc::invalid, "Malformed CIDR, mask bits must not be negative");
    if (mask.empty() || !std::all_of(mask.begin(), mask.end(), is_digit))
        return fail(Errc::invalid, "Malformed CIDR, mask bits must be an integer");
    const auto base = read_unmapped(address);
    if (!base) {
        const bool looks_like_one =
            std::count(address.begin(), address.end(), '.') == 3 &&
            std::all_of(address.begin(), address.end(),
                        [](char c) { return is_digit(c) || c == '.'; });
        return fail(Errc::invalid, (looks_like_one ? "Invalid IP address: " : "Nonstandard IP address: ") +
                                       std::string(address));
    }
    const unsigned bits_max = base->v4 ? 32 : 128;
    unsigned bits = 0;
    const auto read = std::from_chars(mask.data(), mask.data() + mask.size(), bits);
    if (read.ec != std::errc() || bits > bits_max)
        return fail(Errc::invalid, base->v4 ? "IPv4 mask bits must be <= 32" : "IPv6 mask bits must be <= 128");
    Cidr cidr;
    cidr.base_ = {base->v4, masked(base->bytes, bits)};
    cidr.bits_ = bits;
    cidr.host_bits_ = cidr.base_.bytes != base->bytes;
    if (!base->v4 && bits >= 96 && is_mapped(base->bytes)) {
        map_to_v4(cidr.base_);
        cidr.bits_ -= 96;
    }
    return cidr;
}

bool Cidr::contains(const Address& address) const noexcept
{
    return address.v4 == base_.v4 && masked(address.bytes, bits_) == base_.bytes;
}

bool Cidr::contains(std::string_view text) const noexcept
{
    const auto address = Address::read(text);
    return address && contains(*address);
}

}  // namespace eventyard::rules
