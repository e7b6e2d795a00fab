// What `eventyard check` says about targets, and what docs/targets.md says.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>

#include "tests/support/settings.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::support;
using targets::Kind;

namespace {

const std::string key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

std::string settings_table(const Kind& kind)
{
    std::string text = "\n| Setting | Form | Default | Meaning |\n|---|---|---|---|\n";
    for (const targets::Setting& s : kind.settings)
        text += std::string("| `") + s.key + "` | " + s.form + " | " +
                (*s.fallback == '\0' ? "*required*" : s.fallback) + " | " + s.help + " |\n";
    return text + "\n";
}

}  // namespace

TEST_CASE("every kind of target is in the list once, with help for each setting")
{
    CHECK(targets::kind_names() == std::vector<std::string>{"webhook", "file", "redis_stream"});
    CHECK(targets::find_kind("webhok") == nullptr);
    for (const Kind& kind : targets::kinds()) {
        CHECK(targets::find_kind(kind.name) == &kind);
        CHECK(std::string(kind.summary).back() == '.');
        for (const targets::Setting& s : kind.settings) {
            INFO(kind.name << ": " << s.key);
            CHECK(std::string(s.help).size() > 10);
            CHECK(std::string(s.form).find('|') == std::string::npos);
            CHECK(std::string(s.help).find('|') == std::string::npos);
        }
    }
}

TEST_CASE("settings are read, and each mistake is said in one line")
{
    struct Case {
        const char* kind;
        std::string settings;
        const char* mistake;  // nullptr: none
    };
    const Case cases[] = {
        {"webhook", R"({"url":"https://example.com/hook"})", nullptr},
        {"webhook", R"({"url":"http://h/","method":"PUT","timeout":"2s","headers":{"X-A":"b"},"retry_on":["404","5xx","timeout"],
            "dns_servers":["127.0.0.1:53"],"idle_connections":0,"idle_timeout":"5s","signing":{"scheme":"standard-webhooks","secret":")" + key + R"("}})", nullptr},
        {"webhook", R"({"url":"http://h/","signing":{"secret":[")" + key + R"(",")" + key + R"("]}})", nullptr},
        {"webhook", R"({})", "'url' is missing"},
        {"webhook", R"({"url":"example.com"})", "'url' must be a URL such as https://example.com/hook"},
        {"webhook", R"({"url":"http://me:secret@example.com"})", "'url' must not hold a user name or password; they belong into 'auth'"},
        {"webhook", R"({"url":"http://h/","timout":"3s"})", "unknown key 'timout'; did you mean 'timeout'?"},
        {"webhook", R"({"url":"http://h/","method":"GET"})", "'method' must be one of POST, PUT, PATCH, found 'GET'"},
        {"webhook", R"({"url":"http://h/","timeout":"10"})", "'timeout' must be a duration with a unit, such as 500ms, 10s, 5m or 24h; found '10'"},
        {"webhook", R"({"url":"http://h/","headers":{"Content-Length":"3"}})", "header 'Content-Length' is set by eventyard itself"},
        {"webhook", R"({"url":"http://h/","headers":{"X-A":"${test:a\r\nb}"}})", "header 'X-A' has a value with a line break or another control character"},
        {"webhook", R"({"url":"http://h/","signing":{}})", "'signing' has no 'secret'"},
        {"webhook", R"({"url":"http://h/","signing":{"secret":"whsec_AAAA"}})", "'secret' must hold 24 to 64 bytes in base64, found 3"},
        {"webhook", R"({"url":"http://h/","signing":{"scheme":"stripe","secret":")" + key + R"("}})", "'scheme' must be one of standard-webhooks, found 'stripe'"},
        {"webhook", R"({"url":"http://h/","retry_on":["2xx"]})", "'retry_on': '2xx' is neither a status (300 to 599), a class (3xx, 4xx, 5xx) nor one of resolve, address, connect, tls, timeout, lost, protocol"},
        {"webhook", R"({"url":"http://169.254.169.254/latest"})", "'url': 169.254.169.254 is a cloud metadata service (169.254.169.254/32); 'allow_link_local: true' allows it"},
        {"webhook", R"({"url":"http://[::ffff:169.254.1.1]/"})", "'url': ::ffff:169.254.1.1 stands for 169.254.1.1, which is link-local (169.254.0.0/16); 'allow_link_local: true' allows it"},
        {"webhook", R"({"url":"http://169.254.169.254/latest","allow_link_local":true})", nullptr},
        {"webhook", R"({"url":"http://10.0.0.1/"})", nullptr},
        {"webhook", R"({"url":"http://h/","dns_servers":["dns.example"]})", "'dns_servers' must hold addresses such as 10.0.0.2 or 10.0.0.2:53, found 'dns.example'"},
        {"webhook", R"({"url":"http://h/","tls":{"verify":false}})", "'tls' has no meaning for an http:// URL"},
        {"webhook", R"({"url":"https://h/","tls":{"verify":false}})", nullptr},
        {"file", R"({"path":"/var/log/a.jsonl"})", nullptr},
        {"file", R"({"path":"logs/a.jsonl","fsync":"never","envelope":true,"rotate":{"max_size":"1MiB","every":"24h","keep":3,"compress":"zstd"}})", nullptr},
        {"file", R"({})", "'path' is missing"},
        {"file", R"({"path":"../a"})", "'path' must not contain '..'"},
        {"file", R"({"path":"/var/log/../../etc/passwd"})", "'path' must not contain '..'"},
        {"file", R"({"path":"/var/log/a..b/..c"})", nullptr},
        {"file", R"({"path":"/var/log/"})", "'path' names a directory"},
        {"file", R"({"path":"."})", "'path' names a directory"},
        {"file", R"({"path":"a","fsync":"always"})", "'fsync' must be one of batch, never, found 'always'"},
        {"file", R"({"path":"a","rotate":{"keep":3}})", "'rotate' needs 'max_size' or 'every'"},
        {"file", R"({"path":"a","rotate":{"max_size":"1 B"}})", "'max_size' must be at least 1 KiB, found 1 B"},
        {"redis_stream", R"({"address":"127.0.0.1:6379","stream":"s"})", nullptr},
        {"redis_stream", R"({"address":"unix:/run/redis.sock","stream":"s","max_length":1000,"username":"u","password":"p","database":3,"timeout":"1s"})", nullptr},
        {"redis_stream", R"({"address":"[::1]:6380","stream":"s"})", nullptr},
        {"redis_stream", R"({"address":"redis.example","stream":"s"})", nullptr},
        {"redis_stream", R"({"address":"h:0","stream":"s"})", "'address' has a port that is not between 1 and 65535"},
        {"redis_stream", R"({"address":"rediss://h","stream":"s"})", "'address' asks for TLS, which this client does not have; put a TLS proxy in between"},
        {"redis_stream", R"({"address":"u:p@h:1","stream":"s"})", "'address' must be host:port, host or unix:/path, without a user name or password"},
        {"redis_stream", R"({"address":"h:1","stream":"s","tls":true})", "the Redis client has no TLS; put a TLS proxy in between and remove 'tls'"},
        {"redis_stream", R"({"address":"h:1","stream":"s","username":"u"})", "'username' needs a 'password'"},
        {"redis_stream", R"({"address":"h:1"})", "'stream' is missing"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.kind << " " << c.settings)
    {
        const ReadTarget read = read_target(c.kind, c.settings);
        if (c.mistake == nullptr) {
            CHECK(read.mistakes == std::vector<std::string>{});
            CHECK(read.blueprint != nullptr);
        } else {
            CHECK(read.mistakes == std::vector<std::string>{c.mistake});
            CHECK(read.blueprint == nullptr);
        }
    }
}

TEST_CASE("all mistakes of a target are found at once")
{
    const ReadTarget read = read_target("webhook", R"({"method":"GET","timeout":"x","colour":1})");
    CHECK(read.mistakes.size() == 4);
}

TEST_CASE("a missing authority file is named")
{
    const ReadTarget read =
        read_target("webhook", R"({"url":"https://h/","tls":{"ca_file":"/nowhere/ca.pem"}})");
    REQUIRE(read.mistakes.size() == 1);
    CHECK(read.mistakes[0].find("/nowhere/ca.pem") != std::string::npos);
}

TEST_CASE("every setting changes the fingerprint, secrets too, and no secret can be seen")
{
    struct Case {
        const char* kind;
        const char* base;
        std::vector<const char*> others;
    };
    const Case cases[] = {
        {"webhook", R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"}})",
         {R"({"url":"https://h/a?k=topsecrex","headers":{"A":"topsecret"}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecrex"}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"B":"topsecret"}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"method":"PUT"})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"timeout":"9s"})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"retry_on":["404"]})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"tls":{"verify":false}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"dns_servers":["127.0.0.1"]})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"idle_connections":3})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"allow_link_local":true})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"basic":{"user":"u","password":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"basic":{"user":"u","password":"topsecrex"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"basic":{"user":"v","password":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"bearer":"topsecret"}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"bearer":"topsecrex"}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"api_key":{"header":"X-A","key":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"api_key":{"header":"X-B","key":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"api_key":{"header":"X-A","key":"topsecrex"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"c","client_secret":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"https://t/","client_id":"c","client_secret":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/x","client_id":"c","client_secret":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"d","client_secret":"topsecret"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"c","client_secret":"topsecrex"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"c","client_secret":"topsecret","scope":"s"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"c","client_secret":"topsecret","audience":"s"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"auth":{"oauth2":{"token_url":"http://t/","client_id":"c","client_secret":"topsecret","client_auth":"body"}}})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"idle_timeout":"3s"})",
          R"({"url":"https://h/a?k=topsecret","headers":{"A":"topsecret"},"signing":{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})"}},
        {"file", R"({"path":"a"})",
         {R"({"path":"b"})", R"({"path":"a","fsync":"never"})", R"({"path":"a","envelope":true})",
          R"({"path":"a","timeout":"9s"})", R"({"path":"a","rotate":{"every":"1h"}})",
          R"({"path":"a","rotate":{"max_size":"1MiB"}})", R"({"path":"a","rotate":{"max_size":"1MiB","keep":1}})",
          R"({"path":"a","rotate":{"max_size":"1MiB","compress":"zstd"}})"}},
        {"redis_stream", R"({"address":"h:1","stream":"s","password":"topsecret"})",
         {R"({"address":"h:2","stream":"s","password":"topsecret"})",
          R"({"address":"h:1","stream":"t","password":"topsecret"})",
          R"({"address":"h:1","stream":"s","password":"topsecrex"})",
          R"({"address":"h:1","stream":"s","password":"topsecret","username":"u"})",
          R"({"address":"h:1","stream":"s","password":"topsecret","database":1})",
          R"({"address":"h:1","stream":"s","password":"topsecret","timeout":"9s"})",
          R"({"address":"h:1","stream":"s","password":"topsecret","max_length":5})"}},
    };
    for (const Case& c : cases) {
        const ReadTarget base = read_target(c.kind, c.base);
        REQUIRE(base.blueprint);
        CHECK(base.blueprint->fingerprint() == read_target(c.kind, c.base).blueprint->fingerprint());
        std::set<std::string> seen{base.blueprint->fingerprint()};
        for (const char* other : c.others) {
            INFO(other);
            const ReadTarget read = read_target(c.kind, other);
            REQUIRE(read.blueprint);
            CHECK(seen.insert(read.blueprint->fingerprint()).second);
            CHECK(read.blueprint->address().find("topsecre") == std::string::npos);
            CHECK(read.blueprint->fingerprint().find("topsecre") == std::string::npos);
        }
    }
    const ReadTarget hidden = read_target("webhook", R"({"url":"https://h/${test:topsecret}/x"})");
    CHECK(hidden.blueprint->address() == "https://h/***");
}

TEST_CASE("docs/targets.md has the settings of every kind as the code has them")
{
    const std::string path = std::string(EVENTYARD_SOURCE_DIR) + "/docs/targets.md";
    std::string text = read_text(path);
    for (const Kind& kind : targets::kinds()) {
        const std::string begin = std::string("<!-- settings: ") + kind.name + " -->\n";
        const auto at = text.find(begin);
        INFO(kind.name << ": run with EVENTYARD_UPDATE=1 to write the table");
        REQUIRE(at != std::string::npos);
        const auto from = at + begin.size();
        const auto to = text.find("<!-- end -->", from);
        REQUIRE(to != std::string::npos);
        if (std::getenv("EVENTYARD_UPDATE") != nullptr)
            text.replace(from, to - from, settings_table(kind));
        else
            CHECK(text.substr(from, to - from) == settings_table(kind));
    }
    if (std::getenv("EVENTYARD_UPDATE") != nullptr) std::ofstream(path, std::ios::binary) << text;
}
