// tests/support/dns_server.hpp — a name server on a loopback port that gives any name the addresses it is told.
//
//     DnsServer dns{{"169.254.1.1", "127.0.0.1"}};
//     ... "dns_servers": ["127.0.0.1:PORT"]
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace eventyard::support {

class DnsServer {
public:
    /// @param addresses  IPv4 or IPv6; A and AAAA questions get those of their kind, with a TTL of nothing
    explicit DnsServer(std::vector<std::string> addresses) : addresses_(std::move(addresses))
    {
        socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("cannot bind");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    DnsServer(const DnsServer&) = delete;
    DnsServer& operator=(const DnsServer&) = delete;
    ~DnsServer()
    {
        stop_ = true;
        thread_.join();
        ::close(socket_);
    }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// A questions so far.
    [[nodiscard]] int asked() const noexcept { return asked_; }

private:
    void serve()
    {
        while (!stop_) {
            pollfd waiting{socket_, POLLIN, 0};
            if (::poll(&waiting, 1, 20) <= 0) continue;
            char buffer[512];
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto got = ::recvfrom(socket_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (got < 17) continue;
            const std::string reply = answer({buffer, static_cast<std::size_t>(got)});
            ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
        }
    }

    std::string answer(const std::string& question)
    {
        std::size_t end = 12;
        while (end < question.size() && question[end] != 0)
            end += static_cast<unsigned char>(question[end]) + 1U;
        const char type = question.size() > end + 2 ? question[end + 2] : '\0';
        if (type == 1) ++asked_;
        std::string records;
        int count = 0;
        for (const std::string& text : addresses_) {
            char bytes[16];
            const bool v6 = text.find(':') != std::string::npos;
            if (type != (v6 ? 28 : 1) || ::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes) != 1) continue;
            const char size = v6 ? 16 : 4;
            // Name: a pointer to the question; type, class IN, TTL 0, length.
            records += std::string{'\xc0', '\x0c', '\0', type, '\0', 1, '\0', '\0', '\0', '\0', '\0', size};
            records.append(bytes, static_cast<std::size_t>(size));
            ++count;
        }
        std::string reply = question.substr(0, 2);
        reply += std::string{'\x81', '\x80', '\0', 1, '\0', static_cast<char>(count), '\0', '\0', '\0', '\0'};
        return reply + question.substr(12, end + 5 - 12) + records;
    }

    std::vector<std::string> addresses_;
    int socket_ = -1;
    int port_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<int> asked_{0};
    std::thread thread_;
};

}  // namespace eventyard::support
