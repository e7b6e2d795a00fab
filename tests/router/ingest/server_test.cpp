#include "server_fixture.hpp"

using namespace eventyard;
using namespace eventyard::test;

TEST_CASE("An accepted event is answered with its id and sequence, and lies in the journal")
{
    Fixture f;
    const HttpAnswer answer = f.post(" {\"kind\": \"order\"}\n");
    REQUIRE(answer.status == 202);
    CHECK(answer.header("content-type") == "application/json");
    CHECK(!answer.header("date").empty());
    const Json body = Json::parse(answer.body);
    CHECK(body.at("sequence") == 1);
    CHECK(body.at("stored") == true);
    CHECK(body.at("deliveries") == 2);
    CHECK(!body.contains("durability"));
    const auto events = f.journal.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0]->event.body == " {\"kind\": \"order\"}\n");  // byte for byte
    CHECK(events[0]->event.id.text() == body.at("id").get<std::string>());
    CHECK(events[0]->routes == std::vector<std::uint32_t>{0, 2});
    CHECK(events[0]->event.bus == "default");
}

TEST_CASE("Nothing is answered before the journal says so")
{
    Fixture f;
    f.journal.hold();
    Client client{f.port};
    client.send(request(order));
    REQUIRE(eventually([&] { return f.journal.waiting() == 1; }));
    const timeval soon{0, 100'000};
    ::setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    CHECK(!client.more());
    const timeval late{20, 0};
    ::setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &late, sizeof late);
    f.journal.let_go();
    CHECK(client.receive().status == 202);
}

TEST_CASE("A journal that fails is a 503 that says what is known")
{
    struct Case {
        Errc error;
        const char* code;
    };
    const Case cases[] = {{Errc::no_space, "no_space"}, {Errc::unavailable, "overloaded"},
                          {Errc::io, "outcome_unknown"}, {Errc::cancelled, "shutting_down"}};
    Fixture f;
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.code)
        {
            f.journal.fail_with(c.error);
            for (const char* type : {"application/json", "application/x-ndjson"}) {
                const HttpAnswer answer = f.post(order, type);
                CHECK(answer.status == 503);
                CHECK(!answer.header("retry-after").empty());
                CHECK(Json::parse(answer.body).at("error").at("code") == c.code);
            }
            f.journal.fail_with(std::nullopt);
            CHECK(f.post(order).status == 202);
        }
}

TEST_CASE("A connection is kept for request after request")
{
    Fixture f;
    Client client{f.port};
    for (int i = 1; i <= 50; ++i) {
        client.send(request(order));
        const HttpAnswer answer = client.receive();
        REQUIRE(answer.status == 202);
        CHECK(Json::parse(answer.body).at("sequence") == i);
        CHECK(answer.header("connection").empty());
    }
    client.send(request(order, "Connection: close\r\n"));
    const HttpAnswer last = client.receive();
    CHECK(last.status == 202);
    CHECK(last.header("connection") == "close");
    CHECK(client.closed());
    CHECK(f.server.totals().connections_accepted == 1);
}

TEST_CASE("Pipelined requests are answered in order")
{
    Fixture f;
    Client client{f.port};
    std::string requests;
    for (int i = 0; i < 300; ++i) {
        // Accepted, dropped and refused ones in turn.
        if (i % 3 == 0) requests += request(R"({"kind":"order","n":)" + std::to_string(i) + "}");
        if (i % 3 == 1) requests += request(R"({"n":1})");
        if (i % 3 == 2) requests += request(R"({"n":})");
    }
    client.send(requests);
    for (int i = 0; i < 300; ++i) {
        const HttpAnswer answer = client.receive();
        INFO(i);
        REQUIRE(answer.status == (i % 3 == 2 ? 400 : 202));
        CHECK(Json::parse(answer.body).value("stored", false) == (i % 3 == 0));
    }
    const auto events = f.journal.events();
    REQUIRE(events.size() == 100);
    for (std::size_t i = 0; i < 100; ++i)
        CHECK(Json::parse(events[i]->event.body).at("n") == 3 * i);
}

TEST_CASE("Empty lines before a request are passed over, but not without end")
{
    Fixture f;
    Client client{f.port};
    client.send("\r\n" + request(order) + "\r\n\r\n" + request(order));  // as old clients end a body
    CHECK(client.receive().status == 202);
    CHECK(client.receive().status == 202);
    client.send("\r");
    client.send("\n" + request(order));
    CHECK(client.receive().status == 202);
    Client flood{f.port};
    for (int i = 0; i < 100; ++i) flood.send("\r\n");
    CHECK(flood.receive().status == 400);
    Client lone{f.port};
    lone.send("\r" + request(order));
    CHECK(lone.receive().status == 400);
    CHECK(f.journal.units() == 3);
}

TEST_CASE("A request cut into single bytes is the same request")
{
    Fixture f;
    Client client{f.port};
    const std::string chunked =
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;ext=1\r\n{\"kin\r\nB\r\nd\":\"order\"}\r\n0\r\nTrailer: x\r\n\r\n";
    for (const std::string& text : {request(order), chunked}) {
        for (const char c : text) {
            client.send({&c, 1});
            std::this_thread::sleep_for(200us);
        }
        CHECK(client.receive().status == 202);
    }
    // Cut in two at every place, followed by another request in the same packet.
    const std::string both = chunked + request(order);
    for (std::size_t cut = 1; cut < both.size(); ++cut) {
        client.send(both.substr(0, cut));
        if (cut % 8 == 0) std::this_thread::sleep_for(1ms);
        client.send(both.substr(cut));
        REQUIRE(client.receive().status == 202);
        REQUIRE(client.receive().status == 202);
    }
    for (const auto& event : f.journal.events()) CHECK(event->event.body == order);
}

TEST_CASE("An incomplete body accepts nothing")
{
    Fixture f;
    const std::string line = order + "\n";
    {
        Client client{f.port};
        client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                    "Content-Length: 1000\r\n\r\n" + line + line);
    }
    {
        Client client{f.port};
        client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + order + "\r\n");
        ::shutdown(client.fd, SHUT_WR);
        CHECK(client.closed());
    }
    CHECK(eventually([&] { return f.server.totals().connections_open == 0; }));
    CHECK(f.journal.units() == 0);
}

TEST_CASE("Bodies above limits.body are refused with 413, before and while they come")
{
    Fixture f{[](router::RouteTable& table) { table.limits.body = 1000; }};
    const std::string big = R"({"kind":"order","x":")" + std::string(2000, 'x') + "\"}";
    const auto check = [](const HttpAnswer& answer) {
        REQUIRE(answer.status == 413);
        const Json error = Json::parse(answer.body).at("error");
        CHECK(error.at("code") == "body_too_large");
        CHECK(error.at("config") == "limits.body");
        CHECK(error.at("limit") == 1000);
        CHECK(answer.header("connection") == "close");
    };
    check(f.post(big));
    std::ostringstream chunk;
    chunk << "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
          << std::hex << big.size() << "\r\n" << big << "\r\n0\r\n\r\n";
    check(parse_answer(raw_exchange(f.port, chunk.str(), patience)));
    // The client that asks first is spared the body.
    Client client{f.port};
    client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n");
    check(client.receive());
    // The answer arrives although the client goes on sending.
    Client stubborn{f.port};
    stubborn.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n");
    stubborn.send(std::string(3'000'000, 'x'));
    check(stubborn.receive());
    const std::string fits = R"({"kind":"order","x":")" + std::string(1000 - 23, 'x') + "\"}";
    REQUIRE(fits.size() == 1000);
    CHECK(f.post(fits).status == 202);
    CHECK(f.journal.units() == 1);
}

TEST_CASE("Heads above limits.headers are refused with 431")
{
    Fixture f{[](router::RouteTable& table) { table.limits.headers = 2048; }};
    const HttpAnswer answer = http_post(f.port, "/v1/events", order, "application/json",
                                        {{"X-Long", std::string(4000, 'x')}});
    REQUIRE(answer.status == 431);
    CHECK(Json::parse(answer.body).at("error").at("config") == "limits.headers");
    CHECK(http_post(f.port, "/v1/events", order, "application/json",
                    {{"X-Long", std::string(1500, 'x')}}).status == 202);
    const HttpAnswer endless = parse_answer(raw_exchange(f.port, std::string(10'000, 'A'), patience));
    CHECK(endless.status == 431);
}

TEST_CASE("A request that takes longer than limits.request is a 408, an idle connection just ends")
{
    Fixture f{[](router::RouteTable& table) {
        table.limits.request = 150ms;
        table.limits.idle = 400ms;
    }};
    for (const char* part : {"POST /v1/ev", "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{\"a\""}) {
        Client client{f.port};
        client.send(part);
        const HttpAnswer answer = client.receive();
        REQUIRE(answer.status == 408);
        const Json error = Json::parse(answer.body).at("error");
        CHECK(error.at("config") == "limits.request");
        CHECK(error.at("limit") == 150);
        CHECK(client.closed());
    }
    // Dripping bytes does not help.
    Client slow{f.port};
    slow.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 60 && slow.held.empty(); ++i) {
        ::send(slow.fd, " ", 1, MSG_NOSIGNAL);
        std::this_thread::sleep_for(10ms);
    }
    CHECK(slow.receive().status == 408);
    // Idle, before and after a request.
    Client idle{f.port};
    CHECK(idle.closed());
    Client used{f.port};
    used.send(request(order));
    CHECK(used.receive().status == 202);
    CHECK(used.closed());
    // Waiting for the journal is not the client's fault.
    f.journal.hold();
    Client patient{f.port};
    patient.send(request(order));
    std::this_thread::sleep_for(600ms);
    f.journal.let_go();
    CHECK(patient.receive().status == 202);
}

TEST_CASE("Expect: 100-continue is answered when the body is wanted")
{
    Fixture f;
    Client client{f.port};
    client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 16\r\n\r\n");
    while (client.held.find("\r\n\r\n") == std::string::npos) REQUIRE(client.more());
    CHECK(client.held == "HTTP/1.1 100 Continue\r\n\r\n");
    client.held.clear();
    client.send(order);
    CHECK(client.receive().status == 202);
    // The body comes with the head: no 100 is needed.
    client.send(request(order, "Expect: 100-continue\r\n"));
    while (client.held.find("\r\n\r\n") == std::string::npos) REQUIRE(client.more());
    CHECK(client.held.substr(0, 12) == "HTTP/1.1 202");
    client.receive();
    // Not wanted: unknown bus, unknown type, unknown expectation.
    const std::pair<std::string, int> cases[] = {
        {"POST /v1/buses/nope/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 404},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 415},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\nContent-Length: 9\r\n\r\n", 417}};
    for (const auto& [head, status] : cases) {
        Client refused{f.port};
        refused.send(head);
        CHECK(refused.receive().status == status);
        ::shutdown(refused.fd, SHUT_WR);
        CHECK(refused.closed());
    }
}

TEST_CASE("Connections above limits.connections get a 503")
{
    Fixture f{[](router::RouteTable& table) { table.limits.connections = 3; }};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(f.port));
        clients.back()->send(request(order));
        REQUIRE(clients.back()->receive().status == 202);
    }
    const HttpAnswer answer = f.post(order);
    REQUIRE(answer.status == 503);
    CHECK(Json::parse(answer.body).at("error").at("config") == "limits.connections");
    CHECK(answer.header("retry-after") == "1");
    CHECK(f.server.totals().connections_refused == 1);
    clients.clear();
    CHECK(eventually([&] { return f.post(order).status == 202; }));
}

TEST_CASE("What is not HTTP, or not allowed by it, is refused and closed")
{
    Fixture f;
    const std::pair<std::string, int> cases[] = {
        {"hello\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"POST /v1/events HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"POST /v1/events HTTP/1.1\nHost: x\n\n", 400},
        {"POST /v1/events HTTP/1.1\r\n\r\n", 400},                       // no Host
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        // Two lines of one header are one list: a proxy in front may have read it so.
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\n{}\r\n0\r\n\r\n", 501},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}", 501},
        {"POST /v1/events HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\n{}\r\n0\r\n\r\n", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400},
        {"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'x'), 400},
    };
    for (const auto& [text, status] : cases)
        DYNAMIC_SECTION(text.substr(0, 120))
        {
            Client client{f.port};
            client.send(text);
            ::shutdown(client.fd, SHUT_WR);
            const HttpAnswer answer = client.receive();
            CHECK(answer.status == status);
            if (answer.status != 0) CHECK(Json::parse(answer.body).at("error").contains("message"));
            if (text.find("Transfer-Encoding") != std::string::npos) CHECK(answer.header("connection") == "close");
        }
    CHECK(f.journal.units() == 0);
}

TEST_CASE("HEAD, GET, OPTIONS and unknown paths behave, and the connection lives on")
{
    Fixture f;
    Client client{f.port};
    client.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    const HttpAnswer get = client.receive();
    CHECK(get.status == 405);
    CHECK(get.header("allow") == "POST, OPTIONS");
    client.send("HEAD /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    const HttpAnswer head = client.receive(true);
    CHECK(head.status == 405);
    CHECK(head.header("content-length") == get.header("content-length"));
    client.send("OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    const HttpAnswer options = client.receive();
    CHECK(options.status == 204);
    CHECK(options.header("allow") == "POST, OPTIONS");
    client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receive().status == 204);
    client.send("OPTIONS /v1/buses/strict/events HTTP/1.1\r\nHost: x\r\nWebHook-Request-Origin: example.org\r\n"
                "WebHook-Request-Rate: 120\r\n\r\n");
    const HttpAnswer handshake = client.receive();
    CHECK(handshake.status == 200);
    CHECK(handshake.header("webhook-allowed-origin") == "example.org");
    CHECK(handshake.header("webhook-allowed-rate") == "120");
    client.send("OPTIONS /nope HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receive().status == 404);
    client.send(request(order, "", "POST /v1/buses/strcit/events HTTP/1.1"));
    const HttpAnswer unknown = client.receive();
    CHECK(unknown.status == 404);
    CHECK(unknown.body.find("did you mean 'strict'?") != std::string::npos);
    client.send(request(order, "", "POST http://x/v1/events HTTP/1.1"));
    CHECK(client.receive().status == 202);
    client.send(request(order, "Content-Encoding: gzip\r\n"));
    CHECK(client.receive().status == 415);
    client.send(request(order, "Content-Encoding: gzip\r\nContent-Encoding: identity\r\n"));
    CHECK(client.receive().status == 415);
    client.send(request(order, "Content-Type: application/x-www-form-urlencoded\r\n"));
    const HttpAnswer form = client.receive();
    CHECK(form.status == 415);
    CHECK(form.body.find("application/json") != std::string::npos);
    client.send(request(order));
    CHECK(client.receive().status == 202);
}

TEST_CASE("HTTP/1.0 is answered and closed, or kept when asked")
{
    Fixture f;
    const std::string old = "POST /v1/events HTTP/1.0\r\nContent-Length: 16\r\n";
    Client once{f.port};
    once.send(old + "\r\n" + order);
    CHECK(once.receive().status == 202);
    CHECK(once.closed());
    Client kept{f.port};
    for (int i = 0; i < 2; ++i) {
        kept.send(old + "Connection: keep-alive\r\n\r\n" + order);
        const HttpAnswer answer = kept.receive();
        CHECK(answer.status == 202);
        CHECK(answer.header("connection") == "keep-alive");
    }
}

TEST_CASE("A batch is one commit unit, its answer has every item in order")
{
    Fixture f;
    const std::string lines = order + "\n{\"a\":1}\nbroken\n\n  \r\n" + R"({"size":"big","kind":"order"})" + "\r\n";
    const HttpAnswer answer = f.post(lines, "application/x-ndjson");
    REQUIRE(answer.status == 207);
    const Json body = Json::parse(answer.body);
    CHECK(body.at("accepted") == 3);
    CHECK(body.at("refused") == 1);
    const Json& items = body.at("items");
    REQUIRE(items.size() == 4);
    CHECK(items[0].at("sequence") == 1);
    CHECK(items[1].at("stored") == false);
    CHECK(items[2].at("status") == 400);
    CHECK(items[2].at("error").at("line") == 3);
    CHECK(items[2].at("error").at("offset") == lines.find("broken"));
    CHECK(items[3].at("sequence") == 2);
    CHECK(items[3].at("deliveries") == 3);
    CHECK(f.journal.units() == 1);
    CHECK(f.journal.events().back()->event.body == R"({"size":"big","kind":"order"})");

    const HttpAnswer atomic = f.post(lines, "application/x-ndjson", "/v1/events?atomic=true");
    CHECK(atomic.status == 400);
    CHECK(Json::parse(atomic.body).at("accepted") == 0);
    CHECK(f.journal.units() == 1);
    CHECK(f.post(order + "\n" + order, "application/jsonl", "/v1/events?atomic=true").status == 202);
    CHECK(f.journal.units() == 2);
}

TEST_CASE("A bus that is not fsync'ed says so")
{
    Fixture f;
    const Json one = Json::parse(f.post("{}", "application/json", "/v1/buses/archive/events").body);
    CHECK(one.at("durability") == "os");
    CHECK(one.at("stored") == true);
    CHECK(one.at("deliveries") == 0);
    const Json many = Json::parse(f.post("{}\n{}", "application/x-ndjson", "/v1/buses/archive/events").body);
    CHECK(many.at("durability") == "os");
    CHECK(f.journal.events()[0]->bus == 2);
}

TEST_CASE("Counters say what came and what became of it, per bus")
{
    Fixture f;
    f.post(order);
    f.post("{}");
    f.post("[]");
    f.post(order + "\n{\n{}", "application/x-ndjson");
    f.post("{}", "application/json", "/v1/buses/strict/events");
    f.post("{}", "image/png", "/v1/buses/strict/events");
    const router::IngestTotals totals = f.server.totals();
    CHECK(totals.requests.at(202) == 2);
    CHECK(totals.requests.at(207) == 1);
    CHECK(totals.requests.at(400) == 1);
    CHECK(totals.requests.at(415) == 1);
    CHECK(totals.requests.at(422) == 1);
    CHECK(totals.buses.at("default").accepted == 4);
    CHECK(totals.buses.at("default").matched == 2);
    CHECK(totals.buses.at("default").unmatched == 2);
    CHECK(totals.buses.at("default").refused == 2);
    CHECK(totals.buses.at("strict").refused == 2);
    auto received = f.server.take_received();
    REQUIRE(received.size() == 2);
    CHECK(received[0].bus == "default");
    CHECK(received[0].accepted == 4);
    CHECK(received[1].refused == 2);
    CHECK(f.server.take_received().empty());
    f.post(order);
    received = f.server.take_received();
    REQUIRE(received.size() == 1);
    CHECK(received[0].matched == 1);
}

TEST_CASE("The listener moves to another address and keeps its connections")
{
    Fixture f;
    Client client{f.port};
    client.send(request(order));
    REQUIRE(client.receive().status == 202);
    const std::uint16_t other = free_port();
    REQUIRE(f.server.listen("127.0.0.1:" + std::to_string(other)).has_value());
    CHECK(f.server.port() == other);
    CHECK(eventually([&] { return http_post(other, "/v1/events", order).status == 202; }));
    CHECK(eventually([&] {
        const int fd = connect_loopback(f.port, 1000ms);
        if (fd >= 0) ::close(fd);
        return fd < 0;
    }));
    client.send(request(order));
    CHECK(client.receive().status == 202);

    SECTION("an address that cannot be had changes nothing")
    {
        Fixture taken;
        const auto refused = f.server.listen("127.0.0.1:" + std::to_string(taken.port));
        REQUIRE(!refused.has_value());
        CHECK(refused.error().what.find(std::to_string(taken.port)) != std::string::npos);
        CHECK(!f.server.listen("nonsense").has_value());
        CHECK(f.server.port() == other);
        CHECK(http_post(other, "/v1/events", order).status == 202);
    }
}

TEST_CASE("Stopping lets requests in flight finish and ends idle connections")
{
    Fixture f;
    Client idle{f.port}, waiting{f.port}, reading{f.port};
    idle.send(request(order));
    REQUIRE(idle.receive().status == 202);
    f.journal.hold();
    waiting.send(request(order));
    // What the server has not read of a request when it stops is no request in flight: it asks for the body first.
    reading.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n");
    while (reading.held.find("\r\n\r\n") == std::string::npos) REQUIRE(reading.more());
    reading.held.clear();
    reading.send("{");
    REQUIRE(eventually([&] { return f.journal.waiting() == 1; }));
    bool clean = false;
    std::jthread stopper{[&] { clean = f.server.stop(10s); }};
    CHECK(idle.closed());
    f.journal.let_go();
    const HttpAnswer answer = waiting.receive();
    CHECK(answer.status == 202);
    CHECK(waiting.closed());
    // Each thread hears of the stop by itself; once none listens any more, all have.
    REQUIRE(eventually([&] {
        const int fd = connect_loopback(f.port, 500ms);
        if (fd >= 0) ::close(fd);
        return fd < 0;
    }));
    reading.send(order.substr(1));
    const HttpAnswer last = reading.receive();
    CHECK(last.status == 202);
    CHECK(last.header("connection") == "close");
    stopper.join();
    CHECK(clean);
}

TEST_CASE("Stopping cuts off who does not finish in time")
{
    Fixture f;
    Client client{f.port};
    client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{");
    REQUIRE(eventually([&] { return f.server.totals().connections_open == 1; }));
    std::this_thread::sleep_for(50ms);
    CHECK(!f.server.stop(50ms));
    CHECK(client.closed());
    CHECK(f.server.totals().connections_open == 0);
}

TEST_CASE("Many clients at once lose nothing")
{
    Fixture f;
    std::atomic<int> accepted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&f, &accepted] {
            const int fd = connect_loopback(f.port, patience);
            std::string held;
            for (int i = 0; i < 200; ++i) {
                send_all(fd, request(order));
                char buffer[4096];
                while (held.find("\r\n\r\n") == std::string::npos || held.back() != '}') {
                    const auto got = ::recv(fd, buffer, sizeof buffer, 0);
                    if (got <= 0) break;
                    held.append(buffer, static_cast<std::size_t>(got));
                }
                accepted += held.substr(0, 12) == "HTTP/1.1 202";
                held.clear();
            }
            ::close(fd);
        });
    for (auto& thread : threads) thread.join();
    CHECK(accepted == 1600);
    CHECK(f.journal.events().size() == 1600);
}
