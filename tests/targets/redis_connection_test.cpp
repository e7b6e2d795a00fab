// What a server that misbehaves may cost: the real ones are in tests/conformance.
#include <catch2/catch.hpp>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "targets/redis_connection.hpp"

using namespace eventyard;
using namespace eventyard::targets;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Takes one connection and one command, then does as told until the client goes away.
class Server {
public:
    explicit Server(std::function<void(tcp::socket&)> act)
        : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}), thread_([this, act = std::move(act)] {
              boost::system::error_code ec;
              tcp::socket peer{io_};
              acceptor_.accept(peer, ec);
              std::array<char, 4096> request{};
              peer.read_some(asio::buffer(request), ec);
              if (!ec) act(peer);
          })
    {
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() { thread_.join(); }
    [[nodiscard]] Endpoints peers() const { return {acceptor_.local_endpoint()}; }

private:
    asio::io_context io_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

Outcome add_one(const Server& server, std::chrono::milliseconds timeout)
{
    RedisOptions options;
    options.host = "127.0.0.1";
    options.timeout = timeout;
    RedisConnection connection{options};
    const auto outcomes = connection.exchange({{"XADD", "s", "*", "event", "{}"}}, server.peers(), WallTime{});
    REQUIRE(outcomes.size() == 1);
    return outcomes[0];
}

std::size_t send(tcp::socket& to, const std::string& text)
{
    boost::system::error_code ec;
    const std::size_t sent = asio::write(to, asio::buffer(text), ec);
    return ec ? 0 : sent;
}

}  // namespace

TEST_CASE("a Redis reply without end costs little memory and is a failure of the protocol")
{
    std::size_t poured = 0;
    {
        Server server{[&poured](tcp::socket& peer) {
            if (send(peer, "$500000000\r\n") == 0) return;
            const std::string piece(64U << 10, 'z');
            while (poured < (64U << 20)) {
                const std::size_t sent = send(peer, piece);
                if (sent == 0) return;
                poured += sent;
            }
        }};
        const Outcome outcome = add_one(server, 10s);
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.cause == Cause::protocol);
    }
    CHECK(poured < (16U << 20));  // what sockets hold
}

TEST_CASE("a Redis reply that comes in drips ends at the timeout")
{
    Server server{[](tcp::socket& peer) {
        std::string piece = "+";
        for (int i = 0; i < 100 && send(peer, std::exchange(piece, "a")) > 0; ++i) std::this_thread::sleep_for(50ms);
    }};
    const auto started = std::chrono::steady_clock::now();
    const Outcome outcome = add_one(server, 300ms);
    CHECK(std::chrono::steady_clock::now() - started < 3s);
    CHECK(outcome.verdict == Verdict::retry);
    CHECK(outcome.cause == Cause::timeout);
}
