// RuleSet against the reference evaluator, on rules and events drawn together.
//
//   EVENTYARD_LONG=1      ten million pairs, and on until every line of the table has 10,000 of each
//   EVENTYARD_SEED=N      begin with the set of that seed, as a failure names it
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "tests/draws/session.hpp"

using namespace eventyard;
using namespace eventyard::draws;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t slower = 20;
#else
constexpr std::uint64_t slower = 1;
#endif

bool long_run() { return std::getenv("EVENTYARD_LONG") != nullptr; }

std::uint64_t first_seed()
{
    const char* const given = std::getenv("EVENTYARD_SEED");
    return given == nullptr ? 20240901 : std::strtoull(given, nullptr, 10);
}

}  // namespace

TEST_CASE("a rule set answers as the reference does, rule by rule")
{
    constexpr std::uint64_t each_at_least = 10'000;
    const std::uint64_t wanted = long_run() ? 10'000'000 : 1'500'000 / slower;
    Tally tally;
    rules::Matching used;
    std::string whose;
    std::uint64_t seed = first_seed();
    SetOptions options;
    for (;; ++seed) {
        if (tally.pairs.matched + tally.pairs.failed >= wanted) {
            if (!long_run()) break;
            // Then what the table is still short of, one setting after the other.
            std::size_t looked = 0;
            do {
                options.setting = static_cast<Setting>((seed + looked) % setting_count);
                options.forms = tally.lacking(options.setting, each_at_least);
            } while (options.forms.empty() && ++looked < setting_count);
            if (options.forms.empty()) break;
            options.rules_max = 8;
            if (tally.sets % 5000 == 0)
                std::cerr << tally.sets << " sets, lowest " << tally.lowest(true, whose) << " (" << whose << ")\n";
        }
        INFO("EVENTYARD_SEED=" << seed << (options.forms.empty() ? "" : ", steered"));
        Dice random(seed);
        const std::string wrong = draw_and_judge_set(options, random, used, tally);
        if (!wrong.empty()) FAIL(wrong);
    }
    const std::uint64_t lowest = tally.lowest(long_run(), whose);
    const std::uint64_t least = long_run() ? each_at_least : 200 / slower;
    if (long_run() || lowest < least) std::cout << tally.table();
    INFO("lowest: " << lowest << " (" << whose << ")");
    CHECK(lowest >= least);
    const std::uint64_t aimed = tally.aimed.matched + tally.aimed.failed;
    CHECK(tally.aimed.matched * 100 >= aimed * 30);
    CHECK(tally.aimed.matched * 100 <= aimed * 70);
}

TEST_CASE("a rule set of thousands of rules of one shape answers as the reference does")
{
    rules::Matching used;
    Tally tally;
    const std::uint64_t first = first_seed();
    const std::uint64_t rounds = long_run() ? 20 : 1;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (std::size_t family = 0; family < families; ++family) {
            const std::uint64_t seed = first + round * families + family;
            INFO("EVENTYARD_SEED=" << first << ", family " << family << ", round " << round);
            Dice random(seed);
            const std::size_t sizes[] = {1000, 3000, family % 6 == seed % 6 ? 20'000U : 2000U};
            const std::size_t size = sizes[(seed + family / 3) % 3] / (slower == 1 ? 1 : 10);
            Vocabulary words = draw_vocabulary(random);
            words.paths = {{"source"}, {"detail", "name"}, {"detail", "amount"}, {"detail", "items", "id"},
                           {"detail", "state"}, {"detail", "a"}, {"detail", "b"}, {"detail", "gone"}};
            std::vector<Tree> patterns = draw_family(family, size, random);
            for (int i = 0; i < 20; ++i) patterns.push_back(draw_pattern(words, random));
            random.shuffle(patterns);
            const std::string wrong = judge_set(words, patterns, {0, 24, 0, {}, {}}, random, used, tally);
            if (!wrong.empty()) FAIL(wrong);
        }
    }
    CHECK(tally.aimed.matched > tally.aimed.failed / 4);
    CHECK(tally.aimed.failed > tally.aimed.matched / 20);
}

TEST_CASE("events with thousands of array elements are answered as the reference does")
{
    rules::Matching used;
    Tally tally;
    const std::uint64_t first = first_seed();
    const std::uint64_t rounds = (long_run() ? 3000 : 60) / (slower == 1 ? 1 : 5);
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        INFO("EVENTYARD_SEED=" << seed);
        Dice random(seed);
        const std::size_t elements = seed % 10 == 0 ? 6000 : 300;
        const std::string wrong = draw_and_judge_set({30, 3, elements, {}, {}}, random, used, tally);
        if (!wrong.empty()) FAIL(wrong);
    }
    CHECK(tally.pairs.matched > 0);
    CHECK(tally.pairs.failed > 0);
}

TEST_CASE("a $or of hundreds of branches is answered as the reference does")
{
    rules::Matching used;
    Tally tally;
    const std::uint64_t first = first_seed();
    const std::uint64_t rounds = (long_run() ? 1000 : 30) / (slower == 1 ? 1 : 5);
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        INFO("EVENTYARD_SEED=" << seed);
        Dice random(seed);
        const Vocabulary words = draw_vocabulary(random);
        std::vector<Tree> patterns;
        for (std::size_t n = random.between(1, 6); n > 0; --n)
            patterns.push_back(draw_wide_or(random.between(2, 600), words, random));
        const std::string wrong = judge_set(words, patterns, {0, 20, 0, {}, {}}, random, used, tally);
        if (!wrong.empty()) FAIL(wrong);
    }
    CHECK(tally.aimed.matched > 0);
    CHECK(tally.aimed.failed > 0);
}

TEST_CASE("threads that share one rule set get the reference's answers")
{
    Dice random(first_seed());
    const Vocabulary words = draw_vocabulary(random);
    std::vector<Tree> drawn;
    for (int i = 0; i < 200; ++i) drawn.push_back(draw_pattern(words, random));
    const Rules rules(drawn, 0);
    const rules::RuleSet shared(rules.patterns);
    std::vector<json::Document> events(300 / (slower == 1 ? 1 : 3));
    std::vector<std::vector<std::uint32_t>> wanted(events.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
        const std::vector<std::uint32_t> aimed{static_cast<std::uint32_t>(random.below(rules.texts.size()))};
        json::SyntaxError error;
        REQUIRE(events[i].parse(draw_event(rules.texts, aimed, words, {}, random).event.json(), {}, error));
        for (std::uint32_t rule = 0; rule < rules.patterns.size(); ++rule)
            if (rules::matches(rules.patterns[rule], events[i])) wanted[i].push_back(rule);
    }
    std::vector<std::size_t> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            rules::Matching matching;
            std::vector<std::uint32_t> out;
            for (std::size_t n = 0; n < 4 * events.size(); ++n) {
                const std::size_t i = (n * (t + 1) + t) % events.size();
                out.clear();
                shared.match(events[i], matching, out);
                wrong[t] += out == wanted[i] ? 0 : 1;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == std::vector<std::size_t>(4, 0));
}

TEST_CASE("a rule set without rules matches nothing, and drawn rules are seldom refused")
{
    const rules::RuleSet nothing;
    rules::Matching matching;
    json::Document event;
    json::SyntaxError error;
    REQUIRE(event.parse(R"({"a":1})", {}, error));
    std::vector<std::uint32_t> out;
    nothing.match(event, matching, out);
    rules::RuleSet(std::vector<rules::Pattern>{}).match(event, matching, out);
    CHECK(out.empty());

    Dice random(first_seed());
    std::size_t refused = 0;
    std::size_t all = 0;
    for (int i = 0; i < 100; ++i) {
        const Vocabulary words = draw_vocabulary(random);
        std::vector<Tree> drawn;
        for (int n = 0; n < 20; ++n) drawn.push_back(draw_pattern(words, random));
        const Rules rules(drawn, 0);
        refused += rules.refused.size();
        all += drawn.size();
        for (const std::string& why : rules.refused) {
            INFO(why);
            CHECK(why.find("taken for a plain pattern") == std::string::npos);
            CHECK((why.find("multiple times") != std::string::npos || why.find("combinations") != std::string::npos ||
                   why.find("reserved") != std::string::npos));
        }
    }
    CHECK(refused * 4 < all);
}
