#include "targets/connection.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace eventyard::targets {
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
namespace {

constexpr auto use_task = asio::as_tuple(asio::use_awaitable_t<Executor>{});

class PlainConnection final : public Connection {
public:
    explicit PlainConnection(asio::io_context& io) : socket_(io.get_executor()) {}
    Task<ErrorCode> handshake(std::string) override { co_return ErrorCode{}; }
    Task<Transfer> read_some(asio::mutable_buffer buffer) override
    {
        const auto [ec, size] = co_await socket_.async_read_some(buffer, use_task);
        co_return Transfer{ec, size};
    }
    Task<ErrorCode> write(std::array<asio::const_buffer, 2> pieces) override
    {
        const auto [ec, size] = co_await asio::async_write(socket_, pieces, use_task);
        co_return ec;
    }
    std::string handshake_problem(ErrorCode ec) const override { return ec.message(); }

protected:
    Socket& socket() noexcept override { return socket_; }

private:
    Socket socket_;
};

/// Where an SSL object keeps the TlsSessions it gives its sessions to.
int sessions_index()
{
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

/// Called within a handshake or a read, on the connection's thread.
int on_new_session(SSL* ssl, SSL_SESSION* session)
{
    auto* sessions = static_cast<TlsSessions*>(SSL_get_ex_data(ssl, sessions_index()));
    if (sessions == nullptr || SSL_SESSION_is_resumable(session) != 1) return 0;
    sessions->keep(session);
    return 1;
}

class TlsConnection final : public Connection {
public:
    TlsConnection(asio::io_context& io, TlsContext tls, std::shared_ptr<TlsSessions> sessions)
        : tls_(std::move(tls)),
          sessions_(std::move(sessions)),
          stream_(Socket{io.get_executor()}, *tls_)
    {
        unread_is_fatal_ = false;
        SSL* handle = stream_.native_handle();
        SSL_set_ex_data(handle, sessions_index(), sessions_.get());
        if (SSL_SESSION* session = sessions_->take()) {
            SSL_set_session(handle, session);
            SSL_SESSION_free(session);
        }
    }
    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;
    ~TlsConnection() override
    {
        // Else OpenSSL holds the session of a connection that ended without close_notify for bad,
        // as versions before TLS 1.1 had it.
        SSL_set_shutdown(stream_.native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }

    Task<ErrorCode> handshake(std::string host) override
    {
        SSL* handle = stream_.native_handle();
        X509_VERIFY_PARAM* wanted = SSL_get0_param(handle);
        ErrorCode not_literal;
        asio::ip::make_address(host, not_literal);
        int set = 0;
        if (!not_literal) {
            set = X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
        } else {
            X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            set = X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size());
            if (SSL_set_tlsext_host_name(handle, host.c_str()) != 1) set = 0;
        }
        if (set != 1) co_return ErrorCode{asio::error::invalid_argument};
        const auto [ec] = co_await stream_.async_handshake(ssl::stream_base::client, use_task);
        co_return ec;
    }

    Task<Transfer> read_some(asio::mutable_buffer buffer) override
    {
        const auto [ec, size] = co_await stream_.async_read_some(buffer, use_task);
        // An end without close_notify is an end; whether the answer was whole, HTTP tells.
        if (ec == ssl::error::stream_truncated) co_return Transfer{asio::error::eof, size};
        co_return Transfer{ec, size};
    }

    Task<ErrorCode> write(std::array<asio::const_buffer, 2> pieces) override
    {
        const auto [ec, size] = co_await asio::async_write(stream_, pieces, use_task);
        co_return ec;
    }

    bool resumed() const override
    {
        return SSL_session_reused(const_cast<ssl::stream<Socket>&>(stream_).native_handle()) == 1;
    }

    std::string handshake_problem(ErrorCode ec) const override
    {
        const long verified = SSL_get_verify_result(
            const_cast<ssl::stream<Socket>&>(stream_).native_handle());
        if (verified != X509_V_OK)
            return std::string("certificate refused: ") + X509_verify_cert_error_string(verified);
        if (ec == asio::error::eof || ec == ssl::error::stream_truncated)
            return "the server ended the handshake";
        return ec.message();
    }

protected:
    Socket& socket() noexcept override { return stream_.next_layer(); }

private:
    TlsContext tls_;
    std::shared_ptr<TlsSessions> sessions_;  // outlives the stream, which points to it
    ssl::stream<Socket> stream_;
};

}  // namespace

TlsSessions::~TlsSessions()
{
    for (SSL_SESSION* session : kept_) SSL_SESSION_free(session);
}

void TlsSessions::keep(SSL_SESSION* session)
{
    kept_.push_back(session);
    if (kept_.size() <= kept_max) return;
    SSL_SESSION_free(kept_.front());
    kept_.pop_front();
}

SSL_SESSION* TlsSessions::take()
{
    if (kept_.empty()) return nullptr;
    SSL_SESSION* session = kept_.back();
    kept_.pop_back();
    return session;
}

TlsContext make_tls_context(const TlsOptions& options, TlsProblem& problem)
{
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    ErrorCode ec;
    context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                             ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                             ssl::context::no_tlsv1_1,
                         ec);
    context->set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none, ec);
    SSL_CTX* handle = context->native_handle();
    SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(handle, &on_new_session);
    const auto failed = [&](const char* option, std::string text) {
        problem = {option, std::move(text)};
        return nullptr;
    };
    if (!options.ca_file.empty()) {
        context->load_verify_file(options.ca_file, ec);
        if (ec)
            return failed("ca_file", "no certificates could be read from '" + options.ca_file +
                                         "': " + ec.message());
    } else {
        context->set_default_verify_paths(ec);
    }
    if (options.certificate.empty()) return context;
    context->use_certificate_chain_file(options.certificate, ec);
    if (ec)
        return failed("certificate", "no certificate could be read from '" + options.certificate +
                                         "': " + ec.message());
    // Without an answer of ours OpenSSL would ask the terminal for the password of an encrypted key.
    SSL_CTX_set_default_passwd_cb(handle, [](char*, int, int, void*) { return -1; });
    context->use_private_key_file(options.key, ssl::context::pem, ec);
    if (ec && ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == X509_R_KEY_VALUES_MISMATCH)
        return failed("key", "'" + options.key + "' is not the key of '" + options.certificate + "'");
    if (ec)
        return failed("key", "no unencrypted private key could be read from '" + options.key +
                                 "': " + ec.message());
    return context;
}

std::shared_ptr<Connection> make_connection(asio::io_context& io, const TlsContext& tls,
                                            std::shared_ptr<TlsSessions> sessions)
{
    if (tls) return std::make_shared<TlsConnection>(io, tls, std::move(sessions));
    return std::make_shared<PlainConnection>(io);
}

Task<ErrorCode> Connection::connect(asio::ip::tcp::endpoint peer)
{
    const auto [ec] = co_await socket().async_connect(peer, use_task);
    if (!ec) {
        ErrorCode ignored;
        socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
    }
    co_return ec;
}

bool Connection::looks_alive()
{
    char byte = 0;
    const auto got = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    return got > 0 && !unread_is_fatal_;
}

void Connection::abort() noexcept
{
    ErrorCode ignored;
    socket().close(ignored);
}

}  // namespace eventyard::targets
