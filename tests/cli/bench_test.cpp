// tests/cli/bench_test.cpp — `eventyard bench match` as a person runs it, and the generator behind it.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/generate.hpp"
#include "cli/generate_text.hpp"
#include "core/json.hpp"
#include "core/report.hpp"
#include "rules/pattern.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::support;

namespace {

Finished bench(std::vector<std::string> arguments, const std::string& directory = {},
               const std::string& input = {})
{
    arguments.insert(arguments.begin(), {EVENTYARD_BINARY, "bench", "match"});
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

std::string rule_of(const cli::Family& family, const cli::Scale& scale, std::uint64_t i)
{
    std::string text;
    family.rule(scale, i, text);
    return text;
}

std::string event_of(const cli::Family& family, const cli::Scale& scale, std::uint64_t k)
{
    std::string text;
    family.event(scale, k, text);
    return text;
}

rules::Pattern compiled(const std::string& text)
{
    Report report;
    const auto node = rules::read_pattern_text(text, {nullptr, 1, 1}, report);
    INFO(text << "\n" << report.text());
    REQUIRE(node);
    auto pattern = rules::compile_pattern(*node, report);
    REQUIRE(pattern);
    return std::move(*pattern);
}

std::uint64_t digest(const std::string& text)  // FNV-1a
{
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

constexpr const char* three_rules = R"({"detail":{"n":[1]}}
{"name":"second","set":"x","pattern":{"detail":{"n":[{"numeric":[">",1]}]}}}

{"name":"third","pattern":"{\"source\":[\"shop\"]}","targets":["a"]}
{"name":"off","enabled":false,"pattern":{"source":["shop"]},"targets":["a"]}
)";
constexpr const char* four_events = R"({"source":"shop","detail":{"n":1}}
{"source":"shop","detail":{"n":2}}

{"source":"yard","detail":{"n":3}}
{"source":"yard","detail":{"n":0}}
)";

}  // namespace

TEST_CASE("bench match prints both columns, simdjson beside them, and what answers cost")
{
    TempDir folder;
    folder.write("rules.jsonl", three_rules);
    folder.write("events.jsonl", four_events);
    const Finished done =
        bench({"--rules", "rules.jsonl", "--events", "events.jsonl", "--seconds", "0.02"}, folder.path());
    CHECK(done.exit.code == 0);
    CHECK(done.err.empty());
    CHECK(holds(done.out, "rules    3 of rules.jsonl; compiled in "));
    CHECK(holds(done.out, "events   4 of events.jsonl, 34.0 bytes each; "));
    for (const char* part : {"EVENTS/S", "NS/EVENT", "P50 NS", "P99 NS", "X DOM", "\nmatching only ", "\nproduct ",
                             "\nsimdjson DOM parse ", "\nsimdjson stage 1 ", "TOUCHED  CANDIDATES  MATCHES",
                             "no -march=native"})
        CHECK(holds(done.out, part));
}

TEST_CASE("bench match --json has every figure and the answers of each rule")
{
    TempDir folder;
    folder.write("rules.jsonl", three_rules);
    folder.write("events.jsonl", four_events);
    for (const std::string threads : {"1", "3"}) {
        const Finished done = bench({"--rules", "rules.jsonl", "--events", "events.jsonl", "--seconds", "0.02",
                                     "--json", "--rule-counts", "--threads", threads},
                                    folder.path());
        INFO(done.err);
        REQUIRE(done.exit.code == 0);
        const auto json = nlohmann::json::parse(done.out);
        CHECK(json["rules"]["rules"] == 3);
        CHECK(json["rules"]["predicates"] >= 3);
        CHECK(json["rules"]["keys"] >= 1);
        CHECK(json["rules"]["bytes"] > 0);
        CHECK(json["rules"]["compile_seconds"] > 0);
        CHECK(json["rules"]["rules_per_second"] > 0);
        CHECK(json["rules"].contains("resident_growth_bytes"));
        CHECK(json["events"]["count"] == 4);
        CHECK(json["events"]["bytes"] == 136);
        CHECK(json["rounds"] >= 3);
        REQUIRE(json["columns"].size() == 4);
        for (const auto& column : json["columns"]) {
            INFO(column.dump());
            CHECK(column["events_per_second"] > 0);
            CHECK(column["ns_per_event"] > 0);
            CHECK(column["refused"] == 0);
            CHECK(column["complete"].is_boolean());
        }
        for (const int engine : {0, 1}) {
            const auto& column = json["columns"][static_cast<std::size_t>(engine)];
            CHECK(column["matches"].get<double>() > 0);
            CHECK(column["p50_ns"] > 0);
            CHECK(column["p99_ns"] >= column["p50_ns"]);
            CHECK(column["candidates"] >= column["matches"]);
            CHECK(column.contains("touched"));
        }
        CHECK(json["ratios"]["product/simdjson_dom"] > 0);
        CHECK(json["answers"]["matches"] == 5);
        CHECK(json["answers"]["differing_events"] == 0);
        CHECK(json["answers"]["rule_counts"] == nlohmann::json::parse("[[0,1],[1,2],[2,2]]"));
        // The sum over the five pairs of event and rule; peers compute the same.
        CHECK(json["answers"]["digest"] == "11b22da00ef3c657");
    }
}

TEST_CASE("bench match reads an ordinary rule file and events from standard input")
{
    TempDir folder;
    folder.write("rules.yaml", R"(rules:
  - {name: a, pattern: {source: [shop]}, targets: [x]}
  - {name: b, pattern: {source: [yard]}, targets: [x], enabled: false}
)");
    const Finished done = bench({"--rules", "rules.yaml", "--events", "-", "--seconds", "0.01", "--json"},
                                folder.path(), four_events);
    INFO(done.err);
    REQUIRE(done.exit.code == 0);
    const auto json = nlohmann::json::parse(done.out);
    CHECK(json["rules"]["rules"] == 1);
    CHECK(json["rules"]["from_texts"] == false);
    CHECK(json["answers"]["matches"] == 2);
}

TEST_CASE("bench match --unchecked times the two columns alone")
{
    const Finished done = bench({"--generate", "5", "--events-count", "50", "--seconds", "0.01", "--unchecked", "--json"});
    REQUIRE(done.exit.code == 0);
    const auto json = nlohmann::json::parse(done.out);
    CHECK(json["columns"].size() == 2);
    CHECK_FALSE(json.contains("answers"));
}

TEST_CASE("bench match says where rules and events are wrong")
{
    TempDir folder;
    folder.write("rules.jsonl", three_rules);
    folder.write("events.jsonl", four_events);
    folder.write("bad-rules.jsonl", "{\"a\":[1]}\n\n{\"pattern\":{\"a\":[{\"prefx\":\"x\"}]}}\n{\"a\":[1}\n");
    folder.write("bad-events.jsonl", "{\"a\":1}\n\n{\"a\":1,}\n");
    folder.write("empty.jsonl", "\n");
    struct Case {
        std::vector<std::string> arguments;
        std::string error;
    };
    const Case cases[] = {
        {{"--rules", "bad-rules.jsonl", "--events", "events.jsonl"}, "bad-rules.jsonl:3:19: error: Unrecognized match type prefx"},
        {{"--rules", "bad-rules.jsonl", "--events", "events.jsonl"}, "bad-rules.jsonl:4:8: error: "},
        {{"--rules", "rules.jsonl", "--events", "bad-events.jsonl"}, "bad-events.jsonl:3:8: no event: "},
        {{"--rules", "rules.jsonl", "--events", "empty.jsonl"}, "empty.jsonl: holds no events"},
        {{"--rules", "empty.jsonl", "--events", "events.jsonl"}, "empty.jsonl: holds no rules"},
        {{"--rules", "none.jsonl", "--events", "events.jsonl"}, "none.jsonl"},
        {{"--rules", "rules.jsonl", "--events", "none.jsonl"}, "none.jsonl"},
        {{"--rules", "rules.jsonl"}, "give --rules and --events, or --generate"},
        {{"--generate", "5", "--family", "mixd"}, "unknown family 'mixd'; did you mean 'mixed'?"},
        {{"--generate", "5", "--rules", "rules.jsonl"}, "excludes"},
        {{"--family", "zipf"}, "requires"},
        {{"--generate", "0"}, "--generate"},
    };
    for (const Case& c : cases) {
        const Finished done = bench(c.arguments, folder.path());
        INFO(c.error);
        CHECK(done.exit.code == 2);
        CHECK(done.out.empty());
        CHECK(holds(done.err, c.error));
    }
}

TEST_CASE("bench match writes what it makes up, and files measure as the family does")
{
    TempDir folder;
    const std::vector<std::string> made{"--generate", "40", "--family", "pairs", "--events-count", "100"};
    auto save = made;
    save.insert(save.end(), {"--save-rules", "r.jsonl", "--save-events", "e.jsonl"});
    const Finished saved = bench(save, folder.path());
    CHECK(saved.exit.code == 0);
    CHECK(saved.out.empty());
    auto direct = made;
    direct.insert(direct.end(), {"--seconds", "0.01", "--json"});
    const auto a = nlohmann::json::parse(bench(direct).out);
    const auto b = nlohmann::json::parse(
        bench({"--rules", "r.jsonl", "--events", "e.jsonl", "--seconds", "0.01", "--json"}, folder.path()).out);
    CHECK(a["answers"]["matches"] == 100);
    CHECK(a["answers"] == b["answers"]);
    CHECK(a["events"]["bytes"] == b["events"]["bytes"]);
}

TEST_CASE("generated rules and events are the same everywhere, in any order")
{
    // Digests of 200 rules and 200 events of each family at 1,000: a change of them makes figures of
    // different versions incomparable.
    std::ostringstream found;
    for (const cli::Family& family : cli::families()) {
        const cli::Scale scale{1000, 1};
        const bool large = std::string(family.name).rfind("array", 0) == 0 || family.per_rule > 1;
        const std::uint64_t count = large ? 3 : 200;
        std::vector<std::string> backwards;
        for (std::uint64_t i = count; i-- > 0;)
            backwards.push_back(rule_of(family, scale, i % scale.rules) + event_of(family, scale, i));
        std::string text;
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::size_t begin = text.size();
            family.rule(scale, i % scale.rules, text);
            family.event(scale, i, text);
            CHECK(text.substr(begin) == backwards[count - 1 - i]);
        }
        found << family.name << " " << digest(text) << "\n";
    }
    CHECK(found.str() == R"(mixed 1567568230624356681
mixed-prefix 7085404729444885005
mixed-exact 10101635181602778199
no-unique-field 5348982979892366845
prefix 3043483898587302908
suffix-wildcard 4720288252591194510
numeric 2908046058014564067
negatives 3053600983725425526
zipf 2140468454985599423
exact 10575766497347941606
suffix 9802637090274766098
fold 1971044051469363170
wildcard 8772367231534565666
or-1000 14848468100089708739
absent 13920768137880735934
anything-but 9450424472268491438
all-but-one 17362112482606113358
pairs 1480078313799616903
all-true 7472072730654820252
overlap 10656665980288461837
three-ranges 1836111329631717317
pieces-occur 7805203952238817470
two-pieces 1794466183943067278
array-1000 9739063258402991696
array-10000 7211104357804375944
repeated-key 1245606206129783083
)");
}

TEST_CASE("every family's rules compile, and its events are distinct and hit some")
{
    for (const cli::Family& family : cli::families()) DYNAMIC_SECTION(family.name) {
        const cli::Scale scale{std::max<std::uint64_t>(1, 300 / family.per_rule), 7};
        const bool large = std::string(family.name).rfind("array", 0) == 0;
        std::vector<rules::Pattern> patterns;
        std::set<std::string> texts;
        for (std::uint64_t i = 0; i < scale.rules; ++i) {
            const std::string text = rule_of(family, scale, i);
            texts.insert(text);
            patterns.push_back(compiled(text));
        }
        if (family.group != cli::FamilyGroup::output && std::string(family.name) != "zipf")
            CHECK(texts.size() == scale.rules);
        std::set<std::string> events;
        const std::uint64_t count = large ? 2 : 200;
        std::uint64_t hits = 0;
        json::Document document;
        json::SyntaxError error;
        for (std::uint64_t k = 0; k < count; ++k) {
            const std::string event = event_of(family, scale, k);
            CHECK(event.find('\n') == std::string::npos);
            CHECK(events.insert(event).second);
            REQUIRE(document.parse(event, {}, error));
            if (large && k > 0) continue;
            for (const rules::Pattern& pattern : patterns)
                if (rules::matches(pattern, document)) {
                    ++hits;
                    break;
                }
        }
        CHECK(hits >= (large ? 1 : count / 20));
        CHECK(event_of(family, {scale.rules, 8}, 0) != event_of(family, scale, 0));
    }
}

TEST_CASE("scrambled numbers do not repeat, and small ranks are drawn most")
{
    std::set<std::uint32_t> seen;
    for (std::uint64_t i = 0; i < 10'000; ++i) CHECK(seen.insert(cli::scrambled(i)).second);
    std::vector<int> drawn(100);
    cli::Draws draws(1, 1);
    for (int i = 0; i < 10'000; ++i) ++drawn.at(draws.zipf(100));
    CHECK(drawn[0] > 1000);
    CHECK(drawn[0] > 3 * drawn[9]);
    CHECK(drawn[99] > 0);
}
