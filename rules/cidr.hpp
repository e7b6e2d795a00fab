// rules/cidr.hpp — IP addresses in text and the blocks they lie in.
//
// An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address, in patterns and in events.
// Leading zeros in dotted quads are decimal. Blanks, ports and zone ids are not addresses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace eventyard::rules {

struct Address {
    bool v4 = false;
    std::array<std::uint8_t, 16> bytes{};  // v4: the first four

    [[nodiscard]] static std::optional<Address> read(std::string_view text) noexcept;
};

class Cidr {
public:
    /// "10.0.0.0/8", "2001:db8::/32": bits from 0 to 32 or 128. Host bits are ignored.
    [[nodiscard]] static Result<Cidr> read(std::string_view text);
    [[nodiscard]] bool contains(const Address& address) const noexcept;
    /// Whether `text` is an address inside this block.
    [[nodiscard]] bool contains(std::string_view text) const noexcept;
    /// Whether the address was written with bits beyond the mask.
    [[nodiscard]] bool host_bits_set() const noexcept { return host_bits_; }
    [[nodiscard]] bool whole_address() const noexcept { return bits_ == (base_.v4 ? 32U : 128U); }
    [[nodiscard]] bool v4() const noexcept { return base_.v4; }
    [[nodiscard]] const Address& base() const noexcept { return base_; }
    [[nodiscard]] unsigned bits() const noexcept { return bits_; }

private:
    Address base_;
    unsigned bits_ = 0;
    bool host_bits_ = false;
};

}  // namespace eventyard::rules
