// tests/config/document.cpp — JSON inside YAML keeps its places, and files their formats.
#include "config/document.hpp"

#include <catch2/catch.hpp>

#include "config/json_text.hpp"
#include "config/yaml_reader.hpp"
#include "rules/pattern.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;

namespace {

/// Reads `yaml`, takes the value of its first key as embedded JSON; gives the places of its leaves.
std::string leaves(const std::string& yaml)
{
    Report report;
    const auto root = config::read_yaml(yaml, nullptr, report);
    REQUIRE(root);
    const auto json = config::read_embedded_json(root->members.at(0).value, yaml, report);
    if (!json) {
        const Place& place = report.diagnostics().at(0).place;
        return "refused at " + std::to_string(place.line) + ":" + std::to_string(place.column);
    }
    std::string all;
    const auto walk = [&](const auto& self, const Node& node) -> void {
        if (node.is_scalar())
            all += (all.empty() ? "" : " ") + node.text + "@" + std::to_string(node.place.line) + ":" +
                   std::to_string(node.place.column);
        for (const Node& item : node.items) self(self, item);
        for (const Member& member : node.members) self(self, member.value);
    };
    walk(walk, *json);
    return all;
}

}  // namespace

TEST_CASE("JSON inside YAML has the places of the file")
{
    CHECK(leaves("p: |\n  {\"a\": [1,\n    2]}\n") == "1@2:10 2@3:5");
    CHECK(leaves("p: |\n\n    {\"a\":\n\n      [1]}\nq: 1\n") == "1@5:8");
    CHECK(leaves("p: |-\n  {\"a\": [1]}\n") == "1@2:10");
    CHECK(leaves("p: |2\n    {\"a\": [1]}\n") == "1@2:12");
    CHECK(leaves("p:   &anchor |\n  {\"a\": [1]}\n") == "1@2:10");
    CHECK(leaves("p: |\r\n  {\"a\": [1]}\r\n") == "1@2:10");
    CHECK(leaves("p: '{\"a\": [1]}'\n") == "1@1:12");
    CHECK(leaves("p:\n  '{\"a\": [1]}'\n") == "1@2:11");
    CHECK(leaves("p: &x '{\"a\": [1]}'\n") == "1@1:15");
    CHECK(leaves("p: |\n  {\"a\": [1,]}\n") == "refused at 2:12");
}

TEST_CASE("JSON in other forms of text counts from where the text begins")
{
    CHECK(leaves("p: \"{\\\"a\\\": [1]}\"\n") == "1@1:11");
    CHECK(leaves("p: >\n  {\"a\":\n  [1]}\n") == "1@1:11");
}

TEST_CASE("a file is read by its name's ending")
{
    support::TempDir folder;
    Report report;
    const auto yaml = config::read_document(folder.write("a.yml", "\xef\xbb\xbf" "a: 012\n"), {}, report);
    REQUIRE(yaml);
    CHECK(yaml->yaml);
    CHECK(config::to_json(yaml->root) == R"({"a":"012"})");
    CHECK(yaml->root.members[0].key_place.column == 1);
    const auto json = config::read_document(folder.write("b.JSON", R"({"a":1.50,"a":2})"), {}, report);
    REQUIRE(json);
    CHECK_FALSE(json->yaml);
    CHECK(config::to_json(json->root) == R"({"a":1.50,"a":2})");
    CHECK(report.diagnostics().empty());
    CHECK_FALSE(config::read_document(folder.write("c.ini", "a=1"), {}, report));
    CHECK(report.errors() == 1);
}

TEST_CASE("JSON Lines are read one by one, and only lines spoken of are quoted")
{
    support::TempDir folder;
    const std::string path = folder.write(
        "r.jsonl", "{\"n\":1}\n\n{\"n\":}\n" + std::string(config::json_line_max + 1, ' ') + "{}\n\r\n{\"n\":4}");
    Report report;
    std::vector<std::string> read;
    config::read_json_lines(path, {}, report, [&](std::string_view line, const Place& start) {
        if (const auto node = rules::read_pattern_text(line, start, report))
            read.push_back(std::to_string(node->place.line) + config::to_json(*node));
    });
    CHECK(read == std::vector<std::string>{"1{\"n\":1}", "6{\"n\":4}"});
    CHECK(report.errors() == 2);
    config::quote_json_lines(path, report);
    const std::string text = report.text();
    CHECK(text.find(path + ":3:6: error: ") != std::string::npos);
    CHECK(text.find("    {\"n\":}\n         ^\n") != std::string::npos);
    CHECK(text.find(":4:1: error: this line is larger than 1 MiB") != std::string::npos);
}
