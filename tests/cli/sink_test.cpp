// The real `eventyard sink`, over loopback.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/http.hpp"
#include "tests/support/process.hpp"

using namespace eventyard::support;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

class Sink {
public:
    explicit Sink(std::vector<std::string> options = {}, std::string listen = "127.0.0.1:0")
        : process_(arguments(std::move(options), std::move(listen)))
    {
        const auto line = process_.wait_for_line("listening on ");
        REQUIRE(line);
        CHECK(line->rfind("listening on http://127.0.0.1:", 0) == 0);
        port = static_cast<std::uint16_t>(std::stoi(line->substr(line->rfind(':') + 1)));
    }
    HttpAnswer post(const std::string& body, const std::string& id = {}) const
    {
        Headers headers;
        if (!id.empty()) headers.emplace_back("webhook-id", id);
        return http_post(port, "/hook", body, "application/json", headers);
    }
    json summary() const { return json::parse(http_get(port, "/_summary").body); }
    Process& process() { return process_; }
    std::uint16_t port = 0;

private:
    static std::vector<std::string> arguments(std::vector<std::string> options, std::string listen)
    {
        options.insert(options.begin(), {EVENTYARD_BINARY, "sink", "--listen", std::move(listen)});
        return options;
    }
    Process process_;
};

}  // namespace

TEST_CASE("the sink prints each request and, at SIGTERM, what it got")
{
    Sink sink;
    CHECK(sink.post(R"({"a":1})", "dlv_1").status == 200);
    CHECK(http_request(sink.port, "PUT", "/any/path?x=1", "text\x1b[31m").status == 200);
    CHECK(http_request(sink.port, "HEAD", "/").status == 200);
    const auto line = sink.process().wait_for_line("dlv_1");
    REQUIRE(line);
    CHECK(line->find("200  POST /hook  dlv_1  application/json  7 B  {\"a\":1}") != std::string::npos);
    const auto put = sink.process().wait_for_line("PUT /any/path?x=1");
    REQUIRE(put);
    CHECK(put->find('\x1b') == std::string::npos);
    sink.process().signal(SIGTERM);
    CHECK(sink.process().wait().code == 0);
    CHECK(sink.process().out().find("3 requests, 1 webhook-ids, 0 repeats") != std::string::npos);
}

TEST_CASE("the sink answers by its script and counts ids, repeats and statuses")
{
    Sink sink{{"--quiet", "--respond", "500x2,429,200", "--retry-after", "2s"}};
    CHECK(sink.post("{}", "a").status == 500);
    const HttpAnswer failed = sink.post("{}", "a");
    CHECK(failed.status == 500);
    CHECK(failed.header("retry-after").empty());
    CHECK(failed.body.find("500") != std::string::npos);
    const HttpAnswer limited = sink.post("{}", "b");
    CHECK(limited.status == 429);
    CHECK(limited.header("retry-after") == "2");
    CHECK(sink.post("{}", "b").status == 200);
    const json summary = sink.summary();
    CHECK(summary.at("requests") == 4);
    CHECK(summary.at("webhook_ids") == 2);
    CHECK(summary.at("accepted_ids") == 1);
    CHECK(summary.at("repeats") == 2);
    CHECK(summary.at("status") == json({{"200", 1}, {"429", 1}, {"500", 2}}));
    CHECK(json::parse(http_get(sink.port, "/_ids").body).at("ids") == json({{"a", 2}, {"b", 2}}));
    CHECK(json::parse(http_get(sink.port, "/_accepted").body).at("ids") == json({{"b", 1}}));
    CHECK(http_get(sink.port, "/_unknown").status == 404);
}

TEST_CASE("a running sink can be told to fail and to recover")
{
    Sink sink{{"--quiet"}};
    CHECK(sink.post("{}").status == 200);
    CHECK(http_request(sink.port, "PUT", "/_respond", "503").status == 200);
    CHECK(sink.post("{}").status == 503);
    CHECK(http_request(sink.port, "PUT", "/_respond", "nonsense").status == 400);
    CHECK(sink.post("{}").status == 503);
    CHECK(http_request(sink.port, "PUT", "/_respond", "200").status == 200);
    CHECK(sink.post("{}").status == 200);
}

TEST_CASE("the sink serves many requests on one connection, chunked and announced ones too")
{
    Sink sink{{"--quiet", "--threads", "2"}};
    std::string requests;
    for (int i = 0; i < 100; ++i)
        requests += "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    requests += "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    requests += "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    const std::string answers = raw_exchange(sink.port, requests);
    std::size_t ok = 0;
    for (std::size_t at = 0; (at = answers.find("HTTP/1.1 200 OK", at)) != std::string::npos; ++at) ++ok;
    CHECK(ok == 102);
    CHECK(answers.find("HTTP/1.1 100 Continue") != std::string::npos);
    CHECK(sink.summary().at("bytes") == 204);
}

TEST_CASE("the sink resets, delays and hangs as told")
{
    SECTION("reset")
    {
        Sink sink{{"--quiet", "--reset", "every:2"}};
        CHECK(sink.post("{}").status == 200);
        CHECK(sink.post("{}").status == 0);
        CHECK(sink.post("{}").status == 200);
        CHECK(sink.summary().at("resets") == 1);
    }
    SECTION("delay")
    {
        Sink sink{{"--quiet", "--delay", "150ms"}};
        const auto start = std::chrono::steady_clock::now();
        CHECK(sink.post("{}").status == 200);
        CHECK(std::chrono::steady_clock::now() - start >= 150ms);
    }
    SECTION("hang")
    {
        Sink sink{{"--quiet", "--hang"}};
        CHECK(http_request(sink.port, "POST", "/", "{}", {}, 200ms).status == 0);
        CHECK(sink.summary().at("hung") == 1);
        sink.process().signal(SIGTERM);
        CHECK(sink.process().wait(10s).code == 0);
    }
}

TEST_CASE("the sink ends by itself after a number of requests or a time")
{
    SECTION("requests")
    {
        Sink sink{{"--json", "--until", "2"}};
        CHECK(sink.post("{\"n\":1}").status == 200);
        CHECK(sink.post("{\"n\":2}").status == 200);
        CHECK(sink.process().wait(10s).code == 0);
        const std::string out = sink.process().out();
        const std::string last = out.substr(out.rfind('\n', out.size() - 2) + 1);
        CHECK(json::parse(last).at("requests") == 2);
        CHECK(out.find(R"("body":"{\"n\":1}")") != std::string::npos);
    }
    SECTION("time")
    {
        Sink sink{{"--quiet", "--for", "100ms"}};
        CHECK(sink.process().wait(10s).code == 0);
    }
}

TEST_CASE("the sink answers 401 to what is not signed by its secret")
{
    Sink sink{{"--quiet", "--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}};
    CHECK(sink.post("{}", "a").status == 401);
    CHECK(sink.summary().at("signatures").at("invalid") == 1);
}

TEST_CASE("the sink refuses options that make no sense, and a port that is taken")
{
    for (const auto& options : std::vector<std::vector<std::string>>{
             {"--respond", "abc"}, {"--reset", "x"}, {"--delay", "fast"}, {"--for", "1"}, {"--listen", "nowhere"},
             {"--respond", "200", "--respond-each", "200"}, {"--unknown"}}) {
        std::vector<std::string> arguments{EVENTYARD_BINARY, "sink"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Finished finished = run(arguments, {}, 10s);
        CAPTURE(options);
        CHECK(finished.exit.code == 2);
        CHECK_FALSE(finished.err.empty());
    }
    Sink sink{{"--quiet"}};
    const Finished second =
        run({EVENTYARD_BINARY, "sink", "--listen", "127.0.0.1:" + std::to_string(sink.port)}, {}, 10s);
    CHECK(second.exit.code == 2);
    CHECK(second.err.find("cannot listen on 127.0.0.1:" + std::to_string(sink.port)) != std::string::npos);
}
