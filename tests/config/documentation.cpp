// tests/config/documentation.cpp — docs/configuration.md names every key the loader knows.
#include <catch2/catch.hpp>

#include <set>
#include <sstream>

#include "config/load.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;

TEST_CASE("every key the loader knows stands in docs/configuration.md")
{
    // The loader itself is asked: an unknown key's report lists the known ones.
    support::TempDir folder;
    folder.write("rules.yaml", R"(qqqqqqqqqqqq: 1
rules:
  - name: x
    qqqqqqqqqqqq: 1
    pattern: {a: [1]}
    targets: [{target: t, input: {path: $, qqqqqqqqqqqq: 1}, qqqqqqqqqqqq: 1}]
    tests: [{matches: {a: 1}, qqqqqqqqqqqq: 1}]
)");
    folder.write("eventyard.yaml", R"(
data_dir: /d
rules: rules.yaml
qqqqqqqqqqqq: 1
include: [{file: other.yaml, qqqqqqqqqqqq: 1}]
listen: {qqqqqqqqqqqq: 1}
limits: {qqqqqqqqqqqq: 1}
journal: {qqqqqqqqqqqq: 1}
log: {qqqqqqqqqqqq: 1}
buses: {b: {qqqqqqqqqqqq: 1, archive: {retention: 1d, qqqqqqqqqqqq: 1}, dedup: {qqqqqqqqqqqq: 1}}}
targets:
  t:
    file: {path: /tmp/t}
    qqqqqqqqqqqq: 1
    retry: {qqqqqqqqqqqq: 1, backoff: {qqqqqqqqqqqq: 1}}
    dead_letter: {target: u, qqqqqqqqqqqq: 1}
    rate_limit: {per_second: 1, qqqqqqqqqqqq: 1}
    circuit_breaker: {qqqqqqqqqqqq: 1}
    batch: {qqqqqqqqqqqq: 1}
    budget: {bytes: 1MiB, qqqqqqqqqqqq: 1}
    order: {by: key, key: a, qqqqqqqqqqqq: 1}
  u: {file: {path: /tmp/u}}
)");
    folder.write("other.yaml", "buses: {}\n");
    Report report;
    CHECK(config::load(folder.file("eventyard.yaml"), report) == nullptr);
    std::set<std::string> keys;
    std::size_t sections = 0;
    for (const Diagnostic& d : report.diagnostics()) {
        INFO(d.message);
        REQUIRE(d.message.rfind("unknown key 'qqqqqqqqqqqq'; ", 0) == 0);
        const std::size_t list = d.message.rfind(" has ");
        REQUIRE(list != std::string::npos);
        ++sections;
        std::istringstream words(d.message.substr(list + 5));
        for (std::string key; words >> key;) {
            if (key.back() == ',') key.pop_back();
            keys.insert(key);
        }
    }
    CHECK(sections == 23);
    CHECK(keys.size() > 40);
    const std::string page = support::read_text(std::string(EVENTYARD_SOURCE_DIR) + "/docs/configuration.md");
    for (const std::string& key : keys) {
        INFO(key);
        const bool named = page.find("`" + key + "`") != std::string::npos ||
                           page.find("`backoff." + key + "`") != std::string::npos;
        CHECK(named);
    }
}

TEST_CASE("the example in docs/configuration.md is checked and its rule tests are run")
{
    const std::string page = support::read_text(std::string(EVENTYARD_SOURCE_DIR) + "/docs/configuration.md");
    support::TempDir folder;
    folder.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    const std::string fence = "```";
    std::size_t blocks = 0;
    for (std::size_t at = 0; (at = page.find(fence + "yaml\n# ", at)) != std::string::npos; ++blocks) {
        at += fence.size() + 7;
        const std::size_t name_end = page.find('\n', at);
        const std::size_t end = page.find(fence, name_end);
        std::string text = page.substr(name_end, end - name_end);
        const std::string path = "/run/secrets/orders";
        if (const std::size_t secret = text.find(path); secret != std::string::npos)
            text.replace(secret, path.size(), folder.file("secret"));
        folder.write(page.substr(at, name_end - at), text);
        at = end;
    }
    CHECK(blocks == 2);
    Report report;
    const auto table = config::load(folder.file("eventyard.yaml"), report);
    INFO(report.text());
    REQUIRE(table != nullptr);
    CHECK(report.diagnostics().empty());
    CHECK(table->rules.size() == 1);
    CHECK(table->rules[0].details->tests.size() == 2);
}
