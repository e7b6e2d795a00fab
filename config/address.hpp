// config/address.hpp — what a listener may be bound to.
#pragma once

#include <string>

namespace eventyard::config {

/// Why `text` is no address to listen on ("must be ..."), or empty when it is one: an IP address
/// ("127.0.0.1:8080", "[::1]:8080") with a port; 0 takes any free port.
[[nodiscard]] std::string address_mistake(const std::string& text);

}  // namespace eventyard::config
