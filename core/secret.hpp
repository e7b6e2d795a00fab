// core/secret.hpp — a string that does not print.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace eventyard {

/// Bytes. Less (a port, a yes) is no secret: hiding it would only garble messages and answers.
inline constexpr std::size_t secret_min = 4;

/// Holds a password or key. There is no operator<<, and nothing but reveal() gives it away; call
/// that only where the bytes go on the wire.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    [[nodiscard]] const std::string& reveal() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }
    bool operator==(const Secret&) const = default;

private:
    std::string value_;
};

}  // namespace eventyard
