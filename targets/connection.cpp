#include "targets/connection.hpp"

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

class TlsConnection final : public Connection {
public:
    TlsConnection(asio::io_context& io, TlsContext tls)
        : tls_(std::move(tls)), stream_(Socket{io.get_executor()}, *tls_)
    {
        unread_is_fatal_ = false;
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
    ssl::stream<Socket> stream_;
};

}  // namespace

Result<TlsContext> make_tls_context(const TlsOptions& options)
{
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    ErrorCode ec;
    context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                             ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                             ssl::context::no_tlsv1_1,
                         ec);
    context->set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none, ec);
    if (!options.ca_file.empty()) {
        context->load_verify_file(options.ca_file, ec);
        if (ec)
            return fail(Errc::invalid, "no certificates could be read from '" + options.ca_file +
                                           "': " + ec.message());
    } else {
        context->set_default_verify_paths(ec);
    }
    return context;
}

std::shared_ptr<Connection> make_connection(asio::io_context& io, const TlsContext& tls)
{
    if (tls) return std::make_shared<TlsConnection>(io, tls);
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
