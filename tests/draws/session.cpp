#include "tests/draws/session.hpp"

#include <algorithm>

namespace eventyard::draws {

std::string judge_set(const Vocabulary& words, const std::vector<Tree>& patterns, const SetOptions& options,
                      Dice& random, rules::Matching& used, Tally& tally)
{
    Rules rules(patterns);
    if (rules.texts.empty()) return {};
    ++tally.sets;
    std::vector<bool> expected;
    for (std::size_t i = 0; i < options.events; ++i) {
        std::vector<std::uint32_t> aimed;
        for (std::size_t n = random.chance(50) ? 1 : random.between(2, 4); n > 0; --n)
            aimed.push_back(static_cast<std::uint32_t>(random.below(rules.texts.size())));
        EventOptions how;
        how.elements = options.elements == 0 ? 0 : random.between(1, options.elements);
        AimedEvent drawn = draw_event(rules.texts, aimed, words, how, random);
        if (std::string wrong = rules.compare(drawn.event, used, expected, false); !wrong.empty())
            return wrong + "\n" + shrink(rules.texts, drawn.event);
        ++tally.events;
        const Spelling spelling = spelling_of(drawn.event);
        for (const Aim& aim : drawn.aims) tally.add(aim, rules.texts[aim.rule], spelling, expected[aim.rule]);
        for (const bool match : expected) tally.pairs.add(match);
    }
    return {};
}

std::string draw_and_judge_set(const SetOptions& options, Dice& random, rules::Matching& used, Tally& tally)
{
    Vocabulary words = draw_vocabulary(random);
    if (!options.forms.empty()) steer(words, options.forms, options.setting, random);
    std::vector<Tree> patterns;
    // Small sets are as likely as large ones.
    const std::size_t reach = std::size_t{1} << random.below(9);
    for (std::size_t n = random.between(1, std::min(reach, options.rules_max)); n > 0; --n)
        patterns.push_back(draw_pattern(words, random));
    if (random.below(8) == 0 && !patterns.empty()) patterns.push_back(patterns.front());  // the same rule twice
    return judge_set(words, patterns, options, random, used, tally);
}

}  // namespace eventyard::draws
