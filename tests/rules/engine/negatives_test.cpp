// Rules that are no more than "anything but these" are answered all at once; here against the reference.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/rule_set.hpp"

using namespace eventyard;
using namespace eventyard::rules;

namespace {

Pattern compiled(const std::string& text)
{
    Report report;
    const auto node = read_pattern_text(text, {}, report);
    REQUIRE(node);
    auto pattern = compile_pattern(*node, report);
    REQUIRE(pattern);
    return std::move(*pattern);
}

/// One of each form that excludes something, and rules with several ways to hold beside them.
std::vector<std::string> negatives()
{
    std::vector<std::string> texts;
    for (const char* item : {R"("ab")", R"(["ab","cd"])", "5", R"([5,1.5])", R"({"prefix":"a"})", R"({"prefix":["ab","x"]})",
                             R"({"suffix":"b"})", R"({"equals-ignore-case":"AB"})", R"({"wildcard":"a*b"})", R"({"wildcard":"*bc*"})", R"({"regex":"a.*"})",
                             R"({"numeric":[">",1,"<",6]})", R"({"numeric":["=",7]})", R"({"cidr":"10.0.0.0/8"})"})
        texts.push_back(std::string(R"({"v":[{"anything-but":)") + item + "}]}");
    texts.push_back(R"({"$or":[{"v":[{"anything-but":5}]},{"v":[{"numeric":[">",3]}]}]})");
    texts.push_back(R"({"$or":[{"v":[{"anything-but":{"prefix":"a"}}]},{"v":["ab"]},{"w":["x"]}]})");
    texts.push_back(R"({"v":[{"anything-but":"ab"},"ab"]})");
    texts.push_back(R"({"v":[{"anything-but":{"prefix":"ab"}}],"w":["x"]})");
    return texts;
}

}  // namespace

TEST_CASE("rules that exclude texts and numbers of any form answer as the reference does")
{
    // Few of them among many others are answered one by one, many of few all at once.
    const std::uint32_t others = GENERATE(0, 6'000, 40'000);
    std::vector<Pattern> judged, patterns;
    for (const std::string& text : negatives()) judged.push_back(compiled(text));
    for (const std::string& text : negatives()) patterns.push_back(compiled(text));
    for (std::uint32_t i = 0; i < others; ++i) patterns.push_back(compiled(R"({"w":["x)" + std::to_string(i) + "\"]}"));
    for (const std::string& text : negatives()) patterns.push_back(compiled(text));
    const auto behind = static_cast<std::uint32_t>(judged.size()) + others;
    const RuleSet set(std::move(patterns));
    Matching matching;
    for (const char* value :
         {R"("ab")", R"("abc")", R"("AB")", R"("cd")", R"("xbcx")", R"("zz")", R"("")", R"("10.1.2.3")", "5", "5.0", "1.5e0", "7", "null", "true", "[]",
          R"(["ab"])", R"(["ab","zz"])", R"(["zz","ab"])", R"([5,"ab"])", R"([5,4,"a"])", R"([{"v":1}])", R"({"v":"ab"})"})
        for (const char* more : {"", R"(,"w":"x")", R"(,"w":"x7")", R"(,"v":"ab")"}) {
            const std::string event = R"({"v":)" + std::string(value) + more + "}";
            INFO(event);
            json::Document document;
            json::SyntaxError error;
            REQUIRE(document.parse(event, {}, error));
            std::vector<std::uint32_t> before, after, got;
            for (std::uint32_t i = 0; i < judged.size(); ++i)
                if (matches(judged[i], document)) before.push_back(i), after.push_back(behind + i);
            if (others > 7 && event.find("x7") != std::string::npos) before.push_back(static_cast<std::uint32_t>(judged.size()) + 7);
            before.insert(before.end(), after.begin(), after.end());
            set.match(document, matching, got);
            REQUIRE(got == before);
        }
}
