// A running ingest server before a fake journal, and a client that reads answer by answer.
#pragma once

#include "router/ingest/server.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "table.hpp"
#include "tests/support/fake_journal.hpp"
#include "tests/support/http.hpp"

namespace eventyard::test {

using namespace eventyard::support;
using Json = nlohmann::json;
using namespace std::chrono_literals;

/// Sockets of the test give up after this, so that a bug fails instead of hanging.
constexpr auto patience = 20'000ms;

struct Fixture {
    explicit Fixture(const std::function<void(router::RouteTable&)>& change = {})
    {
        if (change) change(*table);
        const auto listening = server.listen("127.0.0.1:0");
        REQUIRE(listening.has_value());
        port = server.port();
        io.start();
    }
    ~Fixture()
    {
        journal.let_go();
        server.stop(5s);
        journal.stop();
        io.finish();
    }
    HttpAnswer post(std::string_view body, const std::string& type = "application/json",
                    const std::string& path = "/v1/events")
    {
        return http_post(port, path, body, type);
    }

    std::shared_ptr<router::RouteTable> table = make_table();
    SystemClock clock;
    SystemRandom random;
    FakeJournal journal;
    router::IoThreads io{2};
    router::IngestServer server{io, journal, [this] { return router::RouteTablePtr(table); }, clock, random};
    std::uint16_t port = 0;
};

/// A client that reads answer by answer on one connection.
struct Client {
    explicit Client(std::uint16_t port) : fd(connect_loopback(port, patience)) { REQUIRE(fd >= 0); }
    ~Client() { ::close(fd); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    void send(std::string_view bytes) const { REQUIRE(send_all(fd, bytes)); }
    /// Exactly one answer; 0 when the server closed instead.
    HttpAnswer receive(bool without_body = false)
    {
        for (;;) {
            const std::size_t head = held.find("\r\n\r\n");
            if (head != std::string::npos) {
                std::size_t length = 0;
                const std::size_t field = held.find("Content-Length: ");
                if (field < head && !without_body) length = std::stoul(held.substr(field + 16));
                if (held.size() >= head + 4 + length) {
                    const std::string text = held.substr(0, head + 4 + length);
                    held.erase(0, head + 4 + length);
                    return parse_answer(text, without_body);
                }
            }
            if (!more()) return {};
        }
    }
    bool more()
    {
        char buffer[4096];
        const auto got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        held.append(buffer, static_cast<std::size_t>(got));
        return true;
    }
    /// Whether the server ends the connection without another byte.
    bool closed() { return held.empty() && !more(); }
    int fd;
    std::string held;
};

inline std::string request(std::string_view body, const std::string& more_headers = "",
                    const std::string& start = "POST /v1/events HTTP/1.1")
{
    return start + "\r\nHost: x\r\n" + more_headers + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + std::string(body);
}

template <class Condition>
bool eventually(Condition condition)
{
    for (int i = 0; i < 4000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

inline const std::string order = R"({"kind":"order"})";

}  // namespace eventyard::test
