// tests/support/hook_server.hpp — an HTTP or HTTPS server on a loopback port that answers as told.
//
//     HookServer server{[](const HookRequest& r) { return answer(r.body.empty() ? 400 : 200); }};
//     ... "http://127.0.0.1:" + std::to_string(server.port())
//
// A thread a connection; the behaviour is called by those threads, one at a time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace eventyard::support {

struct HookRequest {
    std::string head;  // up to and without the blank line
    std::string body;
    int connection = 0;  // counts from 1
    /// The header's value; name in lower case.
    [[nodiscard]] std::string header(const std::string& name) const
    {
        std::string lower = head;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto at = lower.find("\r\n" + name + ": ");
        if (at == std::string::npos) return {};
        const auto begin = at + name.size() + 4;
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

struct HookReply {
    std::string bytes;
    bool close = false;  // after the bytes
    bool hang = false;   // say nothing more until the server ends
};

inline HookReply answer(int status, const std::string& headers = "", const std::string& body = "")
{
    return {"HTTP/1.1 " + std::to_string(status) + " Status\r\n" + headers + "Content-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body, false, false};
}

struct TlsFiles {
    std::string certificate;  // empty: plain HTTP
    std::string key;
    std::string client_authority;  // clients must show a certificate by it; empty: need not
};

class HookServer {
public:
    using Behaviour = std::function<HookReply(const HookRequest&)>;
    /// @param read_nothing  accept connections and never read from them
    explicit HookServer(Behaviour behaviour, const TlsFiles& tls = {}, bool read_nothing = false)
        : behaviour_(std::move(behaviour)), read_nothing_(read_nothing)
    {
        if (!tls.certificate.empty()) {
            tls_ = SSL_CTX_new(TLS_server_method());
            if (SSL_CTX_use_certificate_chain_file(tls_, tls.certificate.c_str()) != 1 ||
                SSL_CTX_use_PrivateKey_file(tls_, tls.key.c_str(), SSL_FILETYPE_PEM) != 1)
                throw std::runtime_error("cannot use " + tls.certificate);
            const unsigned char context[] = "hook";
            SSL_CTX_set_session_id_context(tls_, context, sizeof context - 1);
            if (!tls.client_authority.empty()) {
                if (SSL_CTX_load_verify_locations(tls_, tls.client_authority.c_str(), nullptr) != 1)
                    throw std::runtime_error("cannot use " + tls.client_authority);
                SSL_CTX_set_verify(tls_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
            }
            SSL_CTX_set_tlsext_servername_callback(tls_, &HookServer::on_name);
            SSL_CTX_set_tlsext_servername_arg(tls_, this);
        }
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::listen(listener_, 4096) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("cannot listen");
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] { accept(); });
    }
    HookServer(const HookServer&) = delete;
    HookServer& operator=(const HookServer&) = delete;
    ~HookServer()
    {
        stop_ = true;
        acceptor_.join();
        for (std::thread& thread : threads_) thread.join();
        ::close(listener_);
        SSL_CTX_free(tls_);
    }
    [[nodiscard]] int port() const noexcept { return port_; }
    [[nodiscard]] int connections() const noexcept { return connections_; }
    [[nodiscard]] std::string url(const std::string& path = "/") const
    {
        return (tls_ != nullptr ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) + path;
    }
    /// TLS handshakes that went on from an earlier session.
    [[nodiscard]] int resumed() const noexcept { return resumed_; }
    /// The name the last TLS client asked for.
    [[nodiscard]] std::string asked_name()
    {
        const std::lock_guard lock{mutex_};
        return asked_name_;
    }

private:
    static int on_name(SSL* ssl, int*, void* self)
    {
        auto& server = *static_cast<HookServer*>(self);
        const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        const std::lock_guard lock{server.mutex_};
        server.asked_name_ = name != nullptr ? name : "";
        return SSL_TLSEXT_ERR_OK;
    }

    void accept()
    {
        while (!stop_) {
            pollfd waiting{listener_, POLLIN, 0};
            if (::poll(&waiting, 1, 20) <= 0) continue;
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) continue;
            const int number = ++connections_;
            threads_.emplace_back([this, fd, number] { serve(fd, number); });
        }
    }

    struct Wire {
        int fd;
        SSL* ssl;
        long read(char* out, int size) const
        {
            return ssl != nullptr ? SSL_read(ssl, out, size)
                                  : ::recv(fd, out, static_cast<std::size_t>(size), 0);
        }
        bool write(std::string_view bytes) const
        {
            while (!bytes.empty()) {
                const long n = ssl != nullptr ? SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()))
                                              : ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (n <= 0) return false;
                bytes.remove_prefix(static_cast<std::size_t>(n));
            }
            return true;
        }
    };

    bool wait_readable(const Wire& wire) const
    {
        while (!stop_) {
            if (wire.ssl != nullptr && SSL_pending(wire.ssl) > 0) return true;
            pollfd waiting{wire.fd, POLLIN, 0};
            if (::poll(&waiting, 1, 20) > 0) return true;
        }
        return false;
    }

    void serve(int fd, int number)
    {
        Wire wire{fd, nullptr};
        if (read_nothing_) {
            while (!stop_) ::usleep(10'000);
        } else if (tls_ == nullptr) {
            talk(wire, number);
        } else {
            wire.ssl = SSL_new(tls_);
            SSL_set_fd(wire.ssl, fd);
            if (wait_readable(wire) && SSL_accept(wire.ssl) == 1) {
                resumed_ += SSL_session_reused(wire.ssl);
                talk(wire, number);
            }
            SSL_free(wire.ssl);
        }
        ::close(fd);
    }

    void talk(const Wire& wire, int number)
    {
        std::string bytes;
        std::vector<char> buffer(65536);
        while (!stop_) {
            const auto end = bytes.find("\r\n\r\n");
            HookRequest request;
            std::size_t size = 0;
            if (end != std::string::npos) {
                request.head = bytes.substr(0, end);
                request.connection = number;
                const std::string length = request.header("content-length");
                size = length.empty() ? 0 : std::stoul(length);
            }
            if (end == std::string::npos || bytes.size() < end + 4 + size) {
                if (!wait_readable(wire)) return;
                const long n = wire.read(buffer.data(), static_cast<int>(buffer.size()));
                if (n <= 0) return;
                bytes.append(buffer.data(), static_cast<std::size_t>(n));
                continue;
            }
            request.body = bytes.substr(end + 4, size);
            bytes.erase(0, end + 4 + size);
            HookReply reply;
            {
                const std::lock_guard lock{mutex_};
                reply = behaviour_(request);
            }
            if (!wire.write(reply.bytes) || reply.close) return;
            while (reply.hang && !stop_) ::usleep(10'000);
        }
    }

    Behaviour behaviour_;
    bool read_nothing_;
    SSL_CTX* tls_ = nullptr;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<int> connections_{0};
    std::atomic<int> resumed_{0};
    std::mutex mutex_;
    std::string asked_name_;
    std::thread acceptor_;
    std::vector<std::thread> threads_;
};

}  // namespace eventyard::support
