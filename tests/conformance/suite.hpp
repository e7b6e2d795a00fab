// tests/conformance/suite.hpp — what a kind of target must provide to be put through the suite.
//
// A new kind is one Harness and one row in conformance_test.cpp.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/settings.hpp"

namespace eventyard::conformance {

using support::ReadTarget;

inline const std::string secret = "hush-hush-secret";

struct Arrived {
    std::string delivery;  // id
    std::string body;
};

/// A line {"delivery", ..., "event"}.
inline Arrived from_envelope(const std::string& line)
{
    constexpr std::string_view before = "\"event\":";
    const std::string id = "\"delivery\":\"";
    const auto head = line.find(before) + before.size();
    const auto at = line.find(id) + id.size();
    return {line.substr(at, line.find('"', at) - at), line.substr(head, line.size() - head - 1)};
}

class Harness {
public:
    virtual ~Harness() = default;
    /// A good target with `secret` wherever the kind takes one. @param timeout  e.g. "10s"
    virtual ReadTarget good(const std::string& timeout) = 0;
    /// Everything that has arrived at it, in order.
    virtual std::vector<Arrived> arrived() = 0;
    /// From now on (until resume) the good target's other side takes nothing and answers nothing.
    virtual void hang() = 0;
    virtual void resume() = 0;
    /// A target nobody serves, and a part of its address that an outcome must name.
    virtual ReadTarget unreachable() = 0;
    virtual std::string unreachable_place() = 0;
    /// A target whose host name is asked of a name server that never answers; none: kind without names.
    virtual std::optional<ReadTarget> behind_silent_dns(const std::string& server,
                                                        const std::string& timeout) = 0;
};

std::unique_ptr<Harness> webhook_harness();
std::unique_ptr<Harness> file_harness();
std::unique_ptr<Harness> redis_harness();

/// A name server that swallows every question.
class SilentDns {
public:
    SilentDns() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no UDP port");
        address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    }
    SilentDns(const SilentDns&) = delete;
    SilentDns& operator=(const SilentDns&) = delete;
    ~SilentDns() { ::close(fd_); }
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    /// Whether anybody asked.
    [[nodiscard]] bool asked() const
    {
        char byte = 0;
        return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    }

private:
    int fd_;
    std::string address_;
};

}  // namespace eventyard::conformance
