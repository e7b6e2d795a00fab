// targets/address_guard.hpp — which addresses a webhook may connect to. Pure.
//
// A name is resolved once, each address it gave is asked about here, and the connection goes to an
// address that passed, so that a name server cannot answer one thing to the check and another to
// the connection.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace eventyard::targets {

enum class AddressKind : std::uint8_t {
    ordinary,     // public unicast
    private_use,  // of somebody's own network
    loopback,
    link_local,
    metadata,     // where a cloud hands its machines their credentials
    reserved,     // every other special-purpose range, multicast and what is not given out
    carrier,      // an IPv6 address that stands for an IPv4 address
};

struct AddressClass {
    AddressKind kind = AddressKind::ordinary;
    const char* range = "";  // e.g. "169.254.0.0/16"; empty for ordinary ones
    const char* name = "";   // e.g. "link-local": "ADDRESS is NAME (RANGE)"
};

/// By the IANA special-purpose registries; of several ranges the narrowest. Says nothing of an IPv4
/// address that is carried inside: see carried().
[[nodiscard]] AddressClass classify(const boost::asio::ip::address& address);

/// The IPv4 addresses an IPv6 address may lead to: mapped, compatible, translated (SIIT), NAT64 with
/// the well-known and the local-use prefix, 6to4, Teredo, ISATAP.
[[nodiscard]] std::vector<boost::asio::ip::address_v4> carried(
    const boost::asio::ip::address_v6& address);

struct AddressGuard {
    /// false: the operator wrote the URL; it may be internal, but not link-local or metadata.
    /// true: somebody else did; ordinary addresses only.
    bool untrusted = false;
    bool allow_link_local = false;  // the operator's; without effect on what is untrusted

    /// Why there must be no connection to `address`, with the range and the setting that rules it;
    /// empty when it is fine.
    [[nodiscard]] std::string refusal(const boost::asio::ip::address& address) const;
};

}  // namespace eventyard::targets
