#include "cli/receiver.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <algorithm>
#include <array>
#include <atomic>

#include "router/admin/server.hpp"
#include "router/io_threads.hpp"
#include "targets/target.hpp"

// GCC 12 inlines one half of Asio's pair of frame allocation functions and then misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace eventyard::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using targets::Executor;
using targets::Task;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using Message = http::request<http::string_body>;

constexpr auto token = asio::as_tuple(asio::use_awaitable_t<Executor>{});
constexpr std::uint32_t header_max = 64U << 10;
constexpr std::size_t shown_bytes = 120;
constexpr int connections_max = 20'000;

std::string field(const Message& message, const char* name)
{
    const auto found = message.find(name);
    return found == message.end() ? std::string() : std::string(found->value());
}

}  // namespace

struct Receiver::Server {
    Server(ReceiverOptions given, const Clock& time)
        : options(std::move(given)), clock(time), book(options.plan, options.ids_max),
          threads(std::max(1U, options.threads)), acceptor(threads.at(0).get_executor())
    {
    }

    static Task<void> accept(Server& server);
    static Task<void> serve(Server& server, Socket socket);
    Task<bool> answer(Socket& socket, const Message& message, unsigned status, std::string body,
                      const char* type);
    Task<bool> handle(Socket& socket, const Message& message);
    Task<bool> handle_own(Socket& socket, const Message& message);
    void dealt_with();

    const ReceiverOptions options;
    const Clock& clock;
    ReceiverBook book;
    router::IoThreads threads;
    Acceptor acceptor;
    std::atomic<std::uint64_t> done{0};
    std::atomic<int> open{0};
    std::string url;
    std::uint16_t port = 0;
};

void Receiver::Server::dealt_with()
{
    if (++done == options.until && options.on_until) options.on_until();
}

/// False when the connection must end.
Task<bool> Receiver::Server::answer(Socket& socket, const Message& message, unsigned status,
                                    std::string body, const char* type)
{
    http::response<http::string_body> response{static_cast<http::status>(status), message.version()};
    response.set(http::field::server, "eventyard-sink");
    response.keep_alive(message.keep_alive());
    if (!body.empty()) response.set(http::field::content_type, type);
    if ((status == 429 || status == 503) && options.retry_after > Duration::zero()) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.retry_after);
        response.set(http::field::retry_after, std::to_string(seconds.count()));
    }
    const bool no_body = status == 204 || status == 304;
    if (!no_body) response.content_length(body.size());
    if (!no_body && message.method() != http::verb::head) response.body() = std::move(body);
    http::response_serializer<http::string_body> serializer{response};
    beast::error_code ec;
    if (message.method() == http::verb::head)
        std::tie(ec, std::ignore) = co_await http::async_write_header(socket, serializer, token);
    else
        std::tie(ec, std::ignore) = co_await http::async_write(socket, serializer, token);
    co_return !ec && message.keep_alive();
}

/// The receiver's own paths. False when the connection must end.
Task<bool> Receiver::Server::handle_own(Socket& socket, const Message& message)
{
    unsigned status = 200;
    std::string body;
    const std::string path{message.target()};
    if (message.method() == http::verb::get && path == "/_summary") {
        body = book.summary().dump() + "\n";
    } else if (message.method() == http::verb::get && (path == "/_ids" || path == "/_accepted")) {
        body = book.ids(path == "/_accepted");
    } else if (message.method() == http::verb::put && path == "/_respond") {
        AnswerPlan plan = options.plan;
        plan.reset = ResetScript();
        plan.hang = message.body() == "hang";
        auto script = ResponseScript::parse(plan.hang ? "200" : message.body());
        if (script.has_value()) {
            plan.respond = *script;
            book.follow(std::move(plan));
            body = R"({"ok":true})" "\n";
        } else {
            status = 400;
            body = nlohmann::json{{"error", script.error().what}}.dump() + "\n";
        }
    } else {
        status = 404;
        body = R"({"error":"GET /_summary, /_ids or /_accepted, or PUT /_respond"})" "\n";
    }
    co_return co_await answer(socket, message, status, std::move(body), "application/json");
}

/// False when the connection must end.
Task<bool> Receiver::Server::handle(Socket& socket, const Message& message)
{
    Received received;
    received.time = clock.wall();
    received.webhook_id = field(message, "webhook-id");
    const std::string& body = message.body();
    if (!options.secret.empty())
        received.signature =
            signature_valid(options.secret, received.webhook_id, field(message, "webhook-timestamp"),
                            field(message, "webhook-signature"), body, received.time)
                ? Signature::valid
                : Signature::invalid;
    received.decision = book.enter(received.webhook_id, body.size(), received.signature);
    const Decision decision = received.decision;
    if (options.on_request) {
        received.method = std::string(message.method_string());
        received.path = std::string(message.target());
        received.content_type = field(message, "content-type");
        received.size = body.size();
        received.first_bytes = body.substr(0, shown_bytes);
        options.on_request(received);
    }
    if (options.delay > Duration::zero()) {
        Timer timer{socket.get_executor(), options.delay};
        co_await timer.async_wait(token);
    }
    bool go_on = false;
    if (decision.act == Decision::Act::reset) {
        beast::error_code ignored;
        socket.set_option(asio::socket_base::linger(true, 0), ignored);  // close sends RST
        socket.close(ignored);
    } else if (decision.act == Decision::Act::hang) {
        dealt_with();
        // Until the other side gives up; what it sends meanwhile is dropped.
        std::array<char, 4096> dropped;
        for (;;) {
            const auto [ec, n] = co_await socket.async_read_some(asio::buffer(dropped), token);
            if (ec) co_return false;
        }
    } else {
        std::string text;
        if (decision.status >= 300)
            text = "{\"error\":\"the trial receiver was asked to answer " +
                   std::to_string(decision.status) + "\"}\n";
        go_on = co_await answer(socket, message, decision.status, std::move(text), "application/json");
    }
    dealt_with();
    co_return go_on;
}

Task<void> Receiver::Server::serve(Server& server, Socket socket)
{
    beast::flat_buffer buffer{header_max + (128U << 10)};
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    bool go_on = true;
    while (go_on) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(header_max);
        parser.body_limit(server.options.body_max);
        auto [ec, n] = co_await http::async_read_header(socket, buffer, parser, token);
        if (ec) break;
        if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            static constexpr std::string_view go = "HTTP/1.1 100 Continue\r\n\r\n";
            std::tie(ec, n) = co_await asio::async_write(socket, asio::buffer(go), token);
            if (ec) break;
        }
        std::tie(ec, n) = co_await http::async_read(socket, buffer, parser, token);
        if (ec == http::error::body_limit) {
            Message refused = parser.release();
            refused.keep_alive(false);
            go_on = co_await server.answer(socket, refused, 413, "{\"error\":\"body too large\"}\n",
                                           "application/json");
            break;
        }
        if (ec) break;
        const Message& message = parser.get();
        const bool own = message.target().substr(0, 2) == "/_";
        if (own)
            go_on = co_await server.handle_own(socket, message);
        else
            go_on = co_await server.handle(socket, message);
    }
    if (socket.is_open()) socket.shutdown(tcp::socket::shutdown_both, ignored);
    --server.open;
}

Task<void> Receiver::Server::accept(Server& server)
{
    for (std::size_t turn = 0;; ++turn) {
        const Executor executor = server.threads.at(turn % server.threads.size()).get_executor();
        auto [ec, socket] = co_await server.acceptor.async_accept(executor, token);
        if (!server.acceptor.is_open()) co_return;
        if (ec || server.open >= connections_max) {
            // Out of descriptors, or too many connections: wait a little, then accept again.
            Timer pause{server.acceptor.get_executor(), std::chrono::milliseconds{50}};
            co_await pause.async_wait(token);
            continue;
        }
        ++server.open;
        asio::co_spawn(executor, serve(server, std::move(socket)), [](std::exception_ptr bug) {
            if (bug) std::rethrow_exception(bug);
        });
    }
}

Receiver::Receiver(ReceiverOptions options, const Clock& clock)
    : server_(std::make_unique<Server>(std::move(options), clock))
{
}

Receiver::~Receiver() { stop(); }

Result<void> Receiver::start()
{
    EVENTYARD_TRY(endpoint, router::admin::parse_endpoint(server_->options.listen));
    beast::error_code ec;
    server_->acceptor.open(endpoint.protocol(), ec);
    if (!ec) server_->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) server_->acceptor.bind(endpoint, ec);
    if (!ec) server_->acceptor.listen(1024, ec);
    if (ec)
        return fail(Errc::io, "cannot listen on " + server_->options.listen + ": " + ec.message());
    const auto bound = server_->acceptor.local_endpoint(ec);
    server_->port = bound.port();
    const std::string host = bound.address().to_string();
    server_->url = "http://" + (bound.address().is_v6() ? "[" + host + "]" : host) + ":" +
                   std::to_string(bound.port());
    asio::co_spawn(server_->acceptor.get_executor(), Server::accept(*server_), [](std::exception_ptr bug) {
        if (bug) std::rethrow_exception(bug);
    });
    server_->threads.start();
    return {};
}

void Receiver::stop() { server_->threads.stop_now(); }

std::uint16_t Receiver::port() const noexcept { return server_->port; }
std::string Receiver::url() const { return server_->url; }
const ReceiverBook& Receiver::book() const noexcept { return server_->book; }

}  // namespace eventyard::cli
