// The recorded answers of event-ruler 2.0.1: all hold here but those named in deviations.jsonl.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "rules/cases.hpp"
#include "rules/rule_set.hpp"

using namespace eventyard;
using Line = nlohmann::json;

namespace {

std::vector<Line> lines(const std::string& name)
{
    std::ifstream in(EVENTYARD_SOURCE_DIR "/tests/cases/patterns/" + name);
    std::vector<Line> all;
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) all.push_back(Line::parse(line));
    return all;
}

std::string answer_to(const Line& line)
{
    const auto answer = rules::ask(line.at("pattern").get<std::string>(),
                                   line.contains("event") ? line["event"].get<std::string>() : "{}");
    if (!answer.valid()) {
        REQUIRE(answer.error() != nullptr);
        CHECK(answer.error()->place.line >= 1);
        CHECK(answer.error()->place.column >= 1);
        return "refused";
    }
    CHECK(answer.match == answer.explanation.matched);
    return answer.match ? "match" : "no match";
}

}  // namespace

TEST_CASE("Every recorded line of event-ruler is answered alike, or its deviation is on the list")
{
    const auto vectors = lines("event-ruler-vectors.jsonl");
    REQUIRE(vectors.size() == 435);
    std::map<std::size_t, Line> deviations;
    for (const Line& one : lines("deviations.jsonl")) {
        REQUIRE((one.at("row").is_number() || one["row"].is_string()));
        REQUIRE(deviations.emplace(one.at("line").get<std::size_t>(), one).second);
    }
    CHECK(deviations.size() <= 30);
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        const Line& line = vectors[i];
        INFO("line " << i + 1 << ": " << line.dump());
        const std::string recorded = line.contains("crash") || line.contains("error") ? "refused"
                                     : line["match"].get<bool>()                      ? "match"
                                                                                      : "no match";
        const std::string ours = answer_to(line);
        if (const auto deviation = deviations.find(i + 1); deviation != deviations.end()) {
            CHECK(ours == deviation->second.at("ours").get<std::string>());
            CHECK(ours != recorded);
        } else {
            CHECK(ours == recorded);
        }
    }
}

TEST_CASE("The cases that follow from the definition")
{
    for (const Line& line : lines("definition.jsonl")) {
        INFO(line.dump());
        CHECK(answer_to(line) == line.at("answer").get<std::string>());
    }
}

TEST_CASE("Every mistake and warning is reported with its text and place")
{
    for (const Line& line : lines("refusals.jsonl")) {
        INFO(line.dump());
        const auto answer = rules::ask(line.at("pattern").get<std::string>(), "{}");
        std::vector<std::string> errors;
        std::vector<std::string> warnings;
        for (const auto& d : answer.report.diagnostics())
            (d.severity == Severity::error ? errors : warnings)
                .push_back(std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + ": " + d.message);
        CHECK(errors == line.value("errors", std::vector<std::string>{}));
        CHECK(warnings == line.value("warnings", std::vector<std::string>{}));
        CHECK(answer.pattern_valid == errors.empty());
        if (!errors.empty()) CHECK_FALSE(rules::RuleSetBuilder().add_plain(line.at("pattern").get<std::string>()));
    }
}
