#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <re2/re2.h>
#include <thread>

#include "rules/cases.hpp"
#include "rules/decimal.hpp"
#include "rules/portable.hpp"
#include "rules/rule_set.hpp"

using namespace eventyard;
using rules::ask;

namespace {

rules::Pattern pattern_of(const std::string& text)
{
    Report report;
    const auto tree = rules::read_pattern_text(text, {}, report);
    REQUIRE(tree);
    auto pattern = rules::compile_pattern(*tree, report);
    INFO(report.text());
    REQUIRE(pattern);
    return *pattern;
}

/// The best of some runs: the machine is shared, the work is not.
double best_ms(const rules::Pattern& pattern, const std::string& event)
{
    json::Document document;
    json::SyntaxError error;
    REQUIRE(document.parse(event, {}, error));
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
        const auto start = std::chrono::steady_clock::now();
        (void)rules::matches(pattern, document);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
    }
    return best;
}

std::string repeated(int n, const std::function<std::string(int)>& part)
{
    std::string all;
    for (int i = 0; i < n; ++i) all += (i == 0 ? "" : ",") + part(i);
    return all;
}

}  // namespace

TEST_CASE("An event built to make arrays choose separately costs no more than its length")
{
    // Repeated keys: arrays that would choose one by one, were they not one array.
    const auto wanted = pattern_of(
        "{\"a\":{" + repeated(12, [](int i) { return "\"f" + std::to_string(i) + "\":[1]"; }) + "}}");
    const std::string many =
        "{" + repeated(24, [](int i) {
            return "\"a\":[{\"f" + std::to_string(i % 12) + "\":1},{\"f" + std::to_string((i * 5) % 12) + "\":1}]";
        }) + "}";
    CHECK(many.size() < 800);
    CHECK(best_ms(wanted, many) < 20);  // far less without sanitizers; a search would take hours

    // An object beside an array at every level, elements that each serve one field.
    const auto deep = pattern_of(
        "{\"a\":{\"a\":{\"a\":{\"a\":{" +
        repeated(10, [](int i) { return "\"f" + std::to_string(i) + "\":[1]"; }) + "}}}}}");
    std::string level = "[" + repeated(10, [](int i) { return "{\"f" + std::to_string(i) + "\":1}"; }) + "]";
    for (int i = 0; i < 3; ++i) level = "{\"a\":" + level + ",\"a\":[{\"a\":" + level + "}]}";
    CHECK(best_ms(deep, "{\"a\":" + level + "}") < 20);
}

TEST_CASE("A rule set gives the same answer from several threads")
{
    std::vector<rules::Pattern> patterns;
    for (int i = 0; i < 50; ++i)
        patterns.push_back(pattern_of("{\"a\":{\"b\":[" + std::to_string(i) + ",{\"regex\":\"x" + std::to_string(i) +
                                      "|y\"}]}}"));
    const rules::RuleSet set(std::move(patterns));
    CHECK(set.size() == 50);
    std::vector<std::thread> threads;
    std::vector<int> wrong(4, 0);
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&set, &wrong, t] {
            json::Document event;
            json::SyntaxError error;
            for (std::uint32_t i = 0; i < 50; ++i) {
                std::vector<std::uint32_t> out{99};
                const std::string text = "{\"a\":[{\"b\":" + std::to_string(i) + "},{\"b\":\"x7\"}]}";
                if (!event.parse(text, {}, error)) ++wrong[t];
                set.match(event, out);
                std::vector<std::uint32_t> wanted{99, 7, i};
                if (i < 7) std::swap(wanted[1], wanted[2]);
                if (i == 7) wanted.pop_back();
                if (out != wanted) ++wrong[t];
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("A regex that outgrows its automaton's memory still gets an answer")
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 14);
    const re2::RE2 small("(?s).*x.{12}y.*", options);
    REQUIRE(small.ok());
    std::string text;
    for (unsigned i = 0, bits = 1; i < 20'000; ++i, bits = bits * 1664525U + 1013904223U)
        text += (bits >> 20 & 1U) != 0 ? 'x' : 'z';
    CHECK_FALSE(re2::RE2::FullMatch(text, small));
    CHECK(re2::RE2::FullMatch(text + "x............y", small));
    const std::string event = "{\"a\":\"" + text + "x............y\"}";
    CHECK(ask(R"({"a":[{"regex":"(?s).*x.{12}y.*"}]})", event).match);
    CHECK_FALSE(ask(R"({"a":[{"regex":"(?s).*x.{12}y.*"}]})", "{\"a\":\"" + text + "\"}").match);
    CHECK_FALSE(ask(R"({"a":[{"regex":"((a{100}){100}){100}"}]})", "{}").pattern_valid);
}

TEST_CASE("Straddling alternatives are multiplied out up to 1,024 and refused beyond with the figure")
{
    const auto ors = [](int n) {
        return "{" + repeated(n, [](int i) {
            const std::string a = "\"a\":{\"p" + std::to_string(i) + "\":[1]}";
            const std::string b = "\"a\":{\"q" + std::to_string(i) + "\":[1]}";
            return "\"$or\":[{" + a + "},{" + b + "}]";
        }) + "}";
    };
    CHECK(ask(ors(10), "{}").pattern_valid);
    const auto refused = ask(ors(11), "{}");
    REQUIRE(refused.error() != nullptr);
    CHECK(refused.error()->message.find("2048 combinations") == 0);
    CHECK(refused.error()->message.find("below a;") != std::string::npos);
    // Independent ones cost nothing.
    std::string apart = "{" + repeated(40, [](int i) {
        const std::string n = std::to_string(i);
        return "\"$or\":[{\"a" + n + "\":[1]},{\"b" + n + "\":[1]}]";
    }) + "}";
    CHECK(ask(apart, "{}").pattern_valid);
}

TEST_CASE("An explanation names the witness, the branch and the elements of a match")
{
    const auto answer = ask(
        R"({"detail":{"items":{"id":[7],"$or":[{"state":["paid"]},{"state":["sent"]}]},"x":[{"exists":false}]}})",
        R"({"detail":{"items":[{"id":8},{"id":7,"state":"sent"}]}})");
    REQUIRE(answer.match);
    const auto& e = answer.explanation;
    REQUIRE(e.fields.size() == 3);
    CHECK(e.fields[0].witness == "detail.items[1].id = 7");
    CHECK(e.fields[1].path == "detail.items.state");
    CHECK(e.fields[1].witness == "detail.items[1].state = \"sent\"");
    CHECK(e.fields[2].held);
    CHECK(e.fields[2].witness.empty());
    CHECK(e.or_branches == std::vector<std::string>{"detail.items.$or[1]"});
    CHECK(e.elements == std::vector<std::string>{"detail.items[1]"});
}

TEST_CASE("An explanation of a mismatch says of each field why")
{
    const auto reason = [](const std::string& pattern, const std::string& event, std::size_t field) {
        const auto answer = ask(pattern, event);
        REQUIRE(answer.valid());
        CHECK_FALSE(answer.match);
        REQUIRE(answer.explanation.fields.size() > field);
        CHECK_FALSE(answer.explanation.fields[field].held);
        return answer.explanation.fields[field].reason;
    };
    CHECK(reason(R"({"a":[{"numeric":[">=",100]}]})", R"({"a":99})", 0) == "99 is not >= 100");
    CHECK(reason(R"({"a":[{"numeric":[">=",100]}]})", R"({"a":"99"})", 0) == "\"99\" is not a number");
    CHECK(reason(R"({"a":["x"]})", R"({"a":["y","z"]})", 0) == "\"y\" is not \"x\"; \"z\" is not \"x\"");
    CHECK(reason(R"({"a":["x"]})", R"({"b":1})", 0) == "no value at the path");
    CHECK(reason(R"({"a":{"b":[1],"c":[2]}})", R"({"a":[{"b":1},{"c":2}]})", 1) ==
          "held, but only in another element of a");
    CHECK(reason(R"({"a":[{"exists":false}]})", R"({"a":null})", 0) == "a value is there: a = null");
    CHECK(reason(R"({"a":[{"none-of":["x"]}]})", R"({"a":["y","x"]})", 0) ==
          "a[1] = \"x\" satisfies \"x\" of none-of");
    CHECK(reason(R"({"a":[{"all-of":[1,2]}]})", R"({"a":[1]})", 0) == "no value satisfies 2 of all-of");
    CHECK(reason(R"({"a":[{"prefix":"x"}]})", R"({"a":"y"})", 0) == "\"y\" does not start with \"x\"");
}

TEST_CASE("Portability names what AWS refuses or answers differently, with the row")
{
    const auto rows = [](const std::string& pattern) {
        Report report;
        const auto tree = rules::read_pattern_text(pattern, {nullptr, 1, 1}, report);
        REQUIRE(tree);
        std::vector<std::string> out;
        for (const auto& note : rules::portability(*tree)) {
            CHECK(note.place.line == 1);
            CHECK_FALSE(note.message.empty());
            out.push_back(note.row + (note.refused ? " refused" : ""));
        }
        return out;
    };
    using Rows = std::vector<std::string>;
    CHECK(rows(R"({"a":["x",5,{"prefix":"y"}]})").empty());
    CHECK(rows(R"({"a":{"b":[{"exists":false}],"c":[1]}})") == Rows{"row 2"});
    CHECK(rows(R"({"a":[{"numeric":[">=",100,"<",0.1e6]}],"b":[{"anything-but":[1,-2.5]}]})").empty());
    CHECK(rows(R"({"a":[{"numeric":["=",1e400]}]})") == Rows{"row 3 refused"});
    CHECK(rows(R"({"a":[{"numeric":[">",9007199254740993]},9007199254740993]})") == Rows{"row 3 refused", "row 3"});
    CHECK(rows(R"({"a":[{"anything-but":[1,9007199254740993]}]})") == Rows{"row 3 refused"});
    CHECK(rows(R"({"a":[{"cidr":"10.0.0.1/32"}]})") == Rows{"row 4 refused"});
    CHECK(rows(R"({"a":["10.0.0.1"]})") == Rows{"row 5"});
    CHECK(rows(R"({"a":[{"equals-ignore-case":"é"}]})") == Rows{"row 6"});
    CHECK(rows(R"({"$or":[[{"a":[1]},{"b":[1]}]]})") == Rows{"row 7 refused"});
    CHECK(rows(R"({"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]})") == Rows{"row 9 refused"});
    CHECK(rows(R"({"":[1]})") == Rows{"row 10"});
    CHECK(rows(R"({"a":["\ud800"]})") == Rows{"row 11"});
    CHECK(rows(R"({"a":[{"regex":"x"}]})") == Rows{"regex refused"});
    CHECK(rows(R"({"a":[{"none-of":["x"]},{"all-of":["10.0.0.1"]}]})") ==
          Rows{"none-of refused", "all-of refused", "row 5"});

    const auto compares = [](const std::string& pattern) {
        Report report;
        const auto tree = rules::read_pattern_text(pattern, {nullptr, 1, 1}, report);
        REQUIRE(tree);
        return rules::compares_numbers(*tree);
    };
    CHECK(compares(R"({"a":{"$or":[{"b":["x"]},{"c":[{"numeric":[">",1]}]}]}})"));
    CHECK(compares(R"({"a":[{"anything-but":5}]})"));
    CHECK_FALSE(compares(R"({"numeric":["x",5,{"anything-but":"5"}]})"));
}
