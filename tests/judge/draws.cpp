// judge_draws PAIRS SEED: rule sets and events of the language that Eventyard shares with event-ruler,
// as JSON Lines {"patterns":[text], "events":[text], "answers":["0110"]}: one digit a pattern.
#include <cstdlib>
#include <iostream>

#include "tests/draws/events.hpp"
#include "tests/draws/judge.hpp"
#include "tests/draws/rules.hpp"

using namespace eventyard;
using namespace eventyard::draws;

namespace {

/// One set; the number of pairs in it. Half of the sets hold nothing that is known to differ.
std::size_t write_set(std::uint64_t seed)
{
    Dice random(seed);
    Vocabulary words = draw_vocabulary(random);
    const bool plain = random.chance(50);
    keep_common(words, plain);
    std::vector<Tree> patterns;
    for (std::size_t n = random.between(1, 30); n > 0; --n) patterns.push_back(draw_pattern(words, random));
    const Rules rules(patterns, 0);
    if (rules.texts.empty()) return 0;
    const rules::RuleSet all(rules.patterns);
    rules::Matching matching;
    Tree texts = Tree::array(), events = Tree::array(), answers = Tree::array();
    for (const Tree& text : rules.texts) texts.items.push_back(Tree::string(text.json()));
    for (int i = 0; i < 20; ++i) {
        std::vector<std::uint32_t> aimed;
        for (std::size_t n = random.between(1, 2); n > 0; --n)
            aimed.push_back(static_cast<std::uint32_t>(random.below(rules.texts.size())));
        const Tree event = draw_event(rules.texts, aimed, words, {}, random).event;
        if (plain && spelling_of(event).repeated) continue;
        json::Document document;
        json::SyntaxError error;
        const std::string text = event.json();
        if (!document.parse(text, {}, error)) std::abort();
        std::vector<std::uint32_t> matched;
        all.match(document, matching, matched);
        std::string digits(rules.texts.size(), '0');
        for (const std::uint32_t rule : matched) digits[rule] = '1';
        events.items.push_back(Tree::string(text));
        answers.items.push_back(Tree::string(std::move(digits)));
    }
    const std::size_t pairs = rules.texts.size() * events.items.size();
    Tree line = Tree::object();
    line.add("patterns", std::move(texts));
    line.add("events", std::move(events));
    line.add("answers", std::move(answers));
    std::cout << line.json() << '\n';
    return pairs;
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::cerr << "usage: judge_draws PAIRS SEED\n";
        return 2;
    }
    const std::uint64_t wanted = std::strtoull(argv[1], nullptr, 10);
    std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
    for (std::uint64_t pairs = 0; pairs < wanted; ++seed) pairs += write_set(seed);
    return std::cout.good() ? 0 : 1;
}
