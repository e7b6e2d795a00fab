// How a webhook shows who it is: headers that stay, and tokens fetched from a token server.
#include <atomic>
#include <catch2/catch.hpp>

#include "targets/oauth2.hpp"
#include "targets/webhook.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

/// Gives out tokens "token-1", "token-2", ... as a token server does.
class TokenServer {
public:
    explicit TokenServer(int expires_in = 3600)
        : expires_in_(expires_in), server_([this](const HookRequest& request) { return reply(request); })
    {
    }
    [[nodiscard]] std::string url() const { return server_.url("/token"); }
    std::atomic<int> asked{0};
    std::atomic<int> failing{0};  // so many answers are refusals
    std::string refusal = answer(401, "", R"({"error":"invalid_client","hint":"s3cret+/ word"})").bytes;
    HookRequest last;
    std::string always;                 // the token; empty: another one each time

private:
    HookReply reply(const HookRequest& request)
    {
        last = request;
        const int number = ++asked;
        if (failing > 0) {
            --failing;
            return {refusal, false, false};
        }
        return answer(200, "Content-Type: application/json\r\n",
                      R"({"access_token":")" + (always.empty() ? "token-" + std::to_string(number) : always) + R"(","token_type":"Bearer","expires_in":)" +
                          std::to_string(expires_in_) + R"(,"padding":")" + std::string(4000, 'x') + "\"}");
    }
    int expires_in_;
    HookServer server_;
};

std::string oauth_settings(const HookServer& server, const TokenServer& tokens, const std::string& more = "")
{
    return R"({"url":")" + server.url() + R"(","auth":{"oauth2":{"token_url":")" + tokens.url() +
           R"(","client_id":"me & you","client_secret":"s3cret+/ word")" + more + "}}}";
}

std::string status_of(const Target& target, const std::string& key)
{
    for (const StatusItem& item : target.status())
        if (item.key == key) return item.value;
    return {};
}

}  // namespace

TEST_CASE("basic, bearer and API key are headers of every request, and an echo of them is struck out")
{
    struct Case {
        const char* auth;
        const char* header;
        const char* value;
    };
    const Case cases[] = {
        {R"({"basic":{"user":"Aladdin","password":"open sesame"}})", "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        {R"({"basic":{"user":"key-only"}})", "authorization", "Basic a2V5LW9ubHk6"},
        {R"({"bearer":"${test:topsecret}"})", "authorization", "Bearer topsecret"},
        {R"({"api_key":{"header":"X-API-Key","key":"topsecret"}})", "x-api-key", "topsecret"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.auth)
    {
        HookServer server{[&](const HookRequest& request) {
            const std::string seen = request.header(c.header);
            return answer(seen == c.value ? 202 : 400, "", "you sent " + seen.substr(seen.find(' ') + 1));
        }};
        TargetRunner runner;
        const auto target = runner.make(read_target("webhook", R"({"url":")" + server.url() + R"(","auth":)" + c.auth + "}"));
        for (int i = 0; i < 2; ++i) {
            const Outcome outcome = runner.deliver(*target, "{}");
            CHECK(outcome.status == 202);
            CHECK(outcome.response == "you sent ***");
        }
    }
}

TEST_CASE("mistakes in auth are said with their places, and none shows a secret")
{
    struct Case {
        const char* auth;
        const char* mistake;
    };
    const Case cases[] = {
        {R"({})", "'auth' needs exactly one of basic, bearer, api_key, oauth2"},
        {R"({"bearer":"a","basic":{"user":"b"}})", "'auth' needs exactly one of basic, bearer, api_key, oauth2"},
        {R"({"basic":{"password":"topsecret"}})", "'user' is missing"},
        {R"({"basic":{"user":"a:b","password":"topsecret"}})", "'user' must not hold a ':'"},
        {R"({"bearer":""})", "'bearer' must not be empty"},
        {R"({"bearer":"${test:topsecret\r\nX: y}"})", "header 'authorization' has a value with a line break or another control character"},
        {R"({"api_key":{"header":"X-Key"}})", "'key' is missing"},
        {R"({"api_key":{"header":"webhook-id","key":"topsecret"}})", "header 'webhook-id' is set by eventyard itself"},
        {R"({"api_key":{"header":"x-mine","key":"topsecret"}})", "'auth' and 'headers' both set 'X-Mine'"},
        {R"({"oauth2":{"token_url":"http://h/t","client_id":"c"}})", "'client_secret' is missing"},
        {R"({"oauth2":{"token_url":"h","client_id":"c","client_secret":"topsecret"}})", "'token_url' must be a URL such as https://example.com/hook"},
        {R"({"oauth2":{"token_url":"http://169.254.169.254/t","client_id":"c","client_secret":"topsecret"}})",
         "'token_url': 169.254.169.254 is a cloud metadata service (169.254.169.254/32); 'allow_link_local: true' allows it"},
        {R"({"oauth2":{"token_url":"http://h/t","client_id":"c","client_secret":"topsecret","client_auth":"jwt"}})",
         "'client_auth' must be one of basic, body, found 'jwt'"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.auth)
    {
        const ReadTarget read = read_target("webhook", R"({"url":"http://h/","headers":{"X-Mine":"1"},"auth":)" + std::string(c.auth) + "}");
        CHECK(read.mistakes == std::vector<std::string>{c.mistake});
        CHECK(read.report.find("topsecret") == std::string::npos);
    }
    const ReadTarget untrusted = read_settings(
        R"({"url":"https://h/","auth":{"oauth2":{"token_url":"http://127.0.0.1/t","client_id":"c","client_secret":"s"}}})",
        [](Fields& fields) { return read_untrusted_webhook(fields, {}); });
    CHECK(untrusted.mistakes.size() == 2);  // http, and loopback
}

TEST_CASE("a token is fetched once for all attempts and kept")
{
    std::atomic<int> wrong{0};
    HookServer server{[&](const HookRequest& request) {
        if (request.header("authorization") != "Bearer token-1") ++wrong;
        return answer(200);
    }};
    TokenServer tokens;
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens, R"(,"scope":"a b","audience":"hook&s")")));
    std::vector<Event> events;
    for (int i = 0; i < 50; ++i) events.push_back(make_event("{}"));
    for (const Outcome& outcome : runner.deliver(*target, events, 20)) CHECK(outcome.verdict == Verdict::delivered);
    CHECK(wrong == 0);
    CHECK(tokens.asked == 1);
    CHECK(status_of(*target, "tokens_fetched") == "1");
    CHECK(tokens.last.head.find("POST /token HTTP/1.1\r\n") == 0);
    CHECK(tokens.last.header("content-type") == "application/x-www-form-urlencoded");
    CHECK(tokens.last.body == "grant_type=client_credentials&scope=a%20b&audience=hook%26s");
    // me%20%26%20you:s3cret%2B%2F%20word
    CHECK(tokens.last.header("authorization") == "Basic bWUlMjAlMjYlMjB5b3U6czNjcmV0JTJCJTJGJTIwd29yZA==");
}

TEST_CASE("id and secret go into the form where the token server wants them there")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TokenServer tokens;
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens, R"(,"client_auth":"body")")));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);
    CHECK(tokens.last.body == "grant_type=client_credentials&client_id=me%20%26%20you&client_secret=s3cret%2B%2F%20word");
    CHECK(tokens.last.header("authorization").empty());
}

TEST_CASE("a token the receiver refuses is replaced once, for all attempts together")
{
    std::string good = "Bearer token-1";  // only the server's behaviour, one at a time, and between deliveries
    HookServer server{[&](const HookRequest& request) {
        const std::string seen = request.header("authorization");
        return answer(seen == good ? 200 : 401, "", "refused " + seen);
    }};
    TokenServer tokens;
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens)));
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);
    good = "Bearer token-2";
    std::vector<Event> events;
    for (int i = 0; i < 30; ++i) events.push_back(make_event("{}"));
    for (const Outcome& outcome : runner.deliver(*target, events, 30)) CHECK(outcome.verdict == Verdict::delivered);
    CHECK(tokens.asked == 2);
    // A receiver that takes no token at all is asked twice and then judged as any other.
    good = "none";
    const Outcome refused = runner.deliver(*target, "{}");
    CHECK(refused.verdict == Verdict::reject);
    CHECK(refused.status == 401);
    CHECK(refused.response == "refused Bearer ***");
    CHECK(tokens.asked == 3);
}

// It was searched for again in what had been put in its place, for ever.
TEST_CASE("a token that looks like what hides it is no trap")
{
    for (const char* token : {"*", "***", "****"}) {
        HookServer server{[](const HookRequest&) { return answer(400, "", "no * or ****"); }};
        TokenServer tokens;
        tokens.always = token;
        TargetRunner runner;
        const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens)));
        CHECK(runner.deliver(*target, "{}").status == 400);
    }
}

TEST_CASE("a token about to end is fetched anew")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TokenServer tokens{0};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens)));
    for (int i = 0; i < 3; ++i) CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);
    CHECK(tokens.asked == 3);
}

TEST_CASE("without a token the receiver is not asked, and the attempt is worth another")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TokenServer tokens;
    tokens.failing = 1;
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", oauth_settings(server, tokens)));
    // One fetch fails for all who wait for it.
    std::vector<Event> events;
    for (int i = 0; i < 8; ++i) events.push_back(make_event("{}"));
    for (const Outcome& outcome : runner.deliver(*target, events, 8)) {
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.cause == Cause::auth);
        CHECK(outcome.status == 0);
        CHECK(outcome.detail == "oauth2: HTTP 401 from " + tokens.url() + ": invalid_client");
    }
    CHECK(server.connections() == 0);
    CHECK(tokens.asked == 1);
    tokens.failing = 1;
    tokens.refusal = answer(503, "Retry-After: 7\r\n").bytes;
    const Outcome busy = runner.deliver(*target, "{}");
    CHECK(busy.detail == "oauth2: HTTP 503 from " + tokens.url());
    CHECK(busy.retry_after == Duration{std::chrono::seconds{7}});
    CHECK(runner.deliver(*target, "{}").verdict == Verdict::delivered);

    const auto dead = runner.make(read_target(
        "webhook", R"({"url":")" + server.url() + R"(","retry_on":["404"],"auth":{"oauth2":{"token_url":"http://127.0.0.1:1/t","client_id":"c","client_secret":"s"}}})"));
    const Outcome refused = runner.deliver(*dead, "{}");
    CHECK(refused.verdict == Verdict::retry);
    CHECK(refused.cause == Cause::auth);
    CHECK(refused.detail == "oauth2: connect: connection refused (127.0.0.1:1), asking http://127.0.0.1:1/t");
}

TEST_CASE("a silent token server costs an attempt its timeout, and closing ends the wait")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    HookServer silent{[](const HookRequest&) { return HookReply{"", false, true}; }};
    const auto settings = [&](const char* timeout) {
        return R"({"url":")" + server.url() + R"(","timeout":")" + timeout + R"(","auth":{"oauth2":{"token_url":")" +
               silent.url() + R"(","client_id":"c","client_secret":"s"}}})";
    };
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", settings("200ms")));
    std::vector<Event> events;
    for (int i = 0; i < 4; ++i) events.push_back(make_event("{}"));
    for (const Outcome& outcome : runner.deliver(*target, events, 4)) {
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.cause == Cause::auth);
        CHECK(outcome.detail.find("oauth2: timeout") == 0);
    }
    const auto slow = runner.make(read_target("webhook", settings("60s")));
    const auto sending = runner.start(*slow, events, 4);
    REQUIRE(runner.run_until([&] { return silent.connections() >= 2; }));
    slow->close();
    REQUIRE(runner.run_until([&] { return sending->done(); }, std::chrono::seconds{20}));
    for (const auto& outcome : sending->outcomes) {
        CHECK(outcome->verdict == Verdict::retry);
        CHECK(outcome->cause == Cause::internal);
    }
    CHECK(server.connections() == 0);
}

TEST_CASE("a token server's answer is read with care")
{
    struct Case {
        const char* body;
        const char* token;    // nullptr: refused
        int usable_s;
        const char* problem;
    };
    const Case cases[] = {
        {R"({"access_token":"t","token_type":"Bearer","expires_in":3600})", "t", 3570, ""},
        {R"({"access_token":"t","token_type":"bearer","expires_in":"100"})", "t", 90, ""},
        {R"({"access_token":"t"})", "t", 270, ""},
        {R"({"access_token":"t","expires_in":1e300})", "t", 86370, ""},
        {R"({"access_token":"t","expires_in":-5})", "t", 0, ""},
        {R"({"access_token":"t","expires_in":1})", "t", 0, ""},
        {R"({"access_token":"t","expires_in":"soon"})", "t", 270, ""},
        {R"({"access_token":""})", nullptr, 0, "no 'access_token' in the answer"},
        {R"({"token":"t"})", nullptr, 0, "no 'access_token' in the answer"},
        {R"({"access_token":7})", nullptr, 0, "no 'access_token' in the answer"},
        {R"({"access_token":"a\r\nX: y"})", nullptr, 0, "an 'access_token' that cannot stand in a header"},
        {R"({"access_token":"t","token_type":"mac"})", nullptr, 0, "a 'token_type' other than Bearer"},
        {R"(["t"])", nullptr, 0, "the answer is not a JSON object"},
        {"<html>", nullptr, 0, "the answer is not a JSON object"},
        {"", nullptr, 0, "the answer is not a JSON object"},
    };
    for (const Case& c : cases) {
        INFO(c.body);
        const auto token = parse_token(c.body);
        REQUIRE(token.has_value() == (c.token != nullptr));
        if (c.token != nullptr) {
            CHECK(token->value.reveal() == c.token);
            CHECK(token->usable == Duration{std::chrono::seconds{c.usable_s}});
        } else {
            CHECK(token.error().what == c.problem);
        }
    }
    CHECK(parse_token_error(R"({"error":"invalid\u001bscope"})") == "invalid?scope");
    CHECK(parse_token_error(R"({"error":{}})").empty());
    CHECK(parse_token_error("no").empty());
}
