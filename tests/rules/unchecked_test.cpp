// match_unchecked() reads no more of an event than the last ones needed, and yet finds what match() finds.
#include <catch2/catch.hpp>

#include "core/time.hpp"
#include "rules/pattern.hpp"
#include "rules/rule_set.hpp"

using namespace eventyard;
using namespace eventyard::rules;

namespace {

RuleSet rules_of(std::initializer_list<const char*> texts)
{
    std::vector<Pattern> patterns;
    for (const char* text : texts) {
        Report report;
        const auto node = read_pattern_text(text, {}, report);
        REQUIRE(node);
        auto pattern = compile_pattern(*node, report);
        REQUIRE(pattern);
        patterns.push_back(std::move(*pattern));
    }
    return RuleSet{std::move(patterns)};
}

class Events {
public:
    explicit Events(std::uint64_t seed) : random_(seed) {}

    std::string next()
    {
        std::string event = "{";
        const auto comma = [&] {
            if (event.size() > 1) event += ',';
        };
        const std::uint64_t first = pick(12), second = pick(12), third = pick(12);
        for (std::uint64_t i = 0; i < 12; ++i) {
            if (i == first) comma(), event += R"("kind":)" + word();
            if (i == second) comma(), event += R"("detail":{)" + filler("f") + R"(,"n":)" + std::to_string(pick(4)) + "," + filler("g") + "}";
            if (i == third && pick(3) != 0) comma(), event += R"("list":[)" + word() + "," + std::to_string(pick(9)) + R"(,{"id":)" + word() + "}]";
            comma();
            event += filler(std::to_string(i).c_str());
        }
        return event + "}";
    }

private:
    std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
    std::string word()
    {
        static const char* const words[] = {R"("a")", R"("b,\"c\"")", R"("\\")", R"("ä{[")", "null", "true", "1e2", R"("")"};
        return words[pick(8)];
    }
    /// A member that no rule wants, of any length, with all that can be mistaken for structure.
    std::string filler(const char* name)
    {
        std::string text = std::string{"\"x"} + name + "\":";
        switch (pick(4)) {
            case 0: return text + word();
            case 1: return text + "[" + word() + ",[" + word() + R"(],{"y":)" + word() + "}]";
            case 2: return text + "\"" + std::string(pick(300), ',') + R"(\",\\)" + std::string(pick(40), '{') + "\"";
            default: return text + std::to_string(pick(1'000'000)) + "." + std::to_string(pick(1000));
        }
    }

    SeededRandom random_;
};

}  // namespace

TEST_CASE("of a long event its beginning is enough, when all that rules want stands there")
{
    const RuleSet sets[] = {
        rules_of({R"({"kind":["a"]})", R"({"kind":["b,\"c\""]})", R"({"kind":[{"exists":true}]})"}),
        rules_of({R"({"detail":{"n":[1]}})", R"({"detail":{"n":[{"numeric":[">",1]}]}})"}),
        rules_of({R"({"kind":["a"],"detail":{"n":[2,3]}})", R"({"list":[null,5,"a"]})", R"({"list":{"id":["a"]}})",
                  R"({"list":[{"exists":false}],"kind":["\\"]})", R"({"kind":["ä{["]})"}),
    };
    const std::string padding(json::Document::padding, ' ');
    for (const RuleSet& set : sets) {
        Events events{7};
        Matching memory;
        std::uint64_t matched = 0;
        for (int i = 0; i < 20'000; ++i) {
            const std::string event = events.next(), padded = event + padding;
            json::Document document;
            json::SyntaxError error;
            REQUIRE(document.parse(event, {}, error));
            std::vector<std::uint32_t> whole, beginning;
            set.match(document, whole);
            set.match_unchecked(std::string_view{padded}.substr(0, event.size()), memory, beginning);
            if (whole != beginning) FAIL(event);
            matched += whole.size();
        }
        CHECK(matched > 1000);
    }
}
