// targets/connection.hpp — one TCP or TLS connection to an HTTP server.
//
// Lives on one I/O thread. abort() makes a waiting call end with an error.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "core/result.hpp"
#include "targets/target.hpp"

namespace eventyard::targets {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using ErrorCode = boost::system::error_code;

struct TlsOptions {
    bool verify = true;
    std::string ca_file;      // empty: the system's authorities
    std::string certificate;  // of this client, with what leads to its authority; empty: none
    std::string key;          // of the certificate; not encrypted
};

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

/// Why there is no context: the option at fault ("ca_file", "certificate", "key") and a text that
/// names its file.
struct TlsProblem {
    const char* option = "";
    std::string text;
};

/// A client context for TLS 1.2 and later. Null, and `problem` says why.
TlsContext make_tls_context(const TlsOptions& options, TlsProblem& problem);

/// The sessions a server gave, for shorter handshakes with it. Belongs to the connections of one
/// client to one server by one context: what was checked of the server once is not checked again.
class TlsSessions {
public:
    static constexpr std::size_t kept_max = 8;
    TlsSessions() = default;
    ~TlsSessions();
    TlsSessions(const TlsSessions&) = delete;
    TlsSessions& operator=(const TlsSessions&) = delete;
    /// Takes over the reference.
    void keep(SSL_SESSION* session);
    /// The newest, which is then no longer kept: a ticket is for one use. Null: none.
    [[nodiscard]] SSL_SESSION* take();

private:
    std::deque<SSL_SESSION*> kept_;
};

class Connection {
public:
    using Transfer = std::pair<ErrorCode, std::size_t>;
    virtual ~Connection() = default;
    Task<ErrorCode> connect(boost::asio::ip::tcp::endpoint peer);
    /// For TLS: SNI and the certificate's name are `host`. Plain TCP: nothing to do.
    virtual Task<ErrorCode> handshake(std::string host) = 0;
    virtual Task<Transfer> read_some(boost::asio::mutable_buffer buffer) = 0;
    virtual Task<ErrorCode> write(std::array<boost::asio::const_buffer, 2> pieces) = 0;
    /// Why the last handshake failed, for people.
    [[nodiscard]] virtual std::string handshake_problem(ErrorCode ec) const = 0;
    /// Whether the handshake went on from an earlier session.
    [[nodiscard]] virtual bool resumed() const { return false; }
    /// Whether an idle connection can still be used, as far as this side can see.
    [[nodiscard]] bool looks_alive();
    void abort() noexcept;

protected:
    [[nodiscard]] virtual Socket& socket() noexcept = 0;
    bool unread_is_fatal_ = true;  // plain: bytes nobody asked for; TLS: may be a session ticket
};

/// @param tls  null: plain TCP
std::shared_ptr<Connection> make_connection(boost::asio::io_context& io, const TlsContext& tls,
                                            std::shared_ptr<TlsSessions> sessions);

}  // namespace eventyard::targets
