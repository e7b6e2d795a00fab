// router/admin/server.hpp — the admin listener: a small HTTP server on the control thread.
//
// Not on the event path, so plain Beast is good enough here. Requests go to one handler, which
// answers now or later from any thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/result.hpp"

namespace eventyard::router::admin {

struct Request {
    std::string method;
    std::string path;                          // decoded, without the query
    std::map<std::string, std::string> query;  // decoded; the first of equal keys
    std::string repeated;                      // one of those that came more than once
    std::string body;
};

struct Answer {
    unsigned status = 200;
    std::string body;
    std::string content_type = "application/json";
    std::string allow{};                       // of a 405: the methods that the path knows
};

using Respond = std::function<void(Answer)>;
/// Must call `respond` exactly once, from any thread.
using Handler = std::function<void(Request, Respond)>;

class Server {
public:
    /// @param io  runs on one thread; must outlive the server.
    Server(boost::asio::io_context& io, Handler handler);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Opens `address` ("127.0.0.1:9080", "[::1]:0"); an earlier listener is closed only when the new
    /// one stands. Any thread while `io` does not run yet, later only on its thread.
    Result<void> listen(const std::string& address);
    /// The bound address, with the real port.
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    void close();

private:
    struct Listener;
    boost::asio::io_context& io_;
    std::shared_ptr<const Handler> handler_;
    std::shared_ptr<Listener> listener_;
    std::string address_;
};

/// Splits "host:port" or "[v6]:port"; the host must be an address, not a name.
Result<boost::asio::ip::tcp::endpoint> parse_endpoint(const std::string& address);

}  // namespace eventyard::router::admin
