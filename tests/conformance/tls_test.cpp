// The webhook over TLS: certificates are made by openssl while the test runs.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/support/hook_server.hpp"
#include "tests/support/target_runner.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

void run(const std::string& command)
{
    if (std::system((command + " >/dev/null 2>&1").c_str()) != 0)
        throw std::runtime_error("failed: " + command);
}

/// An authority, and certificates by it or by themselves.
class Certificates {
public:
    Certificates()
    {
        run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca"
            " -keyout " + dir_.file("ca.key") + " -out " + ca());
    }
    [[nodiscard]] std::string ca() const { return dir_.file("ca.pem"); }
    [[nodiscard]] std::string write(const std::string& name, const std::string& text)
    {
        dir_.write(name, text);
        return dir_.file(name);
    }
    TlsFiles issued(const std::string& name, const std::string& alternative, const std::string& more = "-days 2")
    {
        const TlsFiles files{dir_.file(name + ".pem"), dir_.file(name + ".key"), {}};
        dir_.write(name + ".ext", "subjectAltName=" + alternative);
        run("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
            " -keyout " + files.key + " -out " + dir_.file(name + ".csr"));
        run("openssl x509 -req -in " + dir_.file(name + ".csr") + " -CA " + ca() + " -CAkey " +
            dir_.file("ca.key") + " -CAcreateserial -extfile " + dir_.file(name + ".ext") + " " + more +
            " -out " + files.certificate);
        return files;
    }
    TlsFiles self_signed()
    {
        const TlsFiles files{dir_.file("self.pem"), dir_.file("self.key"), {}};
        run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=self"
            " -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout " + files.key + " -out " + files.certificate);
        return files;
    }

private:
    TempDir dir_;
};

Certificates& certificates()
{
    static Certificates made;
    return made;
}

HookReply welcome(const HookRequest&) { return answer(200); }

std::string at(const HookServer& server, const std::string& host)
{
    return "https://" + host + ":" + std::to_string(server.port()) + "/";
}

Outcome deliver(const std::string& url, const std::string& tls)
{
    TargetRunner runner;
    const auto target =
        runner.make(read_target("webhook", R"({"url":")" + url + R"(","timeout":"10s")" + tls + "}"));
    return runner.deliver(*target, "{}");
}

std::string trusting() { return R"(,"tls":{"ca_file":")" + certificates().ca() + "\"}"; }

}  // namespace

TEST_CASE("TLS: a good certificate is taken, the name is asked for, the connection is kept")
{
    HookServer server{&welcome, certificates().issued("good", "DNS:localhost,IP:127.0.0.1")};
    TargetRunner runner;
    const auto target = runner.make(
        read_target("webhook", R"({"url":")" + at(server, "localhost") + "\"" + trusting() + "}"));
    for (int i = 0; i < 3; ++i) {
        const Outcome outcome = runner.deliver(*target, "{\"big\":\"" + std::string(300'000, 'x') + "\"}");
        INFO(outcome.detail);
        CHECK(outcome.verdict == Verdict::delivered);
    }
    CHECK(server.asked_name() == "localhost");
    CHECK(server.connections() == 1);
    const Outcome literal = deliver(at(server, "127.0.0.1"), trusting());
    INFO(literal.detail);
    CHECK(literal.verdict == Verdict::delivered);
    CHECK(server.asked_name().empty());  // SNI is for names only
}

TEST_CASE("TLS: a wrong name, an unknown or an expired certificate is refused by that reason")
{
    struct Case {
        const char* name;
        TlsFiles files;
        std::string host;
        const char* reason;
    };
    const Case cases[] = {
        {"wrong name", certificates().issued("wrong", "DNS:elsewhere.example"), "localhost", "hostname mismatch"},
        {"wrong name, and an address where nobody listens",
         certificates().issued("wrong6", "DNS:elsewhere.example"), "both.localhost", "hostname mismatch"},
        {"wrong address", certificates().issued("wrongip", "IP:127.0.0.2"), "127.0.0.1", "IP address mismatch"},
        {"self-signed", certificates().self_signed(), "127.0.0.1", "self-signed certificate"},
        {"expired", certificates().issued("old", "IP:127.0.0.1", "-days -1"), "127.0.0.1", "expired"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.name)
    {
        HookServer server{&welcome, c.files};
        const Outcome outcome = deliver(at(server, c.host), trusting());
        INFO(outcome.detail);
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.cause == Cause::tls);
        CHECK(outcome.detail.find("tls: certificate refused: ") == 0);
        CHECK(outcome.detail.find(c.reason) != std::string::npos);
        // Only a person who says so gets through.
        CHECK(deliver(at(server, c.host), R"(,"tls":{"verify":false})").verdict == Verdict::delivered);
    }
    HookServer server{&welcome, certificates().issued("unknown", "IP:127.0.0.1")};
    CHECK(deliver(at(server, "127.0.0.1"), "").cause == Cause::tls);  // the system does not know our authority
}

TEST_CASE("TLS: a server that speaks plain HTTP, or says nothing, is a failed handshake or a timeout")
{
    HookServer plain{[](const HookRequest&) { return answer(200); }};
    HookServer silent{&welcome, {}, true};
    TargetRunner runner;
    const auto stuck = runner.make(read_target(
        "webhook", R"({"url":")" + at(silent, "127.0.0.1") + R"(","timeout":"300ms"})"));
    const Outcome outcome = runner.deliver(*stuck, "{}");
    CHECK(outcome.cause == Cause::timeout);
    CHECK(outcome.detail.find("in the TLS handshake") != std::string::npos);
    const auto early = runner.make(read_target(
        "webhook", R"({"url":")" + silent.url() + R"(","timeout":"300ms"})"));
    // More than the sockets' buffers hold, to a server that never reads.
    const Outcome unread = runner.deliver(*early, "{\"x\":\"" + std::string(16 << 20, 'x') + "\"}");
    CHECK(unread.cause == Cause::timeout);
    CHECK(unread.detail == "timeout after 300ms sending the request");
    const auto refused = runner.make(read_target(
        "webhook", R"({"url":")" + at(plain, "127.0.0.1") + R"(","timeout":"500ms"})"));
    const Outcome mismatch = runner.deliver(*refused, "{}");
    CHECK(mismatch.verdict == Verdict::retry);
    CHECK((mismatch.cause == Cause::tls || mismatch.cause == Cause::timeout));
}

TEST_CASE("TLS: a server that asks for a certificate is shown the configured one, and none other will do")
{
    TlsFiles files = certificates().issued("asks", "IP:127.0.0.1");
    files.client_authority = certificates().ca();
    HookServer server{&welcome, files};
    const auto showing = [](const TlsFiles& client) {
        return R"(,"tls":{"ca_file":")" + certificates().ca() + R"(","certificate":")" + client.certificate +
               R"(","key":")" + client.key + "\"}";
    };
    const Outcome good = deliver(at(server, "127.0.0.1"), showing(certificates().issued("client", "DNS:client")));
    INFO(good.detail);
    CHECK(good.verdict == Verdict::delivered);
    for (const std::string& tls : {trusting(), showing(certificates().self_signed())}) {
        const Outcome refused = deliver(at(server, "127.0.0.1"), tls);
        INFO(refused.detail);
        CHECK(refused.verdict == Verdict::retry);
        CHECK((refused.cause == Cause::lost || refused.cause == Cause::tls));
    }
}

TEST_CASE("TLS: a new connection goes on from the session of an earlier one, and its certificate stands")
{
    HookServer server{[](const HookRequest&) {
                          HookReply reply = answer(200, "Connection: close\r\n");
                          reply.close = true;
                          return reply;
                      },
                      certificates().issued("again", "DNS:localhost,IP:127.0.0.1")};
    TargetRunner runner;
    const auto target =
        runner.make(read_target("webhook", R"({"url":")" + at(server, "localhost") + "\"" + trusting() + "}"));
    for (int i = 0; i < 4; ++i) {
        const Outcome outcome = runner.deliver(*target, "{}");
        INFO(outcome.detail);
        CHECK(outcome.verdict == Verdict::delivered);
    }
    CHECK(server.connections() == 4);
    CHECK(server.resumed() == 3);
    for (const StatusItem& item : target->status())
        if (item.key == "tls_sessions_resumed") CHECK(item.value == "3");
    // Another target shares nothing with it.
    CHECK(deliver(at(server, "localhost"), trusting()).verdict == Verdict::delivered);
    CHECK(server.resumed() == 3);
}

TEST_CASE("TLS: files of a client certificate are read when the configuration is, and mistakes named")
{
    const TlsFiles one = certificates().issued("one", "DNS:one");
    const TlsFiles two = certificates().issued("two", "DNS:two");
    const std::string locked = certificates().write("locked.key", "");
    run("openssl pkcs8 -topk8 -passout pass:topsecret -in " + one.key + " -out " + locked);
    const auto read = [](const std::string& tls) {
        return read_target("webhook", R"({"url":"https://h/","tls":{)" + tls + "}}");
    };
    const auto pair = [](const std::string& certificate, const std::string& key) {
        return R"("certificate":")" + certificate + R"(","key":")" + key + "\"";
    };
    const ReadTarget good = read(pair(one.certificate, one.key));
    CHECK(good.mistakes == std::vector<std::string>{});
    struct Case {
        std::string tls;
        std::string mistake;  // how it begins
    };
    const Case cases[] = {
        {R"("certificate":")" + one.certificate + "\"", "'certificate' and 'key' are needed together"},
        {R"("key":")" + one.key + "\"", "'certificate' and 'key' are needed together"},
        {pair("/nowhere.pem", one.key), "'certificate': no certificate could be read from '/nowhere.pem': "},
        {pair(one.key, one.key), "'certificate': no certificate could be read from '"},
        {pair(one.certificate, "/nowhere.key"), "'key': no unencrypted private key could be read from '/nowhere.key': "},
        {pair(one.certificate, locked), "'key': no unencrypted private key could be read from '" + locked + "': "},
        {pair(one.certificate, two.key), "'key': '" + two.key + "' is not the key of '" + one.certificate + "'"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.tls)
    {
        const ReadTarget bad = read(c.tls);
        REQUIRE(bad.mistakes.size() == 1);
        INFO(bad.mistakes[0]);
        CHECK(bad.mistakes[0].find(c.mistake) == 0);
        CHECK(bad.blueprint == nullptr);
    }
    // A renewed certificate under the same name is another target, so that a reload takes it up.
    const std::string before = good.blueprint->fingerprint();
    run("cp " + two.certificate + " " + one.certificate + " && cp " + two.key + " " + one.key);
    CHECK(read(pair(one.certificate, one.key)).blueprint->fingerprint() != before);
}
