// targets/http_client.hpp — sends one prepared HTTP/1.1 request to one server and reads the answer.
//
// Keeps idle connections for the next request. One time limit covers an exchange from resolving the
// name to the last byte of the answer. An exchange on a kept connection that turns out closed
// before the first byte of an answer is made once more on a new one; nothing else is retried, and
// redirects are answers like any other. Lives on one I/O thread.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "targets/address_guard.hpp"
#include "targets/connection.hpp"
#include "targets/http_answer.hpp"
#include "targets/outcome.hpp"
#include "targets/resolver.hpp"

namespace eventyard::targets {

struct HttpServer {
    std::string host;                  // a name or a literal address without brackets
    std::uint16_t port = 80;
    TlsContext tls;                    // null: plain
    std::vector<std::string> dns_servers;
    AddressGuard guard;                // asked about every address before it is connected to
    std::size_t idle_max = 16;         // connections kept for later
    Duration idle_timeout = std::chrono::seconds{30};
    std::size_t body_kept = AnswerReader::body_kept;
};

struct HttpFailure {
    Cause cause = Cause::lost;
    std::string detail;                // one line with the phase, e.g. "connect: connection refused (127.0.0.1:9)"
};

using HttpResult = std::variant<HttpAnswer, HttpFailure>;

struct HttpCounters {
    std::uint64_t opened = 0;          // connections made
    std::uint64_t reused = 0;          // exchanges on a kept connection
    std::uint64_t resumed = 0;         // TLS handshakes that went on from an earlier session
    std::uint64_t resent = 0;          // kept connections found closed
};

class HttpClient {
public:
    HttpClient(boost::asio::io_context& io, const Clock& clock, HttpServer server);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// @param head  request line and headers with the blank line. Both views must stay valid.
    Task<HttpResult> exchange(std::string_view head, std::string_view body, Duration timeout);
    /// Ends running exchanges with Cause::internal and closes all connections.
    void close();

    [[nodiscard]] const HttpCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t idle() const noexcept;

private:
    struct Attempt;
    struct Pool;
    using Failure = std::optional<HttpFailure>;

    Task<Failure> open(std::shared_ptr<Attempt> attempt);
    Task<Failure> connect(std::shared_ptr<Attempt> attempt, Endpoints& peers, HttpFailure& told);
    Task<Failure> shake_hands(std::shared_ptr<Attempt> attempt, boost::asio::ip::tcp::endpoint peer);
    Task<Failure> transact(std::shared_ptr<Attempt> attempt, std::string_view head,
                           std::string_view body, AnswerReader& reader, bool& nothing_read);
    [[nodiscard]] HttpFailure explain(const Attempt& attempt, Cause cause, std::string detail) const;

    boost::asio::io_context& io_;
    const Clock& clock_;
    HttpServer server_;
    Resolver resolver_;
    std::shared_ptr<Pool> pool_;
    std::shared_ptr<TlsSessions> sessions_ = std::make_shared<TlsSessions>();
    using Attempts = std::set<std::shared_ptr<Attempt>>;
    std::shared_ptr<Attempts> attempts_ = std::make_shared<Attempts>();
    HttpCounters counters_;
    bool closed_ = false;
};

}  // namespace eventyard::targets
