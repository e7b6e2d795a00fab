// tests/config/yaml_reader.cpp — what YAML means here, and what is said when it means nothing.
#include "config/yaml_reader.hpp"

#include <catch2/catch.hpp>

#include "config/json_text.hpp"

using namespace eventyard;
using namespace eventyard::config;

namespace {

struct Reading {
    std::optional<Node> root;
    Report report;
};

Reading read(std::string_view text, const YamlLimits& limits = {})
{
    Reading reading;
    reading.root = read_yaml(text, nullptr, reading.report, limits);
    return reading;
}

/// "line:column message" of every diagnostic, one a line.
std::string mistakes(const Report& report)
{
    std::string all;
    for (const Diagnostic& d : report.diagnostics())
        all += (all.empty() ? "" : "\n") + std::to_string(d.place.line) + ":" +
               std::to_string(d.place.column) + " " + d.message;
    return all;
}

std::string at(const Place& place)
{
    return std::to_string(place.line) + ":" + std::to_string(place.column);
}

}  // namespace

TEST_CASE("a plain scalar is a number by JSON's grammar, a literal by JSON's words, else text")
{
    struct Case {
        const char* yaml;
        const char* json;
    };
    const Case cases[] = {
        {"300", "300"},
        {"-0", "-0"},
        {"3.0e2", "3.0e2"},
        {"1E+400", "1E+400"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"012", "\"012\""},
        {"0x1F", "\"0x1F\""},
        {"0o17", "\"0o17\""},
        {"1_000", "\"1_000\""},
        {".5", "\".5\""},
        {"5.", "\"5.\""},
        {"+1", "\"+1\""},
        {"1e", "\"1e\""},
        {".inf", "\".inf\""},
        {".nan", "\".nan\""},
        {"1:30", "\"1:30\""},
        {"2017-10-02", "\"2017-10-02\""},
        {"true", "true"},
        {"false", "false"},
        {"null", "null"},
        {"~", "null"},
        {"True", "\"True\""},
        {"TRUE", "\"TRUE\""},
        {"Null", "\"Null\""},
        {"NULL", "\"NULL\""},
        {"yes", "\"yes\""},
        {"no", "\"no\""},
        {"on", "\"on\""},
        {"off", "\"off\""},
        {"y", "\"y\""},
        {"\"300\"", "\"300\""},
        {"'true'", "\"true\""},
        {"\"null\"", "\"null\""},
        {"'~'", "\"~\""},
        {"''", "\"\""},
        {"!!str 300", "\"300\""},
        {"x#y", "\"x#y\""},
        {"'a\\*b'", "\"a\\\\*b\""},
        {"\"tab\\tend\"", "\"tab\\tend\""},
        {"\"\\u00e9\"", "\"\xc3\xa9\""},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.yaml) {
        const Reading list = read(std::string("- ") + c.yaml);
        REQUIRE(list.root);
        CHECK(mistakes(list.report).empty());
        CHECK(to_json(*list.root) == std::string("[") + c.json + "]");
        const Reading flow = read(std::string("k: [") + c.yaml + "]");
        REQUIRE(flow.root);
        CHECK(to_json(*flow.root) == std::string("{\"k\":[") + c.json + "]}");
    }
}

TEST_CASE("JSON pasted into YAML reads as JSON")
{
    const char* const json = R"({"a":[1,"2",{"b":null,"c":true}],"d":{"e.f":[{"numeric":[">",0]}]},"g":{},"h":[]})";
    const Reading reading = read(json);
    REQUIRE(reading.root);
    CHECK(to_json(*reading.root) == json);
}

TEST_CASE("every value knows its line and its column in bytes")
{
    const Reading reading = read("a: 1\n\xc3\xa9:\n  - {x: \"\xc3\xbc\", y: [z]}\n");
    REQUIRE(reading.root);
    const Node& root = *reading.root;
    CHECK(at(root.members[0].key_place) == "1:1");
    CHECK(at(root.members[0].value.place) == "1:4");
    CHECK(at(root.members[1].key_place) == "2:1");
    const Node& map = root.members[1].value.items[0];
    CHECK(at(map.place) == "3:5");
    CHECK(at(map.members[0].value.place) == "3:9");
    CHECK(at(map.members[1].key_place) == "3:15");
    CHECK(at(map.members[1].value.items[0].place) == "3:19");
    CHECK(at(read("a:\r\n  b: 1\r\n").root->members[0].value.members[0].value.place) == "2:6");
}

TEST_CASE("an empty value is a null that says so, even before a key called null")
{
    const Reading reading = read("a:\nnull: 1\nb: null\nc: ~\nd:\n  -\n  - x\ne: [f, , g]\n");
    REQUIRE(reading.root);
    CHECK(mistakes(reading.report).empty());
    CHECK(to_json(*reading.root) ==
          R"({"a":null,"null":1,"b":null,"c":null,"d":[null,"x"],"e":["f",null,"g"]})");
    const Node& root = *reading.root;
    CHECK(root.find("a")->text.empty());
    CHECK(at(root.find("a")->place) == "1:1");
    CHECK(root.find("b")->text == "null");
    CHECK(root.find("c")->text == "~");
    CHECK(at(root.find("d")->items[0].place) == "6:3");
}

TEST_CASE("a document of nothing is an empty null")
{
    for (const char* text : {"", "# only a remark\n", "---\n", "\xef\xbb\xbf"}) {
        const Reading reading = read(text);
        REQUIRE(reading.root);
        CHECK(reading.root->kind == Node::Kind::null);
        CHECK(reading.root->text.empty());
    }
}

TEST_CASE("an alias stands for a copy of what its anchor names")
{
    const Reading reading =
        read("base: &b {kind: [x, 1]}\none: *b\ntwo: [*b, *b]\nagain: &b 7\nthree: *b\n");
    REQUIRE(reading.root);
    CHECK(mistakes(reading.report).empty());
    CHECK(to_json(*reading.root) ==
          R"({"base":{"kind":["x",1]},"one":{"kind":["x",1]},"two":[{"kind":["x",1]},{"kind":["x",1]}],"again":7,"three":7})");
}

TEST_CASE("aliases cannot make a small file huge")
{
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const std::string last = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int k = 0; k < 10; ++k) bomb += (k == 0 ? "" : ", ") + last;
        bomb += "]\n";
    }
    const Reading reading = read(bomb);
    CHECK_FALSE(reading.root);
    CHECK(mistakes(reading.report) ==
          "5:45 aliases stand for more than 100000 values in this file; write fewer");
}

TEST_CASE("nesting is bounded")
{
    YamlLimits limits;
    limits.depth = 3;
    CHECK(read("[[[1]]]", limits).root);
    CHECK(mistakes(read("a: [[[1]]]", limits).report) ==
          "1:6 more than 3 maps and lists inside one another");
    CHECK(mistakes(read(std::string(100'000, '[')).report).find("more than 200 maps and lists") !=
          std::string::npos);
}

TEST_CASE("a mistake that leaves a tree is reported and the tree is read on")
{
    struct Case {
        const char* yaml;
        const char* json;
        const char* said;
    };
    const Case cases[] = {
        {"a: 1\nb: 2\na: 3\n", R"({"a":1,"b":2})", "3:1 key 'a' is given twice, first at line 1"},
        {"a: 1\n\"a\": 3\n", R"({"a":1})", "2:1 key 'a' is given twice, first at line 1"},
        {"{x: {a: 1, a: 2, a: 3}}", R"({"x":{"a":1}})",
         "1:12 key 'a' is given twice, first at line 1\n1:18 key 'a' is given twice, first at line 1"},
        {"$or: [{a: [1]}]\n$or: [{b: [1]}]\n", R"({"$or":[{"a":[1]}]})",
         "2:1 key '$or' is given twice, first at line 1; to ask for both, give one $or a list of lists"},
        {"x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n", R"({"x":{"a":1},"y":{"b":2}})",
         "3:3 merge keys (<<) are not supported; write the keys out, or use an alias for a whole value"},
        {"\"<<\": 1\n", R"({"<<":1})", ""},
        {"? [a]\n: 1\nb: 2\n", R"({"b":2})", "1:3 a key must be text, found a list"},
        {"? {a: 1}\n: 1\nb: 2\n", R"({"b":2})", "1:3 a key must be text, found a map"},
        {"x: &x k\n*x : 1\n", R"({"x":"k"})", "2:1 an alias cannot be a key; write the key out"},
        {"a: !x y\n", R"({"a":"y"})", "1:4 tags are not used here; if '!' belongs to the text, quote it"},
        {"a: !!int 5\n", R"({"a":"5"})",
         "1:4 tags are not used here; if '!' belongs to the text, quote it"},
        {"a: !m {b: 1}\n", R"({"a":{"b":1}})",
         "1:4 tags are not used here; if '!' belongs to the text, quote it"},
        {"1: x\ntrue: y\nnull: z\n", R"({"1":"x","true":"y","null":"z"})", ""},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.yaml) {
        const Reading reading = read(c.yaml);
        REQUIRE(reading.root);
        CHECK(to_json(*reading.root) == c.json);
        CHECK(mistakes(reading.report) == c.said);
    }
}

TEST_CASE("repeated keys are found in large maps too")
{
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "k" + std::to_string(i) + ": 1\n";
    CHECK(read(text).root->members.size() == 1000);
    const Reading twice = read(text + "k3: 2\nk999: 2\n");
    CHECK(mistakes(twice.report) ==
          "1001:1 key 'k3' is given twice, first at line 4\n1002:1 key 'k999' is given twice, first at "
          "line 1000");
}

TEST_CASE("what is not YAML is said in words that tell what to write")
{
    struct Case {
        const char* yaml;
        const char* said;
    };
    const Case cases[] = {
        {"a:\n  - *.png\n",
         "2:5 '*.png' is read as an alias and there is no anchor of that name before it; a wildcard must be "
         "quoted: \"*.png\""},
        {"a: [*]\n",
         "1:5 '*' is read as an alias and there is no anchor of that name before it; a wildcard must be "
         "quoted: \"*\""},
        {"a: {wildcard: *foo}",
         "1:15 '*foo' is read as an alias and there is no anchor of that name before it; a wildcard must "
         "be quoted: \"*foo\""},
        {"a: &x [1, *x]", "1:11 this alias stands inside the value it names"},
        {"a: & b", "1:5 '&' starts an anchor; if it is text, quote it"},
        {"a: [{numeric: [>, 5]}]", "1:16 '>' must be quoted here: \">\""},
        {"a: [{numeric: [>=, 5]}]", "1:16 '>=' must be quoted here: \">=\""},
        {"a: [|, 5]", "1:5 '|' must be quoted here: \"|\""},
        {"a:\n - > 5\n", "2:4 '>' starts a block of text in YAML; quote an operator: \">\""},
        {"a:\n - >= 5\n", "2:4 '>=' starts a block of text in YAML; quote an operator: \">=\""},
        {"a: @x", "1:4 plain text cannot start with '@'; quote it: '@x'"},
        {"a: `x", "1:4 plain text cannot start with '`'; quote it: '`x'"},
        {"a: %x", "1:4 plain text cannot start with '%'; quote it: '%x'"},
        {"a:\n\tb: 1\n", "2:1 a tab cannot indent in YAML; use spaces"},
        {"a:\n  b: 1\n \tc: 1\n", "3:2 a tab cannot indent in YAML; use spaces"},
        {"a: \"open\nb: 1\n", "1:4 this quoted text is never closed"},
        {"a: 'open\nb: 1\n", "1:4 this quoted text is never closed"},
        {"a: &x 'open\n", "1:7 this quoted text is never closed"},
        {"\"a\": \"open\n", "1:6 this quoted text is never closed"},
        {"a: [1, 2\nb: 3\n", "1:4 this '[' has no matching ']', or a ',' is missing in it"},
        {"a: {x: 1\n", "1:4 this '{' has no matching '}', or a ',' is missing in it"},
        {"a: {numeric: [\">\", 0}", "1:14 this '[' has no matching ']', or a ',' is missing in it"},
        {"a: [\"x\" \"y\"]", "1:4 this '[' has no matching ']', or a ',' is missing in it"},
        {"a: }", "1:4 '}' closes nothing; if it is text, quote it"},
        {"a: b: c", "1:5 a key cannot stand here; check the indentation, or quote text that holds ': '"},
        {"a: 1\n  b: 2\n",
         "2:4 a key cannot stand here; check the indentation, or quote text that holds ': '"},
        {"a: - 1", "1:4 a list item ('- ') cannot stand here; start it on a line of its own"},
        {"a: 1\n- b\n", "2:1 a list item cannot stand here; check the indentation"},
        {"a: \"x\" y", "1:8 text goes on after the closing \"; quote the whole of it"},
        {"a: 'it's'", "1:8 text goes on after the closing '; quote the whole of it, and write '' for a ' inside"},
        {"a: \"x\"\n b: 1", "2:2 this does not belong to what stands above it; check the indentation"},
        {" a: 1\nb: 2\n", "2:1 this does not belong to what stands above it; check the indentation"},
        {"- a\nb: 1\n", "2:1 this does not belong to what stands above it; check the indentation"},
        {"a: 1\n---\nb: 2\n", "2:1 a second YAML document starts here; one file holds one document"},
        {"a: \"\\d\"",
         "1:5 '\\d' is no escape in double quotes; write it in single quotes, where a backslash is a "
         "backslash"},
        {"a: \"\\ud83d\\ude00\"",
         "1:11 this escape is no character; half a surrogate pair cannot be written in YAML, write the "
         "character itself"},
        {"a: \x01", "1:4 a control character cannot stand in YAML"},
        {"a: b\x04\nc: d", "1:5 a control character cannot stand in YAML"},
        {"a: \xff", "1:4 this is not UTF-8; save the file as UTF-8"},
        {"a: \xc3", "1:4 this is not UTF-8; save the file as UTF-8"},
        {"a: \xed\xa0\x80", "1:4 this is not UTF-8; save the file as UTF-8"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.yaml) {
        const Reading reading = read(c.yaml);
        CHECK_FALSE(reading.root);
        CHECK(mistakes(reading.report) == c.said);
    }
}

TEST_CASE("a NUL byte is a mistake with a place")
{
    CHECK(mistakes(read(std::string_view("a: b\0c", 6)).report) ==
          "1:5 a control character cannot stand in YAML");
}

TEST_CASE("cut anywhere, a file is read or refused with a place in it")
{
    const std::string text =
        "rules:\n  - name: \"a\\tb\"\n    pattern: {x: [{prefix: 'it''s'}, *, 1]}\n    t: &a |\n"
        "      {\"k\": 1}\n    u: >-\n      folded\n    v: [*a, ~, {w: }]\n";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        for (const char* tail : {"", "\"", "[", "{", "- ", "&", "*", "!", "\t:"}) {
            const std::string cut = text.substr(0, size) + tail;
            const Reading reading = read(cut);
            if (reading.root) continue;
            REQUIRE(reading.report.has_errors());
            for (const Diagnostic& d : reading.report.diagnostics()) {
                CHECK(d.place.line >= 1);
                CHECK(d.place.line <= 10);
                CHECK(d.place.column >= 1);
            }
        }
    }
}
