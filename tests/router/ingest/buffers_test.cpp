// limits.buffers: what all connections together may hold while they wait.
#include "server_fixture.hpp"

using namespace eventyard;
using namespace eventyard::test;

namespace {

constexpr std::uint64_t limit = 100'000;

Fixture make_fixture()
{
    return Fixture{[](router::RouteTable& table) { table.limits.buffers = limit; }};
}

/// A request of one event, whose end is still to be sent.
struct Unfinished {
    explicit Unfinished(std::size_t size) : text(R"({"kind":"order","x":")" + std::string(size, 'x') + "\"}") {}
    [[nodiscard]] std::string start() const
    {
        return "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(text.size()) +
               "\r\n\r\n" + text.substr(0, text.size() - 1);
    }
    [[nodiscard]] std::string chunked_start() const
    {
        std::ostringstream out;
        out << "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            << std::hex << text.size() << "\r\n" << text.substr(0, text.size() - 1);
        return out.str();
    }
    std::string text;
};

void check_refused(const HttpAnswer& answer)
{
    REQUIRE(answer.status == 503);
    CHECK(answer.header("retry-after") == "1");
    const Json error = Json::parse(answer.body).at("error");
    CHECK(error.at("code") == "buffers_full");
    CHECK(error.at("config") == "limits.buffers");
    CHECK(error.at("limit") == limit);
}

/// A batch whose answer is many times as long as it is, and needs no journal.
std::string unmatched_batch()
{
    std::string lines;
    for (int i = 0; i < 1000; ++i) lines += "{}\n";
    return request(lines, "Content-Type: application/x-ndjson\r\n");
}

/// Asks and never reads until its connection's answer waits in the server.
void ask_without_reading(const Fixture& f, const Client& client)
{
    const auto before = f.server.totals().buffered_bytes;
    const std::string batch = unmatched_batch();
    for (int i = 0; i < 1000 && f.server.totals().buffered_bytes <= before + limit / 2; ++i) {
        if (!send_all(client.fd, batch)) return;  // cut off
        std::this_thread::sleep_for(1ms);
    }
}

}  // namespace

TEST_CASE("Bodies that are not whole share limits.buffers, and those above it are told to come again")
{
    Fixture f = make_fixture();
    const Unfinished body{70'000};
    Client first{f.port};
    first.send(body.start());
    REQUIRE(eventually([&] { return f.server.totals().buffered_bytes >= 70'000; }));
    CHECK(f.server.totals().buffered_bytes < 80'000);  // what came, not the double of it

    for (const std::string& start : {body.start(), body.chunked_start()}) {
        Client second{f.port};
        second.send(start);
        const HttpAnswer refused = second.receive();
        check_refused(refused);
        CHECK(refused.header("connection") == "close");
    }
    // A request that comes whole is served all the same, and so is the one that was first.
    CHECK(f.post(order).status == 202);
    first.send("}");
    CHECK(first.receive().status == 202);
    CHECK(f.server.totals().buffered_bytes == 0);

    Client third{f.port};
    third.send(body.start());
    third.send("}");
    CHECK(third.receive().status == 202);
    CHECK(f.server.totals().buses.at("default").refused == 2);
}

TEST_CASE("A request larger than limits.buffers is taken when it is alone")
{
    Fixture f = make_fixture();
    const Unfinished body{500'000};
    Client client{f.port};
    client.send(body.start());
    REQUIRE(eventually([&] { return f.server.totals().buffered_bytes >= 500'000; }));
    client.send("}");
    CHECK(client.receive().status == 202);
    CHECK(f.server.totals().buffered_bytes == 0);
}

TEST_CASE("A connection that ends gives its share of limits.buffers back")
{
    Fixture f = make_fixture();
    const Unfinished body{70'000};
    {
        Client client{f.port};
        client.send(body.start());
        REQUIRE(eventually([&] { return f.server.totals().buffered_bytes >= 70'000; }));
    }
    CHECK(eventually([&] { return f.server.totals().buffered_bytes == 0; }));
}

TEST_CASE("A batch that waits for the journal counts, one beyond limits.buffers stores nothing")
{
    Fixture f = make_fixture();
    f.journal.hold();
    std::string lines;
    for (int i = 0; i < 300; ++i) lines += order + "\n";
    const std::string batch = request(lines, "Content-Type: application/x-ndjson\r\n");
    Client first{f.port};
    first.send(batch);
    REQUIRE(eventually([&] { return f.journal.waiting() == 1; }));
    REQUIRE(f.server.totals().buffered_bytes > limit / 2);
    Client second{f.port};
    second.send(batch);
    check_refused(second.receive());
    Client third{f.port};
    third.send(request(order));
    REQUIRE(eventually([&] { return f.journal.waiting() == 2; }));
    f.journal.let_go();
    CHECK(first.receive().status == 202);
    CHECK(third.receive().status == 202);
    second.send(batch);  // its connection lived on
    CHECK(second.receive().status == 202);
    CHECK(f.server.totals().buses.at("default").refused == 300);
    CHECK(f.journal.events().size() == 601);
}

TEST_CASE("Who does not read its answers is cut off when limits.buffers is used up")
{
    Fixture f = make_fixture();
    Client first{f.port};
    ask_without_reading(f, first);
    REQUIRE(f.server.totals().buffered_bytes > limit / 2);
    Client second{f.port};
    ask_without_reading(f, second);
    CHECK(eventually([&] { return f.server.totals().connections_open == 1; }));
    // The first is patient and gets all it waited for.
    CHECK(first.receive().status == 202);
    CHECK(f.post(order).status == 202);
}
