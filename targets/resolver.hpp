// targets/resolver.hpp — names to addresses, without blocking and with an end.
//
// c-ares over Asio: /etc/hosts and the system's name servers (or those given), bounded by the
// caller's timeout and ended by close(). One question for a name is asked at a time, whoever waits;
// answers are kept for their TTL, between one second and five minutes. Lives on one I/O thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "targets/target.hpp"

namespace eventyard::targets {

using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

class Resolver {
public:
    /// @param servers  "address" or "address:port" each; empty: the system's
    Resolver(boost::asio::io_context& io, const Clock& clock, std::vector<std::string> servers);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Errc::not_found: there is no such host; Errc::unavailable: the name servers did not help;
    /// Errc::too_large: no answer within `timeout`; Errc::cancelled: closed.
    Task<Result<Endpoints>> resolve(std::string host, std::uint16_t port, Duration timeout);
    /// Ends all waiting.
    void close();

private:
    class Query;
    struct Cached {
        std::vector<boost::asio::ip::address> addresses;
        SteadyTime until;
    };
    boost::asio::io_context& io_;
    const Clock& clock_;
    std::vector<std::string> servers_;
    std::map<std::string, std::shared_ptr<Query>> asking_;
    std::map<std::string, Cached> cache_;
    bool closed_ = false;
};

/// Checks one entry of `dns_servers`.
[[nodiscard]] bool is_server_address(const std::string& text);

}  // namespace eventyard::targets
