// tests/config/load.cpp — a configuration without mistakes becomes the table it describes.
#include "config/load.hpp"

#include <catch2/catch.hpp>

#include <chrono>

#include "config/rule_tests.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace std::chrono_literals;
using support::TempDir;

namespace {

std::shared_ptr<router::RouteTable> load_good(const std::string& path)
{
    Report report;
    auto table = config::load(path, report);
    INFO(report.text());
    CHECK(report.diagnostics().empty());
    REQUIRE(table != nullptr);
    return table;
}

std::vector<std::uint32_t> list(std::span<const std::uint32_t> numbers) { return {numbers.begin(), numbers.end()}; }

}  // namespace

TEST_CASE("the documented example loads whole")
{
    TempDir folder;
    folder.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    folder.write("eventyard.yaml", R"(
listen: {http: 127.0.0.1:8080, admin: 127.0.0.1:9080}
data_dir: /var/lib/eventyard
rules: [rules/*.yaml]
targets:
  orders-webhook:
    webhook:
      url: https://shop.example/hooks/orders
      headers: {X-Env: prod}
      timeout: 10s
      signing: {scheme: standard-webhooks, secret: "${file:secret}"}
    retry: {max_attempts: 185, max_age: 24h, backoff: {initial: 1s, factor: 2, max: 10m, jitter: full}}
    concurrency: 16
    dead_letter: {target: dead-orders}
  audit:
    file: {path: /var/log/eventyard/audit.jsonl, rotate: {max_size: 100MiB, keep: 10}}
  search-stream:
    redis_stream: {address: 127.0.0.1:6379, stream: products, max_length: 1000000}
  dead-orders:
    file: {path: /var/log/eventyard/dead-orders.jsonl}
)");
    folder.write("rules/orders.yaml", R"(
rules:
  - name: large-paid-orders
    description: Paid orders of 100 or more go to the warehouse.
    bus: default
    pattern:
      source: [shop.orders]
      detail-type: [OrderPaid]
      detail:
        amount: [{numeric: [">=", 100]}]
        email: [{regex: '.*@example\.com'}]
    targets:
      - orders-webhook
      - target: search-stream
    tests:
      - matches: {source: shop.orders, detail-type: OrderPaid, detail: {amount: 150, email: a@example.com}}
      - rejects: {source: shop.orders, detail-type: OrderPaid, detail: {amount: 99, email: a@example.com}}
)");
    const auto table = load_good(folder.file("eventyard.yaml"));

    CHECK(table->process.listen_http == "127.0.0.1:8080");
    CHECK(table->process.listen_admin == "127.0.0.1:9080");
    CHECK(table->process.data_dir == "/var/lib/eventyard");
    REQUIRE(table->targets.size() == 4);
    const router::TargetSpec& hook = table->targets.at("orders-webhook");
    CHECK(hook.kind == "webhook");
    REQUIRE(hook.blueprint != nullptr);
    CHECK(hook.blueprint->address().find("shop.example") != std::string::npos);
    CHECK(hook.dead_letter_target == "dead-orders");
    CHECK(hook.retry == router::RetryPolicy{});  // the example spells out the defaults
    CHECK(table->targets.at("audit").kind == "file");
    CHECK(table->targets.at("search-stream").kind == "redis_stream");

    REQUIRE(table->rules.size() == 1);
    const router::Rule& rule = table->rules[0];
    CHECK(rule.name == "large-paid-orders");
    REQUIRE(rule.details);
    CHECK(rule.details->description == "Paid orders of 100 or more go to the warehouse.");
    CHECK(rule.enabled);
    CHECK(rule.place.line == 3);
    REQUIRE(rule.details->tests.size() == 2);
    CHECK(rule.details->tests[0].event ==
          R"({"source":"shop.orders","detail-type":"OrderPaid","detail":{"amount":150,"email":"a@example.com"}})");
    CHECK(rule.details->tests[1].expect_match == false);

    REQUIRE(table->version->routes.size() == 2);
    CHECK(table->version->number == 0);
    CHECK(table->version->routes[0].rule == "large-paid-orders");
    CHECK(table->version->routes[0].target == "orders-webhook");
    CHECK(table->version->routes[1].target == "search-stream");
    const router::Bus& bus = table->buses.at("default");
    CHECK(bus.rules.size() == 1);
    CHECK(list(bus.routes[0]) == std::vector<std::uint32_t>{0, 1});
    CHECK(table->version->buses.at(bus.number) == "default");

    Report report;
    const auto tests = config::run_rule_tests(table->rules, report);
    CHECK(tests.passed == 2);
    CHECK(tests.failures.empty());
    CHECK(report.diagnostics().empty());
}

TEST_CASE("what is not said has the documented default")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: data\n");
    const auto table = load_good(folder.file("eventyard.yaml"));
    CHECK(table->process.data_dir == folder.file("data"));
    CHECK(table->process.listen_http == "127.0.0.1:8080");
    CHECK(table->process.listen_admin == "127.0.0.1:9080");
    CHECK(table->process.threads == 0);
    CHECK(table->process.shutdown_grace == 10s);
    CHECK(table->limits == router::IngestLimits{});
    CHECK(table->buses.size() == 1);
    CHECK(table->buses.at("default").durability == router::Durability::fsync);
    CHECK(table->version->routes.empty());
}

TEST_CASE("paths are relative to the file that names them, whatever the working directory")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: ./data\ninclude: conf.d/t.yaml\n");
    folder.write("conf.d/t.yaml",
                 "targets: {near: {file: {path: out.jsonl}}, far: {file: {path: /var/far.jsonl}}}\n");
    const auto table = load_good(folder.file("eventyard.yaml"));
    CHECK(table->process.data_dir == folder.file("./data"));
    CHECK(table->targets.at("near").blueprint->address() == folder.file("conf.d/out.jsonl"));
    CHECK(table->targets.at("far").blueprint->address() == "/var/far.jsonl");
}

TEST_CASE("every setting is taken over")
{
    TempDir folder;
    folder.write("eventyard.yaml", R"(
data_dir: /d
threads: 3
shutdown_grace: 1m30s
limits: {body: 2MiB, headers: 4KiB, depth: 7, batch: 8, matches: 9, connections: 10, buffers: 13MiB, idle: 11s, request: 12s}
journal: {segment_size: 1MiB, min_free: 1GiB}
log: {format: json, level: debug}
buses:
  a: {durability: os, unmatched: store}
  b: {durability: memory, unmatched: refuse}
  c:
targets:
  t:
    file: {path: /tmp/t.jsonl}
    retry: {max_attempts: 2, max_age: 3s, retry_after_max: 9s,
            backoff: {initial: 10ms, factor: 1.5, max: 5s, jitter: none}}
    concurrency: 1
    renamed_from: old
    adopt_pending: true
)");
    const auto table = load_good(folder.file("eventyard.yaml"));
    CHECK(table->process.threads == 3);
    CHECK(table->process.shutdown_grace == 90s);
    CHECK(table->process.segment_size == 1U << 20);
    CHECK(table->process.min_free == 1U << 30);
    CHECK(table->process.log.format == "json");
    CHECK(table->process.log.level == "debug");
    CHECK(table->limits == router::IngestLimits{2U << 20, 4096, 7, 8, 9, 10, 13U << 20, 11s, 12s});
    CHECK(table->version->buses == std::vector<std::string>{"a", "b", "c", "default"});
    CHECK(table->buses.at("a").durability == router::Durability::os);
    CHECK(table->buses.at("a").unmatched == router::Unmatched::store);
    CHECK(table->buses.at("b").durability == router::Durability::memory);
    CHECK(table->buses.at("b").unmatched == router::Unmatched::refuse);
    CHECK(table->buses.at("default").number == 3);
    const router::TargetSpec& target = table->targets.at("t");
    CHECK(target.retry == router::RetryPolicy{2, 3s, 10ms, 1.5, 5s, false, 9s});
    CHECK(target.concurrency == 1);
    CHECK(target.renamed_from == "old");
    CHECK(target.adopt_pending);
}

TEST_CASE("routes follow the order of files and rules, and a rule that is off has none")
{
    TempDir folder;
    folder.write("eventyard.yaml", R"(
data_dir: /d
include: [more/*.yaml]
rules: [rules/b.yaml, rules/*.*]
buses: {orders: }
targets: {one: {file: {path: /tmp/1}}, two: {file: {path: /tmp/2}}}
)");
    folder.write("more/three.yaml", "targets: {three: {file: {path: /tmp/3}}}\nrules: ../rules/a.json\n");
    folder.write("rules/b.yaml",
                 "rules:\n"
                 "  - {name: b1, pattern: {k: [b1]}, targets: [two, one]}\n"
                 "  - {name: b2, pattern: {k: [b2]}, targets: [one], enabled: false}\n"
                 "  - {name: b3, pattern: '{\"k\": [\"b3\"]}', targets: three, bus: orders}\n");
    folder.write("rules/a.json", R"([{"name":"a1","pattern":{"k":["a1"]},"targets":["three"]}])");
    folder.write("rules/c.jsonl",
                 R"({"name":"c1","pattern":{"k":["c1"]},"targets":["one"]})"
                 "\n\n"
                 R"({"name":"c2","pattern":"{\"k\":[\"c2\"]}","targets":["two"],"bus":"orders"})"
                 "\n");
    const auto table = load_good(folder.file("eventyard.yaml"));
    std::vector<std::string> rules;
    for (const router::Rule& rule : table->rules) rules.push_back(rule.name);
    CHECK(rules == std::vector<std::string>{"b1", "b2", "b3", "a1", "c1", "c2"});
    std::vector<std::string> routes;
    for (std::size_t i = 0; i < table->version->routes.size(); ++i)
        routes.push_back(table->version->routes.at(i).rule + ">" + table->version->routes.at(i).target);
    CHECK(routes == std::vector<std::string>{"b1>two", "b1>one", "b3>three", "a1>three", "c1>one",
                                             "c2>two"});
    const router::Bus& bus = table->buses.at("default");
    REQUIRE(bus.rules.size() == 3);
    CHECK(list(bus.routes[0]) == std::vector<std::uint32_t>{0, 1});
    CHECK(list(bus.routes[1]) == std::vector<std::uint32_t>{3});
    CHECK(list(bus.routes[2]) == std::vector<std::uint32_t>{4});
    const router::Bus& orders = table->buses.at("orders");
    REQUIRE(orders.rules.size() == 2);
    CHECK(list(orders.routes[0]) == std::vector<std::uint32_t>{2});
    CHECK(list(orders.routes[1]) == std::vector<std::uint32_t>{5});

    json::Document event;
    json::SyntaxError error;
    std::vector<std::uint32_t> matched;
    for (const char* text : {R"({"k":["b1","b2","c1"]})"}) {
        REQUIRE(event.parse(text, {}, error));
        bus.rules.match(event, matched);
    }
    CHECK(matched == std::vector<std::uint32_t>{0, 2});
}

TEST_CASE("a rule may be in a file read alone, without targets or buses")
{
    TempDir folder;
    folder.write("rules.yaml",
                 "rules:\n  - {name: x, bus: any, pattern: {k: [1]}, targets: [nowhere]}\n"
                 "  - {name: broken, pattern: {k: 1}, targets: [nowhere]}\n");
    Report report;
    const auto rules = config::load_rules({folder.file("rules.yaml")}, report);
    REQUIRE(rules.size() == 1);
    CHECK(rules[0].name == "x");
    CHECK(report.errors() == 1);
}

TEST_CASE("a rule test that fails says which field decided")
{
    TempDir folder;
    folder.write("rules.yaml", R"(rules:
  - name: big
    pattern: {detail: {amount: [{numeric: [">=", 100]}], kind: [order]}}
    targets: [t]
    tests:
      - matches: {detail: {amount: 99, kind: order}}
      - rejects: {detail: {amount: 100, kind: order}}
      - rejects: {detail: {amount: 99, kind: order}}
      - matches: |
          {"detail": {"amount": 1e2, "kind": ["refund", "order"]}}
  - name: untested
    pattern: {a: [1]}
    targets: [t]
)");
    Report report;
    const auto rules = config::load_rules({folder.file("rules.yaml")}, report);
    REQUIRE_FALSE(report.has_errors());
    const auto summary = config::run_rule_tests(rules, report);
    CHECK(summary.passed == 2);
    CHECK(summary.rules_without_tests == 1);
    REQUIRE(summary.failures.size() == 2);
    CHECK(summary.failures[0].rule == "big");
    CHECK(summary.failures[0].place.line == 6);
    CHECK(summary.failures[0].why.find("detail.amount") != std::string::npos);
    CHECK(summary.failures[0].why.find("99") != std::string::npos);
    CHECK(summary.failures[0].why.find("detail.kind") == std::string::npos);
    CHECK(summary.failures[1].expect_match == false);
    CHECK(report.errors() == 2);
}

TEST_CASE("ten thousand rules load in a moment")
{
    TempDir folder;
    std::string yaml = "rules:\n";
    std::string lines;
    for (int i = 0; i < 10'000; ++i) {
        const std::string n = std::to_string(i);
        yaml += "  - name: rule-" + n + "\n    pattern:\n      source: [shop.orders]\n      detail:\n"
                "        customer: [c" + n + ", {prefix: 'x" + n + "'}]\n        amount: [{numeric: "
                "[\">=\", " + n + "]}]\n    targets: [t]\n";
        lines += R"({"name":"line-)" + n + R"(","pattern":{"source":["shop.orders"],"detail":{"customer":["c)" + n +
                 R"("]}},"targets":["t"]})" + "\n";
    }
    folder.write("rules.yaml", yaml);
    folder.write("rules.jsonl", lines);
    folder.write("eventyard.yaml",
                 "data_dir: /d\nrules: [rules.yaml, rules.jsonl]\ntargets: {t: {file: {path: /tmp/t}}}\n");
    const auto begin = std::chrono::steady_clock::now();
    const auto table = load_good(folder.file("eventyard.yaml"));
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(table->rules.size() == 20'000);
    CHECK(table->version->routes.size() == 20'000);
    CHECK(took < 60s);  // sanitizers included; a release build takes about a second
}

TEST_CASE("a file included as untrusted holds guarded targets and nothing else")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: /d\n"
                                   "include: [own.yaml, {file: tenants/*.yaml, untrusted: true}]\n");
    folder.write("own.yaml", "targets: {own: {webhook: {url: http://10.0.0.1/}}}\n");
    folder.write("tenants/a.yaml", "targets: {a: {webhook: {url: https://a.example/, headers: {X-Plain: '$${x}'}}}}\n");
    folder.write("tenants/b.yaml", "targets: {b: {webhook: {url: https://b.example/}}}\n");
    const auto table = load_good(folder.file("eventyard.yaml"));
    CHECK(table->targets.size() == 3);

    folder.write("eventyard.yaml", "data_dir: /d\n"
                                   "include: [{file: tenants/*.yaml, untrusted: true, allow_http: true}]\n");
    folder.write("tenants/b.yaml", "targets: {b: {webhook: {url: http://b.example/}}}\n");
    CHECK(load_good(folder.file("eventyard.yaml"))->targets.size() == 2);
}

TEST_CASE("an input is stored as the rule says it, on the route of its target")
{
    support::TempDir folder;
    folder.write("eventyard.yaml", "data_dir: /d\nrules: rules.yaml\ntargets: {one: {file: {path: /tmp/1}}, two: {file: {path: /tmp/2}}}\n");
    folder.write("rules.yaml", R"(rules:
  - name: a
    pattern: {k: [1]}
    targets: [one, {target: two, input: {constant: {n: 1.50, "n": [true, null]}}}]
)");
    Report twice;  // of a constant too: YAML takes no key twice
    CHECK(config::load(folder.file("eventyard.yaml"), twice) == nullptr);
    folder.write("rules.yaml", R"(rules:
  - name: a
    pattern: {k: [1]}
    targets: [one, {target: two, input: {constant: {n: 1.50, "m": [true, null]}}}]
  - name: b
    pattern: {k: [1]}
    targets:
      - {target: one, input: {path: "$.detail['a b'][0]"}}
      - target: two
        delay: 5s
        input:
          paths: {id: $.detail.id, all: "$.items[*].id"}
          template: |
            {"order": <id>, "all": <all>, "text": "a < b"}
)");
    const auto table = load_good(folder.file("eventyard.yaml"));
    const router::RouteList& routes = table->version->routes;
    REQUIRE(routes.size() == 4);
    CHECK(routes.at(0).input.empty());
    CHECK(routes.at(1).input.text() == R"({"constant":{"n":1.50,"m":[true,null]}})");
    CHECK(routes.at(2).input.text() == R"({"path":"$.detail['a b'][0]"})");
    CHECK(routes.at(3).input.text() ==
          R"({"paths":{"id":"$.detail.id","all":"$.items[*].id"},"template":"{\"order\": <id>, \"all\": <all>, \"text\": \"a < b\"}\n"})");
    CHECK(routes.at(3).delay == std::chrono::seconds{5});
}
