// The address guard where it matters: between a name server's answer and the connection.
#include <catch2/catch.hpp>

#include "targets/webhook.hpp"
#include "tests/support/dns_server.hpp"
#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

ReadTarget read_untrusted(const std::string& settings, Untrusted limits = {})
{
    return read_settings(settings, [&](Fields& fields) { return read_untrusted_webhook(fields, limits); });
}

std::string url_of(const std::string& host, const HookServer& server)
{
    return R"("url":"http://)" + host + ":" + std::to_string(server.port()) + "/\"";
}

}  // namespace

TEST_CASE("a name that resolves to a refused address is not connected to, and the outcome names it all")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    const DnsServer dns{{"169.254.169.254"}};
    const std::string settings = "{" + url_of("hook.example", server) + R"(,"dns_servers":[")" + dns.address() + "\"]";
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", settings + "}"));
    const Outcome refused = runner.deliver(*target, "{}");
    CHECK(refused.verdict == Verdict::retry);
    CHECK(refused.cause == Cause::address);
    CHECK(std::string(text_of(refused.cause)) == "address_refused");
    CHECK(refused.detail == "address refused: 169.254.169.254 is a cloud metadata service (169.254.169.254/32); "
                            "'allow_link_local: true' allows it (host 'hook.example')");
    const auto final = runner.make(read_target("webhook", settings + R"(,"retry_on":["timeout"]})"));
    CHECK(runner.deliver(*final, "{}").verdict == Verdict::reject);
    // What is allowed is tried: a connection nobody takes here, in no time of ours.
    const auto allowed = runner.make(read_target("webhook", settings + R"(,"allow_link_local":true,"timeout":"50ms"})"));
    CHECK(runner.deliver(*allowed, "{}").cause != Cause::address);
}

TEST_CASE("of several addresses only those that pass are connected to, and nobody is asked twice")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    const DnsServer dns{{"169.254.1.1", "127.0.0.1", "fe80::1", "::ffff:169.254.1.1"}};
    TargetRunner runner;
    const auto target = runner.make(read_target("webhook", "{" + url_of("hook.example", server) +
                                                               R"(,"dns_servers":[")" + dns.address() + "\"]}"));
    const Outcome outcome = runner.deliver(*target, "{}");
    INFO(outcome.detail);
    CHECK(outcome.verdict == Verdict::delivered);
    CHECK(server.connections() == 1);
    CHECK(dns.asked() == 1);
}

TEST_CASE("an untrusted webhook does not reach this machine, by any name or form")
{
    HookServer server{[](const HookRequest&) { return answer(200); }};
    TargetRunner runner;
    const Untrusted http{.allow_http = true};
    const auto named = runner.make(read_untrusted("{" + url_of("localhost", server) + "}", http));
    const Outcome outcome = runner.deliver(*named, "{}");
    CHECK(outcome.cause == Cause::address);
    CHECK(outcome.detail.find("is loopback") != std::string::npos);
    CHECK(outcome.detail.find("(host 'localhost')") != std::string::npos);
    for (const char* host : {"127.1", "2130706433", "0x7f000001", "0177.0.0.1"}) {
        INFO(host);
        const ReadTarget read = read_untrusted("{" + url_of(host, server) + R"(,"timeout":"200ms"})", http);
        REQUIRE(read.blueprint);  // a name for all we know: nobody's, or an address that is asked about
        const auto target = runner.make(read);
        CHECK(runner.deliver(*target, "{}").verdict == Verdict::retry);
    }
    CHECK(server.connections() == 0);
    for (const char* host : {"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "0.0.0.0", "[64:ff9b::7f00:1]"}) {
        INFO(host);
        const ReadTarget read = read_untrusted("{" + url_of(host, server) + "}", http);
        REQUIRE(read.mistakes.size() == 1);
        CHECK(read.mistakes[0].find("must not go there") != std::string::npos);
    }
}

TEST_CASE("an untrusted webhook has https and none of the settings that are the operator's")
{
    CHECK(read_untrusted(R"({"url":"https://hook.example/"})").blueprint);
    CHECK(read_untrusted(R"({"url":"http://hook.example/"})", {.allow_http = true}).blueprint);
    CHECK(read_untrusted(R"({"url":"http://hook.example/"})").mistakes ==
          std::vector<std::string>{"'url' must begin with https:// in a file included with 'untrusted: true'; "
                                   "'allow_http: true' of that include allows http"});
    for (const char* setting : {R"("allow_link_local":true)", R"("dns_servers":["10.0.0.1"])",
                                R"("tls":{"ca_file":"/etc/passwd"})"}) {
        INFO(setting);
        const ReadTarget read = read_untrusted(std::string(R"({"url":"https://hook.example/",)") + setting + "}");
        REQUIRE(read.mistakes.size() == 1);
        CHECK(read.mistakes[0].find("included with 'untrusted: true'") != std::string::npos);
    }
    // Another guard is another target: a reload must not keep the running one.
    CHECK(read_untrusted(R"({"url":"https://hook.example/"})").blueprint->fingerprint() !=
          read_target("webhook", R"({"url":"https://hook.example/"})").blueprint->fingerprint());
}
