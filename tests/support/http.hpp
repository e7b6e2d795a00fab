// tests/support/http.hpp — one blocking HTTP request over loopback, and a free port.
//
//     const HttpAnswer answer = http_post(port, "/v1/events", R"({"a":1})");
//     CHECK(answer.status == 202);
//
// Plain sockets, so that what is sent is exactly what the test says; see raw_exchange for requests
// no client would make.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace eventyard::support {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
    int status = 0;  // 0: no answer (refused, closed, timed out); `body` then says why
    Headers headers; // names in lower case
    std::string body;

    /// The first header of that lower-case name, or "".
    [[nodiscard]] std::string header(std::string_view name) const
    {
        for (const auto& [key, value] : headers)
            if (key == name) return value;
        return {};
    }
};

/// A loopback port nobody listened on a moment ago. Below those that the kernel gives to outgoing connections: of these
/// one may be taken by anybody's client before a daemon listens there, or while it is restarted.
inline std::uint16_t free_port()
{
    static std::random_device chance;
    for (int tries = 0; tries < 1000; ++tries) {
        const auto port = static_cast<std::uint16_t>(std::uniform_int_distribution<int>{10'000, 32'000}(chance));
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        const bool free = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        if (fd >= 0) ::close(fd);
        if (free) return port;
    }
    throw std::runtime_error("no free port");
}

/// A connected loopback socket; -1 when refused. The caller closes it.
inline int connect_loopback(std::uint16_t port, std::chrono::milliseconds timeout)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const timeval limit{timeout.count() / 1000, (timeout.count() % 1000) * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
}

inline bool send_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

/// Everything the other side sends until it closes (or the socket's time limit passes).
inline std::string receive_all(int fd, std::size_t max = 256U << 20)
{
    std::string text;
    std::vector<char> buffer(65536);
    while (text.size() < max) {
        const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
}

/// Sends `bytes` as they are and returns all that comes back until the server closes.
inline std::string raw_exchange(std::uint16_t port, std::string_view bytes,
                                std::chrono::milliseconds timeout = std::chrono::milliseconds{30'000})
{
    const int fd = connect_loopback(port, timeout);
    if (fd < 0) return {};
    send_all(fd, bytes);
    std::string answer = receive_all(fd);
    ::close(fd);
    return answer;
}

/// Takes the first answer (after any 100 Continue) out of `text`; status 0 when it is not whole.
/// @param without_body  it answers a HEAD request
inline HttpAnswer parse_answer(std::string_view text, bool without_body = false)
{
    HttpAnswer answer;
    while (true) {
        const std::size_t end = text.find("\r\n\r\n");
        if (end == std::string_view::npos || text.substr(0, 5) != "HTTP/") return {};
        std::string_view head = text.substr(0, end + 2);
        text.remove_prefix(end + 4);
        std::from_chars(head.data() + 9, head.data() + 12, answer.status);
        if (answer.status >= 100 && answer.status < 200) continue;
        head.remove_prefix(head.find("\r\n") + 2);
        while (!head.empty()) {
            const std::size_t line_end = head.find("\r\n");
            const std::string_view line = head.substr(0, line_end);
            const std::size_t colon = line.find(':');
            std::string key{line.substr(0, colon)};
            for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
            while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
            answer.headers.emplace_back(std::move(key), std::string(value));
            head.remove_prefix(line_end + 2);
        }
        break;
    }
    if (without_body || answer.status == 204 || answer.status == 304) return answer;
    if (answer.header("transfer-encoding") == "chunked") {
        while (true) {
            std::size_t size = 0;
            const std::size_t end = text.find("\r\n");
            if (end == std::string_view::npos) return {};
            std::from_chars(text.data(), text.data() + end, size, 16);
            text.remove_prefix(end + 2);
            if (text.size() < size) return {};
            answer.body.append(text.substr(0, size));
            if (size == 0) return answer;
            text.remove_prefix(std::min(text.size(), size + 2));
        }
    }
    if (const std::string length = answer.header("content-length"); !length.empty()) {
        std::size_t size = 0;
        std::from_chars(length.data(), length.data() + length.size(), size);
        if (text.size() < size) return {};
        text = text.substr(0, size);
    }
    answer.body = std::string(text);
    return answer;
}

/// One request on a connection of its own.
inline HttpAnswer http_request(std::uint16_t port, std::string_view method, std::string_view path,
                               std::string_view body = {}, const Headers& headers = {},
                               std::chrono::milliseconds timeout = std::chrono::milliseconds{30'000})
{
    std::string request{method};
    request.append(" ").append(path).append(" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for (const auto& [key, value] : headers) request += key + ": " + value + "\r\n";
    if (!body.empty() || (method != "GET" && method != "HEAD"))
        request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    request.append("\r\n").append(body);
    const std::string text = raw_exchange(port, request, timeout);
    HttpAnswer answer = parse_answer(text, method == "HEAD");
    if (answer.status == 0) answer.body = "no whole answer: " + text;
    return answer;
}

inline HttpAnswer http_get(std::uint16_t port, std::string_view path, const Headers& headers = {})
{
    return http_request(port, "GET", path, {}, headers);
}

inline HttpAnswer http_post(std::uint16_t port, std::string_view path, std::string_view body,
                            const std::string& content_type = "application/json", Headers headers = {})
{
    headers.emplace_back("Content-Type", content_type);
    return http_request(port, "POST", path, body, headers);
}

}  // namespace eventyard::support
