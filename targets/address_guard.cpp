#include "targets/address_guard.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

namespace eventyard::targets {
namespace ip = boost::asio::ip;
namespace {

using Kind = AddressKind;

struct Row {
    const char* range;
    Kind kind;
    const char* name;
};

// The IANA IPv4 Special-Purpose Address Registry, multicast, and the clouds' metadata services.
constexpr std::array<Row, 33> rows_v4{{
    {"0.0.0.0/8", Kind::reserved, "of this network"},
    {"10.0.0.0/8", Kind::private_use, "private"},
    {"100.64.0.0/10", Kind::private_use, "shared with a carrier"},
    {"100.100.100.200/32", Kind::metadata, "a cloud metadata service"},  // Alibaba
    {"127.0.0.0/8", Kind::loopback, "loopback"},
    {"168.63.129.16/32", Kind::metadata, "a cloud metadata service"},  // Azure
    {"169.254.0.0/16", Kind::link_local, "link-local"},
    {"169.254.169.254/32", Kind::metadata, "a cloud metadata service"},
    {"169.254.170.2/32", Kind::metadata, "a cloud metadata service"},   // AWS ECS
    {"169.254.170.23/32", Kind::metadata, "a cloud metadata service"},  // AWS EKS
    {"172.16.0.0/12", Kind::private_use, "private"},
    {"192.0.0.0/24", Kind::reserved, "for protocol assignments"},
    {"192.0.0.0/29", Kind::reserved, "for IPv4 service continuity"},
    {"192.0.0.8/32", Kind::reserved, "the IPv4 dummy address"},
    {"192.0.0.9/32", Kind::reserved, "port control anycast"},
    {"192.0.0.10/32", Kind::reserved, "relay anycast"},
    {"192.0.0.170/32", Kind::reserved, "for NAT64 discovery"},
    {"192.0.0.171/32", Kind::reserved, "for NAT64 discovery"},
    {"192.0.0.192/32", Kind::metadata, "a cloud metadata service"},  // Oracle
    {"192.0.2.0/24", Kind::reserved, "for documentation"},
    {"192.31.196.0/24", Kind::reserved, "of AS112"},
    {"192.52.193.0/24", Kind::reserved, "for multicast tunnelling"},
    {"192.88.99.0/24", Kind::reserved, "6to4 relay anycast"},
    {"192.88.99.2/32", Kind::reserved, "6a44 relay anycast"},
    {"192.168.0.0/16", Kind::private_use, "private"},
    {"192.175.48.0/24", Kind::reserved, "of AS112"},
    {"198.18.0.0/15", Kind::reserved, "for benchmarks"},
    {"198.51.100.0/24", Kind::reserved, "for documentation"},
    {"203.0.113.0/24", Kind::reserved, "for documentation"},
    {"224.0.0.0/4", Kind::reserved, "multicast"},
    {"240.0.0.0/4", Kind::reserved, "reserved"},
    {"255.255.255.255/32", Kind::reserved, "broadcast"},
    {"0.0.0.0/32", Kind::loopback, "this machine"},  // what Linux makes of it
}};

// The IANA IPv6 Special-Purpose Address Registry, what is not given out, and the same services.
constexpr std::array<Row, 37> rows_v6{{
    {"::/0", Kind::reserved, "not given out"},
    {"2000::/3", Kind::ordinary, ""},
    {"::/96", Kind::carrier, "IPv4-compatible"},
    {"::/128", Kind::loopback, "this machine"},
    {"::1/128", Kind::loopback, "loopback"},
    {"::ffff:0.0.0.0/96", Kind::carrier, "IPv4-mapped"},
    {"::ffff:0:0.0.0.0/96", Kind::carrier, "IPv4-translated"},
    {"64:ff9b::/96", Kind::carrier, "NAT64"},
    {"64:ff9b:1::/48", Kind::carrier, "local NAT64"},
    {"100::/64", Kind::reserved, "discard-only"},
    {"100:0:0:1::/64", Kind::reserved, "the IPv6 dummy prefix"},
    {"2001::/23", Kind::reserved, "for protocol assignments"},
    {"2001::/32", Kind::carrier, "Teredo"},
    {"2001:1::1/128", Kind::reserved, "port control anycast"},
    {"2001:1::2/128", Kind::reserved, "relay anycast"},
    {"2001:1::3/128", Kind::reserved, "service registration anycast"},
    {"2001:2::/48", Kind::reserved, "for benchmarks"},
    {"2001:3::/32", Kind::reserved, "for multicast tunnelling"},
    {"2001:4:112::/48", Kind::reserved, "of AS112"},
    {"2001:10::/28", Kind::reserved, "a hash (ORCHID)"},
    {"2001:20::/28", Kind::reserved, "a hash (ORCHIDv2)"},
    {"2001:30::/28", Kind::reserved, "a drone's identity"},
    {"2001:db8::/32", Kind::reserved, "for documentation"},
    {"2002::/16", Kind::carrier, "6to4"},
    {"2620:4f:8000::/48", Kind::reserved, "of AS112"},
    {"3fff::/20", Kind::reserved, "for documentation"},
    {"5f00::/16", Kind::reserved, "a segment routing identifier"},
    {"fc00::/7", Kind::private_use, "private"},
    {"fd00:ec2::/32", Kind::metadata, "a cloud metadata service"},             // AWS
    {"fd00:c1::a9fe:a9fe/128", Kind::metadata, "a cloud metadata service"},    // Oracle
    {"fd00:42::42/128", Kind::metadata, "a cloud metadata service"},           // Scaleway
    {"fd20:ce::254/128", Kind::metadata, "a cloud metadata service"},          // Google
    {"fe80::/10", Kind::link_local, "link-local"},
    {"fe80::a9fe:a9fe/128", Kind::metadata, "a cloud metadata service"},       // OpenStack
    {"fec0::/10", Kind::private_use, "site-local"},
    {"ff00::/8", Kind::reserved, "multicast"},
    {"ff02::/16", Kind::link_local, "link-local multicast"},
}};

template <class Bytes>
bool within(const Bytes& address, const Bytes& network, unsigned bits)
{
    const unsigned whole = bits / 8;
    if (!std::equal(network.begin(), network.begin() + whole, address.begin())) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || (address[whole] >> (8 - rest)) == (network[whole] >> (8 - rest));
}

/// The narrowest row an address lies in.
template <class Network, class Rows, class Bytes>
AddressClass narrowest(const Rows& rows, Network parse, const Bytes& address)
{
    AddressClass found;
    int bits_found = -1;
    for (const Row& row : rows) {
        const auto network = parse(row.range);
        const int bits = network.prefix_length();
        if (bits <= bits_found ||
            !within(address, network.address().to_bytes(), static_cast<unsigned>(bits)))
            continue;
        bits_found = bits;
        found = {row.kind, row.kind == Kind::ordinary ? "" : row.range, row.name};
    }
    return found;
}

bool is_near(const AddressClass& found)
{
    return found.kind == Kind::link_local || found.kind == Kind::metadata;
}

}  // namespace

AddressClass classify(const ip::address& address)
{
    if (address.is_v4())
        return narrowest(
            rows_v4, [](const char* text) { return ip::make_network_v4(text); },
            address.to_v4().to_bytes());
    return narrowest(
        rows_v6, [](const char* text) { return ip::make_network_v6(text); },
        address.to_v6().to_bytes());
}

std::vector<ip::address_v4> carried(const ip::address_v6& address)
{
    const auto bytes = address.to_bytes();
    const auto in = [&](const char* range) {
        const auto network = ip::make_network_v6(range);
        return within(bytes, network.address().to_bytes(), network.prefix_length());
    };
    std::vector<ip::address_v4> found;
    const auto add = [&](std::array<std::size_t, 4> at, unsigned char flip = 0) {
        ip::address_v4::bytes_type v4{};
        for (std::size_t i = 0; i < v4.size(); ++i)
            v4[i] = static_cast<unsigned char>(bytes[at[i]] ^ flip);
        found.emplace_back(v4);
    };
    constexpr std::array<std::size_t, 4> last{12, 13, 14, 15};
    if (in("::/96")) {
        if (!address.is_unspecified() && !address.is_loopback()) add(last);
    } else if (in("::ffff:0:0/96") || in("::ffff:0:0:0/96") || in("64:ff9b::/96")) {
        add(last);
    } else if (in("64:ff9b:1::/48")) {
        // RFC 6052, for each prefix length that fits: /48, /56, /64 (around the eighth octet), /96.
        add({6, 7, 9, 10});
        add({7, 9, 10, 11});
        add({9, 10, 11, 12});
        add(last);
    } else if (in("2002::/16")) {
        add({2, 3, 4, 5});
    } else if (in("2001::/32")) {
        add({4, 5, 6, 7});  // the server
        add(last, 0xff);    // the client
    } else if ((bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe) {
        add(last);  // ISATAP, within any prefix
    }
    return found;
}

std::string AddressGuard::refusal(const ip::address& address) const
{
    const auto refused = [this](const AddressClass& found) {
        return untrusted ? found.kind != Kind::ordinary : is_near(found) && !allow_link_local;
    };
    std::string subject = address.to_string() + " is ";
    AddressClass by = classify(address);
    bool no = refused(by);
    if (address.is_v6()) {
        // What is carried says more than that it is carried.
        for (const ip::address_v4& inner : carried(address.to_v6())) {
            const AddressClass within_it = classify(inner);
            if (!refused(within_it)) continue;
            no = true;
            by = within_it;
            subject = address.to_string() + " stands for " + inner.to_string() + ", which is ";
            break;
        }
    }
    if (!no) return {};
    return subject + by.name + " (" + by.range + "); " +
           (untrusted ? "targets of a file included with 'untrusted: true' must not go there"
                      : "'allow_link_local: true' allows it");
}

}  // namespace eventyard::targets
