// rules/expand.hpp — from the pattern as written to Conjunctions whose parts are independent.
//
// A `$or` stays in place unless one of its branches holds a path that starts with the same name as
// something beside it: both could read one array, and the element must be chosen for both at once.
// Only those are multiplied out, up to `combinations_max`.
#pragma once

#include <optional>

#include "rules/pattern_body.hpp"

namespace eventyard::rules {

inline constexpr std::uint64_t combinations_max = 1024;

struct WrittenOr;

/// One scope as written: spellings merged (dotted, nested, repeated `$or`), nothing multiplied out.
struct Written {
    struct Part {
        std::string name;
        std::uint32_t field = none;
        std::shared_ptr<Written> below;  // shared between copies; cloned before it is changed
    };
    std::vector<Part> parts;
    std::vector<WrittenOr> ors;

    Part& part(std::string_view name);
};

struct WrittenOr {
    std::string label;  // "detail.$or"
    Place place;
    std::vector<Written> branches;
};

/// Fills positions and root of `body`, whose fields are there. False after a mistake.
bool expand(const Written& root, Pattern::Body& body, Report& report);

}  // namespace eventyard::rules
