// rules/cases.hpp — one pattern text asked about one event text: what `eventyard match` prints.
#pragma once

#include <string>
#include <string_view>

#include "rules/explain.hpp"

namespace eventyard::rules {

struct CaseAnswer {
    bool pattern_valid = false;
    bool event_valid = false;  // judged only when the pattern is valid
    bool match = false;
    Report report;             // mistakes and warnings of the pattern, or the event's syntax error
    Explanation explanation;   // when both are valid

    [[nodiscard]] bool valid() const noexcept { return pattern_valid && event_valid; }
    /// The first mistake in order of place, or null. Its place is in the text that is not valid.
    [[nodiscard]] const Diagnostic* error() const noexcept;
};

[[nodiscard]] CaseAnswer ask(std::string_view pattern, std::string_view event);

}  // namespace eventyard::rules
