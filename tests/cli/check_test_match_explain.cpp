// tests/cli/check_test_match_explain.cpp — the commands that need no daemon, run as a person would.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard::support;
using nlohmann::json;

namespace {

Finished command(std::vector<std::string> arguments, const std::string& directory = {},
                   const std::string& input = {})
{
    arguments.insert(arguments.begin(), EVENTYARD_BINARY);
    ProcessOptions options;
    options.directory = directory;
    options.input = input;
    return run(std::move(arguments), std::move(options));
}

bool holds(const std::string& text, const std::string& part)
{
    INFO(text);
    return text.find(part) != std::string::npos;
}

/// A shop: two rules that match paid orders by amount, one by region, one switched off.
void write_shop(const TempDir& folder)
{
    folder.write("eventyard.yaml", R"(data_dir: data
rules: [rules/*.yaml]
buses: {audit: {durability: os, unmatched: store}}
targets:
  warehouse: {file: {path: warehouse.jsonl}, dead_letter: {target: dead}}
  finance: {file: {path: finance.jsonl}}
  dead: {file: {path: dead.jsonl}}
)");
    folder.write("rules/orders.yaml", R"(rules:
  - name: large-orders
    pattern: {source: [shop], detail: {amount: [{numeric: [">=", 100]}]}}
    targets: [warehouse, finance]
    tests:
      - matches: {source: shop, detail: {amount: 100}}
      - rejects: {source: shop, detail: {amount: 99.9}}
  - name: eu-orders
    pattern: {source: [shop], detail: {region: [{prefix: eu-}], amount: [{numeric: [">", 0]}]}}
    targets: [finance]
  - name: other-source
    pattern: {source: [billing]}
    targets: [finance]
    bus: audit
  - name: sleeping
    enabled: false
    pattern: {source: [shop]}
    targets: [finance]
)");
}

}  // namespace

TEST_CASE("check says what a good configuration holds")
{
    TempDir folder;
    write_shop(folder);
    const Finished text = command({"check", "--config", "eventyard.yaml"}, folder.path());
    CHECK(text.exit.code == 0);
    CHECK(text.err.empty());
    CHECK(text.out.rfind("ok: 4 rules, 3 targets, 2 buses, 2 tests passed\n", 0) == 0);
    CHECK(holds(text.out, "  BUS      RULES  OFF  DURABILITY  UNMATCHED\n"
                          "  audit        1    0  os          store\n"
                          "  default      2    1  fsync       drop\n"));
    CHECK(holds(text.out, "warehouse  file      1"));
    const Finished as_json = command({"check", "--config", "eventyard.yaml", "--json"}, folder.path());
    CHECK(as_json.exit.code == 0);
    const json parsed = json::parse(as_json.out);
    CHECK(parsed["ok"] == true);
    CHECK(parsed["rules"] == 4);
    CHECK(parsed["targets"] == 3);
    CHECK(parsed["buses"] == 2);
    CHECK(parsed["diagnostics"].empty());
    const json& sets = parsed["rule_sets"];
    REQUIRE(sets.size() == 2);
    CHECK(sets[0]["bus"] == "audit");
    CHECK(sets[0]["rules"] == 1);
    CHECK(sets[1]["bus"] == "default");
    CHECK(sets[1]["rules"] == 2);  // the one that is switched off is not compiled
    CHECK(sets[1]["predicates"] == 4);
    CHECK(sets[1]["keys"] >= 1);
    CHECK(sets[1]["bytes"] > 0);
    CHECK(sets[1]["compile_seconds"] >= 0);
}

TEST_CASE("check refuses rules whose own tests fail, as a start does")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: data\nrules: [rules.yaml]\ntargets: {out: {file: {path: out.jsonl}}}\n");
    folder.write("rules.yaml", R"(rules:
  - name: paid
    pattern: {state: [paid]}
    targets: [out]
    tests:
      - matches: {state: paid}
      - matches: {state: open}
)");
    const Finished text = command({"check", "--config", "eventyard.yaml"}, folder.path());
    CHECK(text.exit.code == 1);
    CHECK(text.out.empty());
    CHECK(holds(text.err, "rules.yaml:7:"));
    CHECK(holds(text.err, "\nfailed: 1 of 2 tests of the rules; neither a start nor a reload takes this configuration\n"));
    const Finished as_json = command({"check", "--config", "eventyard.yaml", "--json"}, folder.path());
    CHECK(as_json.exit.code == 1);
    const json parsed = json::parse(as_json.out);
    CHECK(parsed["ok"] == false);
    CHECK(parsed["errors"] == 1);
    CHECK(parsed["tests"] == json{{"passed", 1}, {"failed", 1}});
    CHECK(command({"serve", "--config", "eventyard.yaml"}, folder.path()).exit.code == 2);
}

TEST_CASE("check reports five mistakes at once and exits 2")
{
    TempDir folder;
    folder.write("eventyard.yaml", R"(data_dri: data
rules: [rules.yaml]
targets:
  audit: {fil: {path: a.jsonl}}
)");
    folder.write("rules.yaml", R"(rules:
  - name: x
    pattern: {source: [{prefx: a}]}
    targets: [audti, audit, audit]
)");
    const Finished text = command({"check", "--config", "eventyard.yaml"}, folder.path());
    CHECK(text.exit.code == 2);
    CHECK(text.out.empty());
    CHECK(holds(text.err, "eventyard.yaml:1:1: error: unknown key 'data_dri'; did you mean 'data_dir'?\n"
                          "    data_dri: ****\n    ^\n"));
    CHECK(holds(text.err, "eventyard.yaml:4:11: error: unknown key 'fil'; did you mean 'file'?"));
    CHECK(holds(text.err, "rules.yaml:3:25: error: "));
    CHECK(holds(text.err, "prefx"));
    CHECK(holds(text.err, "rules.yaml:4:15: error: unknown target 'audti'"));
    CHECK(holds(text.err, "rules.yaml:4:29: error: target 'audit' is listed twice in this rule"));
    CHECK(holds(text.err, " errors in 2 files\n"));
    const Finished as_json = command({"check", "--config", "eventyard.yaml", "--json"}, folder.path());
    CHECK(as_json.exit.code == 2);
    const json parsed = json::parse(as_json.out);
    CHECK(parsed["ok"] == false);
    CHECK(parsed["errors"] == parsed["diagnostics"].size());
    CHECK(parsed["errors"] >= 5);
    CHECK(command({"check", "--config", "absent.yaml"}, folder.path()).exit.code == 2);
    CHECK(command({"check"}, folder.path()).exit.code == 2);
}

TEST_CASE("check never shows a secret")
{
    TempDir folder;
    folder.write("secret", "hunter2-hunter2");
    folder.write("eventyard.yaml",
                 "data_dir: data\ntargets:\n  a:\n    webhook: {url: \"${file:secret}\", timeout: \"${file:secret}\"}\n");
    for (const bool as_json : {false, true}) {
        std::vector<std::string> arguments{"check", "--config", "eventyard.yaml"};
        if (as_json) arguments.push_back("--json");
        const Finished done = command(arguments, folder.path());
        CHECK(done.exit.code == 2);
        CHECK((done.out + done.err).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("check --portable names the rules that AWS refuses or answers differently")
{
    TempDir folder;
    folder.write("eventyard.yaml",
                 "data_dir: data\nrules: [rules/*.yaml]\ntargets: {dead: {file: {path: dead.jsonl}}}\n");
    folder.write("rules/a.yaml",
                 "rules:\n  - {name: large-orders, pattern: {source: [shop, {prefix: eu-}]}, targets: [dead]}\n");
    const Finished good = command({"check", "-c", "eventyard.yaml", "--portable"}, folder.path());
    CHECK(good.exit.code == 0);
    CHECK(holds(good.out, "portable: AWS EventBridge takes every rule"));
    CHECK_FALSE(holds(good.out, "row 3"));
    // What depends on the events alone is said once, and is no fault of any rule.
    folder.write("rules/numbers.yaml", R"(rules:
  - {name: above, pattern: {amount: [{numeric: [">", 100]}]}, targets: [dead]}
  - {name: below, pattern: {amount: [{numeric: ["<=", 0.5]}, {numeric: ["=", 7]}]}, targets: [dead]}
)");
    const Finished numbers = command({"check", "-c", "eventyard.yaml", "--portable"}, folder.path());
    CHECK(numbers.exit.code == 0);
    CHECK(holds(numbers.out, "2 rules compare numbers"));
    CHECK(numbers.out.find("row 3") == numbers.out.rfind("row 3"));
    CHECK_FALSE(holds(numbers.out, "may differ"));
    folder.write("rules/ours.yaml", R"(rules:
  - {name: by-regex, pattern: {source: [{regex: "a+"}]}, targets: [dead]}
  - {name: all-of-two, pattern: {source: [{all-of: [a, b]}]}, targets: [dead]}
)");
    const Finished bad = command({"check", "-c", "eventyard.yaml", "--portable"}, folder.path());
    CHECK(bad.exit.code == 1);
    CHECK(holds(bad.out, "by-regex"));
    CHECK(holds(bad.out, "all-of-two"));
    CHECK(holds(bad.out, "rules/ours.yaml:2:"));
    CHECK_FALSE(bad.out.find("large-orders ") != std::string::npos);
    const Finished as_json =
        command({"check", "-c", "eventyard.yaml", "--portable", "--json"}, folder.path());
    CHECK(as_json.exit.code == 1);
    CHECK(json::parse(as_json.out)["compare_numbers"] == 2);
    const json notes = json::parse(as_json.out)["portability"];
    REQUIRE(notes.size() == 2);
    CHECK(notes[0]["rule"] == "by-regex");
    CHECK(notes[0]["refused"] == true);
    CHECK(notes[0]["line"] == 2);
    CHECK_FALSE(notes[0]["row"].get<std::string>().empty());
}

TEST_CASE("test runs the rules' tests, of a configuration or of files alone")
{
    TempDir folder;
    write_shop(folder);
    const Finished good = command({"test", "--config", "eventyard.yaml"}, folder.path());
    CHECK(good.exit.code == 0);
    CHECK(good.out == "ok: 2 tests passed, 4 rules (3 without tests)\n");

    folder.write("alone.yaml", R"(rules:
  - name: wrong
    pattern: {detail: {amount: [{numeric: [">=", 100]}]}}
    targets: [nowhere]
    tests:
      - matches: {detail: {amount: 99}}
      - matches: {detail: {amount: 100}}
)");
    const Finished bad = command({"test", "alone.yaml", "rules/orders.yaml"}, folder.path());
    CHECK(bad.exit.code == 1);
    CHECK(bad.out == "failed: 1 of 4 tests, 5 rules (3 without tests)\n");
    CHECK(holds(bad.err, "alone.yaml:6:9: error: rule 'wrong' should match this event and does not: "
                         "detail.amount: "));
    const Finished as_json = command({"test", "alone.yaml", "--json"}, folder.path());
    CHECK(as_json.exit.code == 1);
    const json parsed = json::parse(as_json.out);
    CHECK(parsed["passed"] == 1);
    CHECK(parsed["failed"] == 1);
    CHECK(parsed["failures"][0]["rule"] == "wrong");
    CHECK(parsed["failures"][0]["expected"] == "match");
    CHECK(parsed["failures"][0]["line"] == 6);

    folder.write("broken.yaml", "rules:\n  - name: x\n");
    CHECK(command({"test", "broken.yaml"}, folder.path()).exit.code == 2);
    CHECK(command({"test"}, folder.path()).exit.code == 2);
    CHECK(command({"test", "--config", "eventyard.yaml", "alone.yaml"}, folder.path()).exit.code == 2);
}

TEST_CASE("match answers by its exit status and says why")
{
    const std::string pattern = R"({"detail":{"amount":[{"numeric":[">=",100]}]}})";
    const Finished yes = command({"match", "--pattern", pattern, R"({"detail":{"amount":1e2}})"});
    CHECK(yes.exit.code == 0);
    CHECK(yes.out.rfind("match\n", 0) == 0);
    CHECK(holds(yes.out, "detail.amount"));
    const Finished no = command({"match", "--pattern", pattern, R"({"detail":{"amount":99}})"});
    CHECK(no.exit.code == 1);
    CHECK(no.out.rfind("no match\n", 0) == 0);
    CHECK(holds(no.out, "99"));
    const Finished refused = command({"match", "--pattern", R"({"a":[{"prefx":"b"}]})", "{}"});
    CHECK(refused.exit.code == 2);
    CHECK(holds(refused.err, "pattern:1:"));
    const Finished bad_event = command({"match", "--pattern", pattern, R"({"a":})"});
    CHECK(bad_event.exit.code == 2);
    CHECK(holds(bad_event.err, "event:1:6: error: "));
    CHECK(command({"match", "--pattern", pattern}).exit.code == 2);
    CHECK(command({"match", "{}"}).exit.code == 2);
    CHECK(command({"match", "--pattern", pattern, "absent.json"}).exit.code == 2);
}

TEST_CASE("match takes patterns and events from files and standard input")
{
    TempDir folder;
    folder.write("pattern.yaml", "source: [shop]\ndetail:\n  code: [012, '7']\n");
    folder.write("pattern.json", "{\"source\":\n [\"shop\"]}");
    folder.write("event.json", R"({"source":"shop","detail":{"code":"012"}})");
    CHECK(command({"match", "--pattern-file", "pattern.yaml", "event.json"}, folder.path()).exit.code == 0);
    CHECK(command({"match", "--pattern-file", "pattern.json", "event.json"}, folder.path()).exit.code == 0);
    CHECK(command({"match", "--pattern-file", "pattern.yaml", "-"}, folder.path(),
                    R"({"source":"shop","detail":{"code":12}})")
              .exit.code == 1);
    folder.write("broken.yaml", "source: [shop\n");
    const Finished broken =
        command({"match", "--pattern-file", "broken.yaml", "event.json"}, folder.path());
    CHECK(broken.exit.code == 2);
    CHECK(holds(broken.err, "broken.yaml:1:9: error: this '[' has no matching ']'"));
}

TEST_CASE("match --json tells scripts the same")
{
    const Finished yes = command({"match", "--pattern", R"({"a":[1,2]})", R"({"a":[7,2.0]})", "--json"});
    CHECK(yes.exit.code == 0);
    const json good = json::parse(yes.out);
    CHECK(good["valid"] == true);
    CHECK(good["match"] == true);
    REQUIRE(good["fields"].size() == 1);
    CHECK(good["fields"][0]["path"] == "a");
    CHECK(good["fields"][0]["held"] == true);
    const Finished no = command({"match", "--pattern", R"({"a":[1]})", R"({"a":3})", "--json"});
    CHECK(no.exit.code == 1);
    const json bad = json::parse(no.out);
    CHECK(bad["match"] == false);
    CHECK(bad["fields"][0]["seen"] == json::array({"3"}));
    CHECK(bad["fields"][0]["reason"].is_string());
    const Finished refused = command({"match", "--pattern", R"({"a":1})", R"({"a":3})", "--json"});
    CHECK(refused.exit.code == 2);
    const json why = json::parse(refused.out);
    CHECK(why["valid"] == false);
    CHECK(why["diagnostics"][0]["line"] == 1);
    CHECK(why["diagnostics"][0]["column"] == 6);
}

TEST_CASE("match --cases answers line by line, in order, and keeps number and key spellings")
{
    const std::string cases =
        R"({"pattern":{"a":[1]},"event":{"a":1.0}})" "\n"
        R"({"pattern":"{\"a\":[1]}","event":"{\"a\":2,\"a\":1}"})" "\n"
        "\n"
        R"({"pattern":{"a":[9007199254740993]},"event":{"a":9007199254740992}})" "\n"
        R"({"pattern":{"a":[]},"event":{"a":1}})" "\n"
        R"({"pattern":"{\"a\":[1]} x","event":{"a":1}})" "\n"
        R"({"pattern":{"a":[1]},"event":"{\"a\":}"})" "\n"
        R"({"pattern":{"a":[1]},"event":[1]})" "\n"
        R"({"pattern":{"$or":[{"a":[1]},{"b":[1]}],"$or":[{"c":[1]},{"d":[1]}]},"event":{"b":1,"d":1}})" "\n";
    const Finished done = command({"match", "--cases", "-"}, {}, cases);
    CHECK(done.exit.code == 0);
    const auto lines = lines_of(done.out);
    REQUIRE(lines.size() == 8);
    CHECK(lines[0] == R"({"valid":true,"match":true})");
    CHECK(lines[1] == R"({"valid":true,"match":true})");
    CHECK(lines[2] == R"({"valid":true,"match":false})");
    for (const std::size_t i : {3U, 4U, 5U, 6U}) {
        const json line = json::parse(lines[i]);
        CHECK(line["valid"] == false);
        CHECK(line["match"] == false);
        CHECK_FALSE(line["error"].get<std::string>().empty());
    }
    CHECK(holds(json::parse(lines[3])["error"], "pattern:1:6: "));
    CHECK(holds(json::parse(lines[5])["error"], "event:1:6: "));
    CHECK(lines[7] == R"({"valid":true,"match":true})");

    TempDir folder;
    const std::string file = folder.write("cases.jsonl", "{\"pattern\":{\"a\":[1]}}\nnonsense\n");
    const Finished odd = command({"match", "--cases", file});
    CHECK(odd.exit.code == 2);
    CHECK(lines_of(odd.out).size() == 2);
    CHECK(command({"match", "--cases", "absent.jsonl"}).exit.code == 2);
}

TEST_CASE("explain shows what every rule makes of an event, matches first, then the nearest")
{
    TempDir folder;
    write_shop(folder);
    const std::string event = R"({"source":"shop","detail":{"amount":150,"region":"us-1"}})";
    const Finished text = command({"explain", "--config", "eventyard.yaml", event}, folder.path());
    CHECK(text.exit.code == 0);
    CHECK(text.out.rfind("1 of 4 rules matches this event\n", 0) == 0);
    const std::size_t large = text.out.find("large-orders  ->  warehouse, finance");
    const std::size_t near = text.out.find("eu-orders");
    const std::size_t far = text.out.find("other-source");
    INFO(text.out);
    CHECK(large != std::string::npos);
    CHECK(large < near);
    CHECK(near < far);
    CHECK(holds(text.out, "detail.region"));
    CHECK(holds(text.out, "us-1"));
    CHECK(holds(text.out, "sleeping (off)"));

    const Finished as_json =
        command({"explain", "--config", "eventyard.yaml", "-", "--json"}, folder.path(), event);
    CHECK(as_json.exit.code == 0);
    const json rules = json::parse(as_json.out)["rules"];
    REQUIRE(rules.size() == 4);
    CHECK(rules[0]["rule"] == "large-orders");
    CHECK(rules[0]["match"] == true);
    CHECK(rules[0]["targets"] == json::array({"warehouse", "finance"}));
    CHECK(rules[1]["rule"] == "eu-orders");
    CHECK(rules[1]["failed"] == 1);
    CHECK(rules[3]["enabled"] == false);

    CHECK(command({"explain", "-c", "eventyard.yaml", R"({"source":"none"})"}, folder.path()).exit.code == 1);
    CHECK(command({"explain", "-c", "eventyard.yaml", event, "--bus", "audit"}, folder.path()).exit.code == 1);
    CHECK(command({"explain", "-c", "eventyard.yaml", "{"}, folder.path()).exit.code == 2);
    const Finished bus =
        command({"explain", "-c", "eventyard.yaml", event, "--bus", "audti"}, folder.path());
    CHECK(bus.exit.code == 2);
    CHECK(holds(bus.err, "unknown bus 'audti'"));
}
