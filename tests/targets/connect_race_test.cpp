// A name with several addresses: whichever answers first is used, and a silent one costs little.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "targets/connect_race.hpp"
#include "targets/webhook.hpp"
#include "tests/support/dns_server.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

/// Takes no more connections: its queue is full, so whoever knocks hears nothing.
class Silent {
public:
    Silent(const char* address, int port)
    {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, address, &at.sin_addr);
        sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(sockets_[0], reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(sockets_[0], 0) == 0);
        for (int i = 0; i < 3; ++i) {
            sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            (void)::connect(sockets_.back(), reinterpret_cast<sockaddr*>(&at), sizeof at);
        }
    }
    Silent(const Silent&) = delete;
    Silent& operator=(const Silent&) = delete;
    ~Silent()
    {
        for (const int socket : sockets_) ::close(socket);
    }

private:
    std::vector<int> sockets_;
};

std::string settings_of(const DnsServer& dns, int port, const std::string& timeout)
{
    return R"({"url":"http://hook.example:)" + std::to_string(port) + R"(/","dns_servers":[")" + dns.address() + R"("],"timeout":")" + timeout + "\"}";
}

}  // namespace

TEST_CASE("addresses are tried with the families in turns")
{
    const auto peer = [](const char* address) {
        return boost::asio::ip::tcp::endpoint{boost::asio::ip::make_address(address), 80};
    };
    CHECK(interleaved({peer("::1"), peer("::2"), peer("::3"), peer("10.0.0.1")}) ==
          Endpoints{peer("::1"), peer("10.0.0.1"), peer("::2"), peer("::3")});
    CHECK(interleaved({peer("10.0.0.1")}) == Endpoints{peer("10.0.0.1")});
}

TEST_CASE("silent addresses do not keep a webhook from the one that answers")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    const Silent first{"127.0.0.2", server.port()}, second{"127.0.0.3", server.port()};
    const DnsServer dns{{"127.0.0.2", "127.0.0.3", "127.0.0.1"}};
    TargetRunner runner;
    // Shares of the limit would leave the silent ones 40 seconds.
    const auto target = runner.make(read_target("webhook", settings_of(dns, server.port(), "60s")));
    const auto sending = runner.start(*target, {make_event("{}")});
    REQUIRE(runner.run_until([&] { return sending->done(); }, std::chrono::seconds{20}));
    INFO(sending->outcomes[0]->detail);
    CHECK(sending->outcomes[0]->verdict == Verdict::delivered);
    CHECK(server.connections() == 1);
}

TEST_CASE("an address that refuses is no reason to wait, and when all do the first is named")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    const DnsServer dns{{"127.0.0.2", "127.0.0.1"}};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", settings_of(dns, server.port(), "10s")));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);

    const DnsServer nowhere{{"127.0.0.2", "127.0.0.3"}};
    const auto lost = runner.make(read_target("webhook", settings_of(nowhere, server.port(), "10s")));
    const Outcome outcome = runner.deliver(*lost, "{}");
    CHECK(outcome.cause == Cause::connect);
    CHECK(outcome.detail.find("connect: connection refused (127.0.0.") == 0);
}

TEST_CASE("a race that nobody wins ends with the limit of the attempt, or when the target is closed")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    const Silent first{"127.0.0.2", server.port()}, second{"127.0.0.3", server.port()};
    const DnsServer dns{{"127.0.0.2", "127.0.0.3"}};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", settings_of(dns, server.port(), "400ms")));
    const Outcome outcome = runner.deliver(*target, "{}");
    CHECK(outcome.cause == Cause::timeout);
    CHECK(outcome.detail.find("timeout after 400ms connecting to 127.0.0.") == 0);
    CHECK(outcome.detail.find(" and 127.0.0.") != std::string::npos);

    const auto patient = runner.make(read_target("webhook", settings_of(dns, server.port(), "60s")));
    const auto sending = runner.start(*patient, {make_event("{}")});
    runner.run_until([] { return false; }, std::chrono::milliseconds{50});
    patient->close();
    CHECK(runner.run_until([&] { return sending->done(); }, std::chrono::seconds{20}));
}
