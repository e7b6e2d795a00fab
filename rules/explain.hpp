// rules/explain.hpp — why a pattern did or did not match an event, for people and for scripts.
#pragma once

#include <string>
#include <vector>

#include "rules/pattern.hpp"

namespace eventyard::rules {

/// One field of the pattern and what became of it.
struct FieldVerdict {
    std::string path;                // "detail.amount"
    std::string wanted;              // the items as JSON text, e.g. [{"numeric":[">=",100]}]
    std::vector<std::string> seen;   // the leaves at the path as JSON text, in event order (capped)
    std::string witness;             // the satisfying leaf with its array places, e.g. "detail.items[2].id = 7"
    bool held = false;
    std::string reason;              // when not held: one sentence, e.g. "no value at the path",
                                     // "99 is not >= 100", "held, but only in another element of detail.items"
};

struct Explanation {
    bool matched = false;
    std::vector<FieldVerdict> fields;        // of the branch combination that matched or came nearest
    std::vector<std::string> or_branches;    // e.g. "detail.$or[1]" taken by the combination above
    std::vector<std::string> elements;       // chosen array elements, e.g. "detail.items[2]"
};

[[nodiscard]] Explanation explain(const Pattern& pattern, const json::Document& event);

}  // namespace eventyard::rules
