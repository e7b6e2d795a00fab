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
    TlsFiles issued(const std::string& name, const std::string& alternative, const std::string& more = "-days 2")
    {
        const TlsFiles files{dir_.file(name + ".pem"), dir_.file(name + ".key")};
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
        const TlsFiles files{dir_.file("self.pem"), dir_.file("self.key")};
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
