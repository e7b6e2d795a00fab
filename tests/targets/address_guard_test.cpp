// Which addresses are special, and which of them each policy refuses.
#include <catch2/catch.hpp>

#include "targets/address_guard.hpp"

using namespace eventyard::targets;
using boost::asio::ip::make_address;
using Kind = AddressKind;

TEST_CASE("an address is told by the narrowest special range it lies in, to its first and last address")
{
    struct Case {
        const char* address;
        Kind kind;
        const char* range;
    };
    const Case cases[] = {
        {"0.0.0.0", Kind::loopback, "0.0.0.0/32"}, {"0.0.0.1", Kind::reserved, "0.0.0.0/8"},
        {"0.255.255.255", Kind::reserved, "0.0.0.0/8"}, {"1.0.0.0", Kind::ordinary, ""},
        {"9.255.255.255", Kind::ordinary, ""}, {"10.0.0.0", Kind::private_use, "10.0.0.0/8"},
        {"10.255.255.255", Kind::private_use, "10.0.0.0/8"}, {"11.0.0.0", Kind::ordinary, ""},
        {"100.63.255.255", Kind::ordinary, ""}, {"100.64.0.0", Kind::private_use, "100.64.0.0/10"},
        {"100.100.100.200", Kind::metadata, "100.100.100.200/32"},
        {"100.127.255.255", Kind::private_use, "100.64.0.0/10"}, {"100.128.0.0", Kind::ordinary, ""},
        {"126.255.255.255", Kind::ordinary, ""}, {"127.0.0.0", Kind::loopback, "127.0.0.0/8"},
        {"127.255.255.255", Kind::loopback, "127.0.0.0/8"}, {"128.0.0.0", Kind::ordinary, ""},
        {"168.63.129.15", Kind::ordinary, ""}, {"168.63.129.16", Kind::metadata, "168.63.129.16/32"},
        {"169.253.255.255", Kind::ordinary, ""}, {"169.254.0.0", Kind::link_local, "169.254.0.0/16"},
        {"169.254.169.254", Kind::metadata, "169.254.169.254/32"},
        {"169.254.170.2", Kind::metadata, "169.254.170.2/32"},
        {"169.254.170.23", Kind::metadata, "169.254.170.23/32"},
        {"169.254.255.255", Kind::link_local, "169.254.0.0/16"}, {"169.255.0.0", Kind::ordinary, ""},
        {"172.15.255.255", Kind::ordinary, ""}, {"172.16.0.0", Kind::private_use, "172.16.0.0/12"},
        {"172.31.255.255", Kind::private_use, "172.16.0.0/12"}, {"172.32.0.0", Kind::ordinary, ""},
        {"192.0.0.0", Kind::reserved, "192.0.0.0/29"}, {"192.0.0.7", Kind::reserved, "192.0.0.0/29"},
        {"192.0.0.8", Kind::reserved, "192.0.0.8/32"}, {"192.0.0.9", Kind::reserved, "192.0.0.9/32"},
        {"192.0.0.10", Kind::reserved, "192.0.0.10/32"}, {"192.0.0.170", Kind::reserved, "192.0.0.170/32"},
        {"192.0.0.171", Kind::reserved, "192.0.0.171/32"}, {"192.0.0.192", Kind::metadata, "192.0.0.192/32"},
        {"192.0.0.255", Kind::reserved, "192.0.0.0/24"}, {"192.0.1.0", Kind::ordinary, ""},
        {"192.0.2.0", Kind::reserved, "192.0.2.0/24"}, {"192.0.3.0", Kind::ordinary, ""},
        {"192.31.196.1", Kind::reserved, "192.31.196.0/24"}, {"192.52.193.1", Kind::reserved, "192.52.193.0/24"},
        {"192.88.99.1", Kind::reserved, "192.88.99.0/24"}, {"192.88.99.2", Kind::reserved, "192.88.99.2/32"},
        {"192.167.255.255", Kind::ordinary, ""}, {"192.168.0.0", Kind::private_use, "192.168.0.0/16"},
        {"192.168.255.255", Kind::private_use, "192.168.0.0/16"}, {"192.169.0.0", Kind::ordinary, ""},
        {"192.175.48.1", Kind::reserved, "192.175.48.0/24"}, {"198.17.255.255", Kind::ordinary, ""},
        {"198.18.0.0", Kind::reserved, "198.18.0.0/15"}, {"198.19.255.255", Kind::reserved, "198.18.0.0/15"},
        {"198.20.0.0", Kind::ordinary, ""}, {"198.51.100.7", Kind::reserved, "198.51.100.0/24"},
        {"203.0.113.7", Kind::reserved, "203.0.113.0/24"}, {"223.255.255.255", Kind::ordinary, ""},
        {"224.0.0.0", Kind::reserved, "224.0.0.0/4"}, {"239.255.255.255", Kind::reserved, "224.0.0.0/4"},
        {"240.0.0.0", Kind::reserved, "240.0.0.0/4"}, {"255.255.255.254", Kind::reserved, "240.0.0.0/4"},
        {"255.255.255.255", Kind::reserved, "255.255.255.255/32"}, {"8.8.8.8", Kind::ordinary, ""},
        {"::", Kind::loopback, "::/128"}, {"::1", Kind::loopback, "::1/128"},
        {"::2", Kind::carrier, "::/96"}, {"::1:0:0", Kind::reserved, "::/0"},
        {"::ffff:8.8.8.8", Kind::carrier, "::ffff:0.0.0.0/96"},
        {"::ffff:0:8.8.8.8", Kind::carrier, "::ffff:0:0.0.0.0/96"},
        {"64:ff9b::808:808", Kind::carrier, "64:ff9b::/96"}, {"64:ff9b:0:1::", Kind::reserved, "::/0"},
        {"64:ff9b:1:ffff::1", Kind::carrier, "64:ff9b:1::/48"}, {"64:ff9b:2::1", Kind::reserved, "::/0"},
        {"100::1", Kind::reserved, "100::/64"}, {"100:0:0:1::1", Kind::reserved, "100:0:0:1::/64"},
        {"1fff::1", Kind::reserved, "::/0"}, {"2001::1", Kind::carrier, "2001::/32"},
        {"2001:1::1", Kind::reserved, "2001:1::1/128"}, {"2001:1::2", Kind::reserved, "2001:1::2/128"},
        {"2001:1::3", Kind::reserved, "2001:1::3/128"}, {"2001:1::4", Kind::reserved, "2001::/23"},
        {"2001:2::1", Kind::reserved, "2001:2::/48"}, {"2001:3::1", Kind::reserved, "2001:3::/32"},
        {"2001:4:112::1", Kind::reserved, "2001:4:112::/48"}, {"2001:1f:ffff::1", Kind::reserved, "2001:10::/28"},
        {"2001:2f::1", Kind::reserved, "2001:20::/28"}, {"2001:3f::1", Kind::reserved, "2001:30::/28"},
        {"2001:1ff:ffff::", Kind::reserved, "2001::/23"}, {"2001:200::1", Kind::ordinary, ""},
        {"2001:db7::1", Kind::ordinary, ""}, {"2001:db8::1", Kind::reserved, "2001:db8::/32"},
        {"2001:db9::1", Kind::ordinary, ""}, {"2002::1", Kind::carrier, "2002::/16"},
        {"2003::1", Kind::ordinary, ""}, {"2606:4700::1111", Kind::ordinary, ""},
        {"2620:4f:8000::1", Kind::reserved, "2620:4f:8000::/48"}, {"3ffe::1", Kind::ordinary, ""},
        {"3fff::1", Kind::reserved, "3fff::/20"}, {"3fff:fff::1", Kind::reserved, "3fff::/20"},
        {"3fff:1000::1", Kind::ordinary, ""}, {"4000::1", Kind::reserved, "::/0"},
        {"5f00::1", Kind::reserved, "5f00::/16"}, {"fbff::1", Kind::reserved, "::/0"},
        {"fc00::1", Kind::private_use, "fc00::/7"}, {"fdff::1", Kind::private_use, "fc00::/7"},
        {"fd00:ec2::254", Kind::metadata, "fd00:ec2::/32"}, {"fd00:ec2::23", Kind::metadata, "fd00:ec2::/32"},
        {"fd00:c1::a9fe:a9fe", Kind::metadata, "fd00:c1::a9fe:a9fe/128"},
        {"fd00:42::42", Kind::metadata, "fd00:42::42/128"}, {"fd20:ce::254", Kind::metadata, "fd20:ce::254/128"},
        {"fe80::1", Kind::link_local, "fe80::/10"}, {"fe80::1%1", Kind::link_local, "fe80::/10"},
        {"fe80::a9fe:a9fe", Kind::metadata, "fe80::a9fe:a9fe/128"}, {"febf::1", Kind::link_local, "fe80::/10"},
        {"fec0::1", Kind::private_use, "fec0::/10"}, {"ff02::1", Kind::link_local, "ff02::/16"},
        {"ff0e::1", Kind::reserved, "ff00::/8"},
    };
    for (const Case& c : cases) {
        const AddressClass found = classify(make_address(c.address));
        INFO(c.address << " lies in '" << found.range << "'");
        CHECK(found.kind == c.kind);
        CHECK(std::string(found.range) == c.range);
        CHECK((std::string(found.name).empty()) == (c.kind == Kind::ordinary));
    }
}

TEST_CASE("the operator's targets reach everything but link-local and metadata addresses, in any form")
{
    struct Case {
        const char* address;
        const char* refusal;  // up to ';', empty: none
    };
    const Case cases[] = {
        {"8.8.8.8", ""}, {"10.0.0.1", ""}, {"127.0.0.1", ""}, {"::1", ""}, {"192.168.1.1", ""},
        {"fc00::1", ""}, {"2001:db8::1", ""}, {"::ffff:10.0.0.1", ""}, {"64:ff9b::a00:1", ""},
        {"169.254.1.1", "169.254.1.1 is link-local (169.254.0.0/16)"},
        {"169.254.169.254", "169.254.169.254 is a cloud metadata service (169.254.169.254/32)"},
        {"100.100.100.200", "100.100.100.200 is a cloud metadata service (100.100.100.200/32)"},
        {"fe80::1", "fe80::1 is link-local (fe80::/10)"},
        {"fd00:ec2::254", "fd00:ec2::254 is a cloud metadata service (fd00:ec2::/32)"},
        {"::ffff:169.254.169.254", "::ffff:169.254.169.254 stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"::169.254.1.1", "::169.254.1.1 stands for 169.254.1.1, which is link-local (169.254.0.0/16)"},
        {"::ffff:0:a9fe:a9fe", "::ffff:0:a9fe:a9fe stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"64:ff9b:1::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9fe:a9:fe00:: stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:a9:fe:a9fe:: stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"64:ff9b:1:0:a9:fea9:fe00:0", "64:ff9b:1:0:a9:fea9:fe00:0 stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"2002:a9fe:a9fe::1", "2002:a9fe:a9fe::1 stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"2001:0:808:808::5601:5601", "2001:0:808:808::5601:5601 stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"2001:0:a9fe:101::1", "2001:0:a9fe:101::1 stands for 169.254.1.1, which is link-local (169.254.0.0/16)"},
        {"2606:4700::5efe:a9fe:a9fe", "2606:4700::5efe:a9fe:a9fe stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
        {"2606:4700::200:5efe:a9fe:a9fe", "2606:4700::200:5efe:a9fe:a9fe stands for 169.254.169.254, which is a cloud metadata service (169.254.169.254/32)"},
    };
    for (const Case& c : cases) {
        INFO(c.address);
        const std::string wanted =
            *c.refusal == '\0' ? "" : std::string(c.refusal) + "; 'allow_link_local: true' allows it";
        CHECK(AddressGuard{}.refusal(make_address(c.address)) == wanted);
        CHECK(AddressGuard{.untrusted = false, .allow_link_local = true}.refusal(make_address(c.address)).empty());
    }
}

TEST_CASE("untrusted targets reach ordinary addresses only, whatever else is allowed")
{
    const AddressGuard guard{.untrusted = true, .allow_link_local = true};
    for (const char* address : {"8.8.8.8", "168.63.129.17", "2606:4700::1111", "2a00::1"}) {
        INFO(address);
        CHECK(guard.refusal(make_address(address)).empty());
    }
    for (const char* address :
         {"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1",
          "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8",
          "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::808:808", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:808:808::1",
          "2002:7f00:1::1", "2001::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
          "ff02::1", "4000::1", "2606:4700::5efe:10.0.0.1"}) {
        INFO(address);
        CHECK_FALSE(guard.refusal(make_address(address)).empty());
    }
    CHECK(guard.refusal(make_address("10.1.2.3")) ==
          "10.1.2.3 is private (10.0.0.0/8); targets of a file included with 'untrusted: true' must not go there");
    CHECK(guard.refusal(make_address("::ffff:127.0.0.1")) ==
          "::ffff:127.0.0.1 stands for 127.0.0.1, which is loopback (127.0.0.0/8); "
          "targets of a file included with 'untrusted: true' must not go there");
}
