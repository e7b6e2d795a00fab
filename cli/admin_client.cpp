#include "cli/admin_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <iostream>

namespace eventyard::cli {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = boost::asio::ip::tcp;

nlohmann::json AdminAnswer::json() const
{
    auto parsed = nlohmann::json::parse(body, nullptr, false);
    return parsed.is_discarded() ? nlohmann::json() : parsed;
}

bool AdminAnswer::of_admin() const
{
    const auto told = json();
    const auto text = [&](const char* key) { return told.contains(key) && told[key].is_string(); };
    return told.is_object() && (status == 200 || text("error") || text("report"));
}

std::string not_admin(const AdminOptions& options, const AdminAnswer& answer)
{
    return options.admin + " is no admin listener of Eventyard: it answered HTTP " + std::to_string(answer.status) +
           " in another form\n--admin or EVENTYARD_ADMIN must be the daemon's listen.admin, not listen.http";
}

std::shared_ptr<AdminOptions> add_admin_options(CLI::App& app)
{
    auto options = std::make_shared<AdminOptions>();
    app.add_option("--admin", options->admin, "address of the daemon's admin listener (listen.admin)")
        ->type_name("ADDRESS")
        ->capture_default_str()
        ->envname("EVENTYARD_ADMIN");
    app.add_flag("--json", options->json, "print JSON, for scripts");
    return options;
}

Result<AdminAnswer> ask_admin(const std::string& address, const std::string& method,
                              const std::string& target, const std::string& body)
{
    const auto colon = address.rfind(':');
    if (colon == std::string::npos)
        return fail(Errc::invalid, "--admin must be an address and port, such as 127.0.0.1:9080");
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    boost::asio::io_context io;
    tcp::resolver resolver{io};
    beast::error_code ec;
    const auto peers = resolver.resolve(host, address.substr(colon + 1), ec);
    if (ec) return fail(Errc::unavailable, "cannot resolve '" + host + "': " + ec.message());
    // Asynchronous calls, because only those obey expires_after.
    beast::tcp_stream stream{io};
    const auto run = [&](auto&& start, const char* what) -> Result<void> {
        bool done = false;
        start([&](beast::error_code result, auto&&...) {
            ec = result;
            done = true;
        });
        io.restart();
        io.run();
        if (!done || ec)
            return fail(Errc::unavailable, std::string("cannot ") + what + " " + address + ": " +
                                               ec.message() + "\nis the daemon running? --admin or "
                                                              "EVENTYARD_ADMIN must be its listen.admin");
        return {};
    };
    stream.expires_after(std::chrono::minutes{5});
    EVENTYARD_CHECK(run([&](auto done) { stream.async_connect(peers, std::move(done)); }, "connect to"));
    http::request<http::string_body> request{http::string_to_verb(method), target, 11};
    request.set(http::field::host, address);
    request.set(http::field::user_agent, "eventyard/" EVENTYARD_VERSION);
    request.body() = body;
    request.keep_alive(false);
    request.prepare_payload();
    EVENTYARD_CHECK(run([&](auto done) { http::async_write(stream, request, std::move(done)); }, "write to"));
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(256ULL << 20);
    EVENTYARD_CHECK(run([&](auto done) { http::async_read(stream, buffer, parser, std::move(done)); },
                        "read from"));
    return AdminAnswer{parser.get().result_int(), std::move(parser.get().body())};
}

std::optional<AdminAnswer> ask_or_complain(const AdminOptions& options, const std::string& method,
                                           const std::string& target, int& exit_code)
{
    auto answer = ask_admin(options.admin, method, target);
    if (!answer.has_value()) {
        std::cerr << "eventyard: " << answer.error().what << "\n";
        exit_code = 2;
        return std::nullopt;
    }
    if (!answer->of_admin()) {
        std::cerr << "eventyard: " << not_admin(options, *answer) << "\n";
        exit_code = 2;
        return std::nullopt;
    }
    if (answer->status == 200) return std::move(*answer);
    std::string why = answer->json().value("error", answer->body);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    std::cerr << "eventyard: " << why << "\n";
    exit_code = answer->status == 400 ? 2 : 1;
    return std::nullopt;
}

std::string encode(const std::string& text)
{
    return boost::urls::encode(text, boost::urls::unreserved_chars);
}

}  // namespace eventyard::cli
