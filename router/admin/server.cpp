#include "router/admin/server.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <charconv>
#include <optional>

#include "core/log.hpp"

namespace eventyard::router::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr auto token = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t body_limit = 1U << 20;
constexpr int connections_max = 100;
constexpr std::chrono::seconds io_timeout{30};
constexpr std::chrono::seconds handler_timeout{300};
constexpr std::chrono::seconds linger_timeout{1};

/// Where a handler's answer meets the waiting connection; shared because either may end first.
struct Waiting {
    explicit Waiting(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    Answer answer{504, R"({"error":"no answer in time"})" "\n", "application/json"};
    bool done = false;
};

bool to_request(const http::request<http::string_body>& message, Request& request)
{
    const auto url = boost::urls::parse_origin_form(
        boost::core::string_view{message.target().data(), message.target().size()});
    if (!url) return false;
    request.method = std::string(message.method_string());
    for (const auto segment : url->segments()) request.path += "/" + std::string(segment);
    for (const auto param : url->params())
        if (!request.query.emplace(param.key, param.has_value ? std::string(param.value) : "").second)
            request.repeated = std::string(param.key);
    request.body = message.body();
    return true;
}

void call_handler(asio::io_context& io, const Handler& handler, Request request,
                  std::shared_ptr<Waiting> waiting)
{
    handler(std::move(request), [&io, waiting](Answer answer) {
        asio::post(io, [waiting, answer = std::move(answer)]() mutable {
            if (waiting->done) return;
            waiting->done = true;
            waiting->answer = std::move(answer);
            waiting->timer.cancel();
        });
    });
}

/// What to say to bytes that are no request; nothing when the peer has gone or is too slow.
std::optional<Answer> refusal_of(const beast::error_code& ec)
{
    if (ec == http::error::end_of_stream || ec == http::error::partial_message ||
        ec.category() != http::make_error_code(http::error::bad_method).category())
        return std::nullopt;
    if (ec == http::error::body_limit)
        return Answer{413, R"({"error":"the request's body is larger than 1 MiB"})" "\n"};
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return Answer{431, R"({"error":"the request's head is too large"})" "\n"};
    return Answer{400, R"({"error":"the request is not HTTP"})" "\n"};
}

asio::awaitable<void> refuse(beast::tcp_stream& stream, Answer answer)
{
    http::response<http::string_body> response{static_cast<http::status>(answer.status), 11};
    response.set(http::field::content_type, answer.content_type);
    response.keep_alive(false);
    response.body() = std::move(answer.body);
    response.prepare_payload();
    stream.expires_after(io_timeout);
    co_await http::async_write(stream, response, token);
    // Closing with bytes unread would reset the connection, and the peer might lose the answer.
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream.expires_after(linger_timeout);
    std::array<char, 4096> rest{};
    for (std::size_t read = 0; read < body_limit;) {
        const auto [ec, n] = co_await stream.async_read_some(asio::buffer(rest), token);
        if (ec) break;
        read += n;
    }
}

asio::awaitable<void> serve(tcp::socket socket, asio::io_context& io,
                            std::shared_ptr<const Handler> handler, std::shared_ptr<int> open)
{
    beast::tcp_stream stream{std::move(socket)};
    beast::flat_buffer buffer{64U << 10};
    for (;;) {
        http::request_parser<http::string_body> parser;
        parser.body_limit(body_limit);
        stream.expires_after(io_timeout);
        auto [read_ec, n] = co_await http::async_read_header(stream, buffer, parser, token);
        if (!read_ec && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            std::tie(read_ec, n) = co_await asio::async_write(stream, asio::buffer(go_on), token);
        }
        if (!read_ec) std::tie(read_ec, n) = co_await http::async_read(stream, buffer, parser, token);
        if (read_ec) {
            if (auto answer = refusal_of(read_ec)) co_await refuse(stream, std::move(*answer));
            break;
        }
        const auto& message = parser.get();
        auto waiting = std::make_shared<Waiting>(io);
        waiting->timer.expires_after(handler_timeout);
        Request request;
        if (to_request(message, request)) {
            call_handler(io, *handler, std::move(request), waiting);
            if (!waiting->done) co_await waiting->timer.async_wait(token);
            waiting->done = true;
        } else {
            waiting->answer = {400, R"({"error":"bad request target"})" "\n", "application/json", {}};
        }
        http::response<http::string_body> response{static_cast<http::status>(waiting->answer.status),
                                                   message.version()};
        response.set(http::field::content_type, waiting->answer.content_type);
        response.set(http::field::cache_control, "no-store");
        if (!waiting->answer.allow.empty()) response.set(http::field::allow, waiting->answer.allow);
        response.keep_alive(message.keep_alive());
        const bool head = message.method() == http::verb::head;
        const std::size_t size = waiting->answer.body.size();
        if (!head) response.body() = std::move(waiting->answer.body);
        response.content_length(size);
        stream.expires_after(io_timeout);
        http::response_serializer<http::string_body> serializer{response};
        beast::error_code write_ec;
        if (head)
            std::tie(write_ec, std::ignore) = co_await http::async_write_header(stream, serializer, token);
        else
            std::tie(write_ec, std::ignore) = co_await http::async_write(stream, serializer, token);
        if (write_ec || !response.keep_alive()) break;
    }
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
    --*open;
}

}  // namespace

struct Server::Listener {
    Listener(asio::io_context& io, std::shared_ptr<const Handler> to)
        : acceptor(io), handler(std::move(to))
    {
    }
    tcp::acceptor acceptor;
    std::shared_ptr<const Handler> handler;
    std::shared_ptr<int> open = std::make_shared<int>(0);

    static asio::awaitable<void> run(std::shared_ptr<Listener> self, asio::io_context& io)
    {
        for (;;) {
            auto [ec, socket] = co_await self->acceptor.async_accept(token);
            if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
            if (ec || *self->open >= connections_max) {
                // Out of descriptors, or too many connections: wait a little, then accept again.
                asio::steady_timer pause{io, std::chrono::milliseconds{100}};
                co_await pause.async_wait(token);
                continue;
            }
            ++*self->open;
            asio::co_spawn(io, serve(std::move(socket), io, self->handler, self->open),
                           [](std::exception_ptr bug) {
                               if (bug) std::rethrow_exception(bug);
                           });
        }
    }
};

Server::Server(asio::io_context& io, Handler handler)
    : io_(io), handler_(std::make_shared<const Handler>(std::move(handler)))
{
}

Server::~Server() { close(); }

Result<void> Server::listen(const std::string& address)
{
    EVENTYARD_TRY(endpoint, parse_endpoint(address));
    auto listener = std::make_shared<Listener>(io_, handler_);
    beast::error_code ec;
    listener->acceptor.open(endpoint.protocol(), ec);
    if (!ec) listener->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) listener->acceptor.bind(endpoint, ec);
    if (!ec) listener->acceptor.listen(64, ec);
    if (ec)
        return fail(Errc::io, "cannot listen on " + address + " (listen.admin): " + ec.message());
    close();
    const auto bound = listener->acceptor.local_endpoint(ec);
    address_ = (bound.address().is_v6() ? "[" + bound.address().to_string() + "]"
                                        : bound.address().to_string()) +
               ":" + std::to_string(bound.port());
    listener_ = listener;
    asio::co_spawn(io_, Listener::run(listener, io_), [](std::exception_ptr bug) {
        if (bug) std::rethrow_exception(bug);
    });
    return {};
}

void Server::close()
{
    if (!listener_) return;
    beast::error_code ignored;
    listener_->acceptor.close(ignored);
    listener_.reset();
}

Result<tcp::endpoint> parse_endpoint(const std::string& address)
{
    const auto colon = address.rfind(':');
    std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    const std::string port_text = colon == std::string::npos ? "" : address.substr(colon + 1);
    unsigned port = 0;
    const auto [end, parsed] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    beast::error_code ec;
    const auto ip = asio::ip::make_address(host, ec);
    if (ec || port_text.empty() || parsed != std::errc{} ||
        end != port_text.data() + port_text.size() || port > 65535)
        return fail(Errc::invalid,
                    "'" + address + "' is not an address and port such as 127.0.0.1:8080 or [::1]:8080");
    return tcp::endpoint{ip, static_cast<std::uint16_t>(port)};
}

}  // namespace eventyard::router::admin
