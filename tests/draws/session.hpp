// tests/draws/session.hpp — one rule set drawn from one seed, with its events, judged and counted.
#pragma once

#include "tests/draws/judge.hpp"
#include "tests/draws/rules.hpp"
#include "tests/draws/tally.hpp"

namespace eventyard::draws {

struct SetOptions {
    std::size_t rules_max = 200;
    std::size_t events = 24;
    std::size_t elements = 0;  // of one array in each event
    std::vector<Form> forms;   // not empty: of these only, and mostly in that setting
    Setting setting = Setting::flat;
};

/// Judges every event of the set. Empty, or a text that shows what went wrong.
[[nodiscard]] std::string judge_set(const Vocabulary& words, const std::vector<Tree>& patterns, const SetOptions& options,
                                    Dice& random, rules::Matching& used, Tally& tally);

/// As above, of rules drawn first.
[[nodiscard]] std::string draw_and_judge_set(const SetOptions& options, Dice& random, rules::Matching& used,
                                             Tally& tally);

}  // namespace eventyard::draws
