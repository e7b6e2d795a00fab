// tests/draws/events.hpp — events made from patterns: all of a rule's fields are satisfied, in arrays
// of objects, under repeated and dotted keys, between values that nearly satisfy; then zero to two
// things are changed.
#pragma once

#include "tests/draws/items.hpp"

namespace eventyard::draws {

/// What an event was aimed at.
struct Aim {
    std::uint32_t rule = 0;
    struct Field {
        Form form = Form::string;
        std::uint32_t arrays = 0;  // arrays of objects around its value
    };
    std::vector<Field> fields;
};

struct AimedEvent {
    Tree event;
    std::vector<Aim> aims;
};

struct EventOptions {
    std::size_t mutations_max = 2;
    std::size_t elements = 0;  // grow one array to about so many objects
};

/// An event for the rules at `aimed`, all of which it shall satisfy if they let each other.
[[nodiscard]] AimedEvent draw_event(const std::vector<Tree>& patterns, const std::vector<std::uint32_t>& aimed,
                                    const Vocabulary& words, const EventOptions& options, Dice& random);

/// Changes one thing; `paths` are names of fields that may be filled.
void mutate(Tree& event, const std::vector<std::vector<std::string>>& paths, const Vocabulary& words, Dice& random);

}  // namespace eventyard::draws
