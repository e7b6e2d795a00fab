// tests/config/rule_lines.cpp — rules from JSON Lines: the quick way says what the long way says.
#include <catch2/catch.hpp>

#include <algorithm>

#include "config/json_text.hpp"
#include "config/load.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using support::TempDir;

TEST_CASE("a rule of JSON Lines is the same whether it is read the quick way or as a tree")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: d\nrules: [r.jsonl]\nbuses: {other: }\n"
                                   "targets: {one: {file: {path: /tmp/1}}, two: {file: {path: /tmp/2}}}\n");
    // Each beside its twin, which a description sends the long way.
    const std::vector<std::string> members = {
        R"("pattern":{"k":["a","b"],"n":[{"numeric":[">",1]}]},"targets":["one"])",
        R"("pattern":{"d":{"k":[{"prefix":"a"}]}},"targets":["two","one"])",
        R"("bus":"other","pattern":{"k":[{"exists":false}]},"targets":"two")",
        R"("targets":["one"],"pattern":{"$or":[{"k":["a"]},{"n":[2]}]})",
        R"("pattern":{"k":[{"anything-but":["a"]}]},"targets":["one"],"enabled":true)",
        R"("pattern":{"k":[{"regex":"a+"}]},"targets":["one"])",
        R"("pattern":{"k\u0065y":["\u00e9"]},"targets":["one"])",
    };
    std::string lines;
    for (std::size_t i = 0; i < members.size(); ++i) {
        lines += "{\"name\":\"quick" + std::to_string(i) + "\"," + members[i] + "}\n";
        lines += "{\"name\":\"long" + std::to_string(i) + "\",\"description\":\"d\"," + members[i] + "}\n";
    }
    folder.write("r.jsonl", lines);
    Report report;
    const auto table = config::load(folder.file("eventyard.yaml"), report);
    INFO(report.text());
    REQUIRE(table != nullptr);
    CHECK(report.diagnostics().empty());
    REQUIRE(table->rules.size() == 2 * members.size());
    for (std::size_t i = 0; i < table->rules.size(); i += 2) {
        const router::Rule& quick = table->rules[i];
        const router::Rule& slow = table->rules[i + 1];
        INFO(members[i / 2]);
        CHECK(*quick.bus == *slow.bus);
        CHECK(quick.in_set + 1 == slow.in_set);
        CHECK(quick.place.line + 1 == slow.place.line);
        CHECK(quick.place.column == slow.place.column);
        CHECK(*quick.targets == *slow.targets);
        CHECK(config::to_json(*table->details(quick)->source) == config::to_json(*table->details(slow)->source));
        json::Document event;
        json::SyntaxError error;
        for (const char* text : {R"({"k":"a","n":2,"d":{"k":"abc"}})", R"({"k":["b"],"n":0})", R"({"key":"é"})"}) {
            REQUIRE(event.parse(text, {}, error));
            std::vector<std::uint32_t> matched;
            table->buses.at(*quick.bus).rules.match(event, matched);
            const auto has = [&](std::uint32_t rule) { return std::find(matched.begin(), matched.end(), rule) != matched.end(); };
            CHECK(has(quick.in_set) == has(slow.in_set));
            CHECK(has(quick.in_set) == rules::matches(table->details(quick)->pattern, event));
        }
    }
    CHECK(table->rules[0].details == nullptr);  // the quick way was taken
    CHECK(table->rules[6].details != nullptr);  // not with $or
}

TEST_CASE("mistakes and warnings of JSON Lines are told as those of any other file")
{
    TempDir folder;
    folder.write("eventyard.yaml", "data_dir: d\nrules: [r.jsonl]\ntargets: {one: {file: {path: /tmp/1}}}\n");
    folder.write("r.jsonl",
                 R"({"name":"a","pattern":{"k":["x"]},"targets":["one"]})" "\n"
                 R"({"name":"a","pattern":{"k":["x"]},"targets":["one"]})" "\n"
                 R"({"name":"b","pattern":{"k":["x"]},"targets":["onw"]})" "\n"
                 R"({"name":"c","pattern":{"k":["x"]},"targets":["one"],"bus":"nowhere"})" "\n"
                 R"({"name":"d","pattern":{"k":["x","x"]},"targets":["one"]})" "\n"
                 R"({"name":"e","pattern":{"k":{"prefix":["x"]}},"targets":["one"]})" "\n"
                 R"({"name":"f","pattern":{"k":[{"exists":true},"x"]},"targets":["one"]})" "\n"
                 R"({"name":"g","pattern":{"k":"x"},"targets":["one"]})" "\n"
                 R"({"name":"h","pattern":{"k":["x"]},"targets":["one"],"targets":["one"]})" "\n"
                 R"({"name":"i","pattern":{"k":["x"]},"target":["one"]})" "\n");
    Report report;
    CHECK(config::load(folder.file("eventyard.yaml"), report) == nullptr);
    const std::string text = report.text();
    const auto said = [&](const char* place, const char* what) {
        INFO(text << "\nlooked for " << place);
        const auto at = text.find(std::string("r.jsonl:") + place);
        REQUIRE(at != std::string::npos);
        CHECK(text.substr(at, text.find('\n', at) - at).find(what) != std::string::npos);
    };
    said("2:9", "already defined at");
    said("3:46", "unknown target 'onw'; did you mean 'one'?");
    said("4:", "unknown bus 'nowhere'");
    said("5:", "\"x\" is listed twice");
    said("6:", "'prefix' is read as a field name here");
    said("7:", "exists: true accepts every value");
    said("8:", "must be an object or an array");
    said("9:", "targets");
    said("10:", "unknown key 'target'; did you mean 'targets'?");
    CHECK(report.errors() == 6);
}
