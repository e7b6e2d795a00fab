#include "config/address.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstdint>
#include <string_view>

namespace eventyard::config {
namespace {

bool is_address(int family, const std::string& text)
{
    in6_addr any{};
    return ::inet_pton(family, text.c_str(), &any) == 1;
}

}  // namespace

std::string address_mistake(const std::string& text)
{
    const std::string form = "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return form;
    const std::string_view digits = std::string_view(text).substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (ec != std::errc{} || end != digits.data() + digits.size())
        return "must end in a port from 0 to 65535";
    const std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        return is_address(AF_INET6, host.substr(1, host.size() - 2)) ? std::string() : form;
    return is_address(AF_INET, host) ? std::string() : form;
}

}  // namespace eventyard::config
