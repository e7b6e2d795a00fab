// The decisions of the targets that need no server: tables.
#include <catch2/catch.hpp>

#include "targets/http_answer.hpp"
#include "targets/json_lines.hpp"
#include "targets/redis_reply.hpp"
#include "targets/resolver.hpp"
#include "targets/retry_after.hpp"
#include "targets/rotation.hpp"
#include "targets/standard_webhooks.hpp"
#include "targets/webhook_judge.hpp"
#include "targets/webhook_request.hpp"

using namespace eventyard;
using namespace eventyard::targets;
using namespace std::chrono_literals;

namespace {

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds{seconds}}; }

Event event_of(std::string body)
{
    Event event;
    event.id.bytes.fill(0x11);
    event.received = at(1'764'000'000);
    event.bus = "default";
    event.body = std::move(body);
    return event;
}

}  // namespace

TEST_CASE("Retry-After is read in every form seen in the field")
{
    const WallTime now = at(784'111'777);  // Sun, 06 Nov 1994 08:49:37 GMT
    struct Case {
        const char* text;
        int wait_ms;  // -1: stop; -2: not understood
    };
    const Case cases[] = {
        {"120", 120'000},
        {"0", 0},
        {" 7 ", 7'000},
        {"1.5", 1'500},
        {"-1", -1},
        {"-0", 0},
        {"-0.5", -1},
        {"6m5s", 365'000},
        {"1h", 3'600'000},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60'000},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60'000},
        {"Sun Nov  6 08:50:37 1994", 60'000},
        {"Sun, 06 Nov 1994 08:40:00 GMT", 0},
        {"Sun, 31 Feb 1994 08:50:37 GMT", -2},
        {"Sun, 06 Nov 1994 25:50:37 GMT", -2},
        {"Sun, 06 Nov 1994 08:50:37 CET", -2},
        {"", -2},
        {"-", -2},
        {"soon", -2},
        {"1.2.3", -2},
        {".5", -2},
        {"nan", -2},
    };
    for (const Case& c : cases) DYNAMIC_SECTION("'" << c.text << "'")
    {
        const auto got = parse_retry_after(c.text, now);
        REQUIRE(got.has_value() == (c.wait_ms != -2));
        if (!got) continue;
        CHECK(got->stop == (c.wait_ms == -1));
        if (c.wait_ms >= 0) CHECK(got->wait == std::chrono::milliseconds{c.wait_ms});
    }
    CHECK(parse_retry_after("99999999999999999999999", now)->wait == 24h * 3650);
    CHECK(parse_retry_after("Fri, 01 Jan 2199 00:00:00 GMT", now)->wait == 24h * 3650);
}

TEST_CASE("a status decides whether a delivery is done, tried again, given up or pauses its target")
{
    const RetryOn usual;
    for (const unsigned status : {200U, 201U, 202U, 204U, 299U})
        CHECK(judge({status, "", false}, usual, at(0)).verdict == Verdict::delivered);
    for (const unsigned status : {408U, 409U, 425U, 429U, 500U, 501U, 502U, 503U, 504U, 599U})
        CHECK(judge({status, "", false}, usual, at(0)).verdict == Verdict::retry);
    for (const unsigned status : {101U, 300U, 301U, 302U, 304U, 307U, 400U, 401U, 403U, 404U, 413U, 422U, 489U, 600U, 999U})
        CHECK(judge({status, "", false}, usual, at(0)).verdict == Verdict::reject);
    CHECK(judge({410, "", false}, usual, at(0)).verdict == Verdict::pause);

    std::string problem;
    const RetryOn wide = RetryOn::parse({"410", "489", "3xx"}, problem);
    CHECK(problem.empty());
    CHECK(judge({489, "", false}, wide, at(0)).verdict == Verdict::retry);
    CHECK(judge({489, "", true}, wide, at(0)).verdict == Verdict::reject);
    CHECK(judge({410, "", false}, wide, at(0)).verdict == Verdict::retry);
    CHECK(judge({302, "", false}, wide, at(0)).verdict == Verdict::retry);
    CHECK(judge({503, "", false}, wide, at(0)).verdict == Verdict::reject);
    CHECK(wide.failure(Cause::timeout));

    const Judgement waits = judge({503, "6m5s", false}, usual, at(0));
    CHECK(waits.verdict == Verdict::retry);
    CHECK(waits.retry_after == Duration{365s});
    CHECK(judge({429, "-1", false}, usual, at(0)).verdict == Verdict::reject);
    CHECK_FALSE(judge({429, "soon", false}, usual, at(0)).retry_after);
    CHECK_FALSE(judge({404, "10", false}, usual, at(0)).retry_after);
}

TEST_CASE("retry_on: statuses replace statuses, words replace words")
{
    std::string problem;
    const RetryOn words = RetryOn::parse({"timeout", "connect"}, problem);
    CHECK(problem.empty());
    CHECK(words.failure(Cause::timeout));
    CHECK(words.failure(Cause::connect));
    CHECK_FALSE(words.failure(Cause::tls));
    CHECK(words.status(503));
    RetryOn::parse({"timout"}, problem);
    CHECK(problem.find("did you mean 'timeout'") != std::string::npos);
    for (const char* wrong : {"200", "2xx", "600", "6xx", "50", "5000", "", "x"}) {
        problem.clear();
        RetryOn::parse({wrong}, problem);
        INFO(wrong);
        CHECK_FALSE(problem.empty());
    }
}

TEST_CASE("Standard Webhooks: the recorded signature comes out")
{
    const auto key = decode_webhook_secret(Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    REQUIRE(key.has_value());
    const std::string body = R"({"test": 2432232314})";
    const std::string first = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    CHECK(sign_webhook({*key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == first);
    const auto bare = decode_webhook_secret(Secret{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    REQUIRE(bare.has_value());
    CHECK(*bare == *key);
    const auto other = decode_webhook_secret(Secret{"whsec_" + std::string(32, 'A')});
    REQUIRE(other.has_value());
    const std::string both = sign_webhook({*other, *key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body);
    CHECK(both.size() == 2 * first.size() + 1);
    CHECK(both.substr(first.size()) == " " + first);
    CHECK(sign_webhook({*key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265331, body) != first);
}

TEST_CASE("Standard Webhooks: secrets of the wrong kind or length are refused without quoting them")
{
    const std::string cases[] = {"whsec_", "whsec_AAAA", "whsec_" + std::string(128, 'A'), "whsec_!!!",
                                 "whsk_" + std::string(32, 'A'), "whpk_" + std::string(32, 'A')};
    for (const std::string& text : cases) {
        const auto key = decode_webhook_secret(Secret{text});
        INFO(text);
        REQUIRE_FALSE(key.has_value());
        CHECK(key.error().what.find("AAAA") == std::string::npos);
    }
    // 25 bytes with their padding dropped, as some tools print them
    CHECK(decode_webhook_secret(Secret{"whsec_" + std::string(34, 'A')}).has_value());
}

TEST_CASE("a webhook's URL is taken apart, and refused where it cannot be sent")
{
    const auto url = parse_webhook_url("https://hooks.example:8443/a%20b?token=s3cret");
    REQUIRE(url.has_value());
    CHECK(url->https);
    CHECK(url->host == "hooks.example");
    CHECK(url->port == 8443);
    CHECK(url->target == "/a%20b?token=s3cret");
    CHECK(url->host_header == "hooks.example:8443");
    CHECK(url->shown == "https://hooks.example:8443/a%20b?***");
    const auto plain = parse_webhook_url("http://[::1]");
    REQUIRE(plain.has_value());
    CHECK(plain->host == "::1");
    CHECK(plain->host_header == "[::1]");
    CHECK(plain->port == 80);
    CHECK(plain->target == "/");
    CHECK(parse_webhook_url("https://example.com/")->port == 443);
    for (const char* wrong :
         {"", "example.com/x", "ftp://example.com/", "http://", "http:///x", "http://u:p@example.com/",
          "http://example.com/#part", "http://example.com:0/", "http://example.com:70000/",
          "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nX: y",
          "http://a%0d%0ab/"}) {
        INFO(wrong);
        CHECK_FALSE(parse_webhook_url(wrong).has_value());
    }
}

TEST_CASE("no header can be smuggled in")
{
    CHECK(header_problem("X-Env", "prod").empty());
    CHECK(header_problem("Authorization", "Bearer a b\tc").empty());
    CHECK(header_problem("X-Text", "gr\xc3\xbc\xc3\x9f").empty());
    for (const char* name : {"", "a b", "a:", "a\r\nb", "Content-Length", "HOST", "webhook-id",
                             "Transfer-Encoding", "connection"})
        CHECK_FALSE(header_problem(name, "x").empty());
    for (const std::string value : {"a\r\nb", "a\nb", "a\rb", "\x01", "a\x7f"})
        CHECK_FALSE(header_problem("X-A", value).empty());
    CHECK_FALSE(header_problem("X-A", std::string_view{"a\0b", 3}).empty());

    const Event event = event_of("{}");
    RequestHead head;
    head.url = *parse_webhook_url("http://h/x");
    const Delivery delivery{"dlv\r\nEvil: 1", "r", "t", event, 1, 3};
    const std::string text = request_head(head, delivery, 1614265330, "");
    CHECK(text == "POST /x HTTP/1.1\r\nhost: h\r\nuser-agent: eventyard/" EVENTYARD_VERSION
                  "\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
                  "webhook-id: dlv__Evil: 1\r\nwebhook-timestamp: 1614265330\r\n"
                  "eventyard-event-id: 11111111-1111-1111-1111-111111111111\r\n"
                  "eventyard-attempt: 3\r\n\r\n");
}

TEST_CASE("an HTTP answer is read from any cut of its bytes")
{
    struct Case {
        const char* name;
        std::string bytes;
        unsigned status;
        std::string body;
        bool keep_alive;
    };
    const Case cases[] = {
        {"length", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhello", 503, "hello", true},
        {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "abcde", true},
        {"no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
        {"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200, "", false},
        {"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", true},
        {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.name)
    {
        for (std::size_t cut = 0; cut < c.bytes.size(); ++cut) {
            AnswerReader reader;
            if (cut > 0) REQUIRE(reader.feed(c.bytes.substr(0, cut)) == AnswerReader::State::more);
            REQUIRE(reader.feed(c.bytes.substr(cut)) == AnswerReader::State::done);
            CHECK(reader.keep_alive() == c.keep_alive);
            const HttpAnswer answer = reader.take();
            CHECK(answer.status == c.status);
            CHECK(answer.body == c.body);
        }
        AnswerReader cut_short;
        if (c.bytes.size() > 20) {
            static_cast<void>(cut_short.feed(c.bytes.substr(0, c.bytes.size() - 1)));
            CHECK(cut_short.finish() == AnswerReader::State::broken);
        }
    }
}

TEST_CASE("an HTTP answer is bounded, and what is not HTTP is refused")
{
    AnswerReader until_close;
    CHECK(until_close.feed("HTTP/1.1 200 OK\r\n\r\nabc") == AnswerReader::State::more);
    CHECK(until_close.finish() == AnswerReader::State::done);
    CHECK_FALSE(until_close.keep_alive());
    CHECK(until_close.take().body == "abc");

    AnswerReader large;
    auto state = large.feed("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    const std::string block(10'000, 'y');
    int fed = 0;
    while (state == AnswerReader::State::more && fed < 100) {
        state = large.feed(block);
        ++fed;
    }
    CHECK(state == AnswerReader::State::capped);
    CHECK(fed == 7);  // the first block that passes 64 KiB
    const HttpAnswer answer = large.take();
    CHECK(answer.status == 200);
    CHECK(answer.body == std::string(AnswerReader::body_kept, 'y'));

    AnswerReader head;
    CHECK(head.feed("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'z')) == AnswerReader::State::broken);
    AnswerReader garbage;
    CHECK(garbage.feed("SSH-2.0-OpenSSH\r\n\r\n") == AnswerReader::State::broken);
    CHECK_FALSE(garbage.problem().empty());
    AnswerReader empty;
    CHECK(empty.finish() == AnswerReader::State::broken);
    AnswerReader interim;
    std::string many;
    for (int i = 0; i < 20; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(interim.feed(many) == AnswerReader::State::broken);
    AnswerReader pipelined;
    CHECK(pipelined.feed("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n") == AnswerReader::State::done);
    CHECK_FALSE(pipelined.keep_alive());  // nobody asked for the second
}

TEST_CASE("files are rotated by size before it is passed and by time at UTC boundaries")
{
    const WallTime noon = at(1'764'072'000);  // 2025-11-25T12:00:00Z
    CHECK(period_start(noon + 59min, 1h) == noon);
    CHECK(period_start(noon, 24h) == noon - 12h);
    CHECK(period_start(noon, Duration{0}) == WallTime{});
    const Rotation size{1000, Duration{0}, 0, false};
    CHECK_FALSE(rotation_due(size, 900, 100, noon, noon));
    CHECK(rotation_due(size, 900, 101, noon, noon));
    CHECK_FALSE(rotation_due(size, 0, 5000, noon, noon));  // a long line has a file of its own
    const Rotation time{0, 1h, 0, false};
    CHECK_FALSE(rotation_due(time, 1, 1, noon, noon + 59min));
    CHECK(rotation_due(time, 1, 1, noon, noon + 60min));
    CHECK_FALSE(rotation_due(time, 1, 1, noon, noon - 3h));  // the clock went back
    CHECK_FALSE(rotation_due(Rotation{}, 1U << 30, 1, noon, noon + 1000h));
}

TEST_CASE("rotated files get names nobody has, and only those are ever touched")
{
    const WallTime noon = at(1'764'072'000);
    CHECK(rotated_name("a.jsonl", noon, {}) == "a.jsonl.20251125T120000Z.1");
    CHECK(rotated_name("a.jsonl", noon,
                       {"a.jsonl.20251125T120000Z.1.zst", "a.jsonl.20251125T120000Z.9"}) ==
          "a.jsonl.20251125T120000Z.10");
    CHECK(rotated_name("a.jsonl", noon, {"b.jsonl.20251125T120000Z.1"}) == "a.jsonl.20251125T120000Z.1");
    const auto files = rotated_files(
        "a.jsonl", {"a.jsonl", "a.jsonl.partial", "a.jsonl.20251125T120000Z.10",
                    "a.jsonl.20251125T120000Z.2.zst", "a.jsonl.20241125T120000Z.3",
                    "a.jsonl.20251125T120000Z.x", "a.jsonl.20251125T120000Z.", "a.jsonl.1",
                    "a.jsonl.20251125T120000Z.2.zst.tmp", "a.jsonl.20251125 120000Z.2", "zz"});
    REQUIRE(files.size() == 3);
    CHECK(files[0].name == "a.jsonl.20241125T120000Z.3");
    CHECK(files[1].name == "a.jsonl.20251125T120000Z.2.zst");
    CHECK(files[1].compressed);
    CHECK(files[2].number == 10);
}

TEST_CASE("an event becomes one line, bare or in an envelope")
{
    const Event event = event_of("{\"a\":\r\n  \"x\\ny\",\n\"b\":[1,\n2]}");
    const Delivery delivery{"dlv_1", "say \"hi\"", "t", event, 1, 1};
    CHECK(to_json_line(delivery, false) == "{\"a\":    \"x\\ny\", \"b\":[1, 2]}\n");
    CHECK(to_json_line(delivery, true) ==
          "{\"delivery\":\"dlv_1\",\"id\":\"11111111-1111-1111-1111-111111111111\","
          "\"rule\":\"say \\\"hi\\\"\",\"bus\":\"default\",\"received\":\"2025-11-24T16:00:00.000Z\","
          "\"event\":{\"a\":    \"x\\ny\", \"b\":[1, 2]}}\n");
}

TEST_CASE("Redis error replies are final or worth another attempt")
{
    for (const char* passing :
         {"OOM command not allowed when used memory > 'maxmemory'.", "LOADING Redis is loading",
          "READONLY You can't write against a read only replica.", "BUSY Redis is busy",
          "TRYAGAIN", "CLUSTERDOWN The cluster is down", "MASTERDOWN Link down", "NOREPLICAS no",
          "MISCONF errors writing", "MOVED 1 10.0.0.1:6379", "ERR max number of clients reached"})
        CHECK(judge_redis_error(passing) == Verdict::retry);
    for (const char* final :
         {"WRONGTYPE Operation against a key holding the wrong kind of value", "NOAUTH required",
          "WRONGPASS invalid", "NOPERM this user", "ERR wrong number of arguments", "OOMX", ""})
        CHECK(judge_redis_error(final) == Verdict::reject);
}

TEST_CASE("name servers are addresses, with a port or without")
{
    for (const char* good : {"10.0.0.2", "10.0.0.2:53", "::1", "[::1]:5353"}) CHECK(is_server_address(good));
    for (const char* bad : {"", "dns.example", "10.0.0.2:", "10.0.0.2:99999", "10.0.0.2:x"})
        CHECK_FALSE(is_server_address(bad));
}
