// rules/pattern_body.hpp — a compiled pattern: fields, the names they lie under, what must hold.
//
// Scopes mirror the event: a Conjunction belongs to one path and holds fields and further scopes
// one name below it. `$or`s that could read one array together with something beside them have been
// expanded (rules/expand.hpp), so that whatever stands in one Conjunction is independent: each part
// may be decided by itself once the array elements above it are chosen.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/report.hpp"
#include "rules/matcher.hpp"
#include "rules/pattern.hpp"

namespace eventyard::rules {

inline constexpr std::uint32_t none = UINT32_MAX;

/// One path with its list of items.
struct Field {
    std::string path;                           // "detail.amount"
    Place place;
    std::string wanted;                         // the list as JSON
    std::vector<Matcher> any;                   // a value that satisfies one of these is a witness
    std::vector<std::vector<Matcher>> all_of;   // so are values of one place that satisfy all of these
    bool exists_false = false;                  // may be held by there being no value
    std::vector<std::vector<Matcher>> none_of;  // may be held by no value satisfying one of these

    [[nodiscard]] bool may_be_absent() const noexcept { return exists_false || !none_of.empty(); }
};

/// A name tree of all paths, for picking what matters out of an event.
struct Position {
    bool field = false;                                          // a field's path ends here
    std::vector<std::pair<std::string, std::uint32_t>> children;  // by name, sorted
    [[nodiscard]] std::uint32_t child(std::string_view name) const noexcept;
};

struct Alternatives;

struct Conjunction {
    struct Part {
        std::uint32_t position = none;       // of the name below this scope
        std::uint32_t field = none;          // index of the field whose path ends at that name
        std::unique_ptr<Conjunction> below;  // what lies below that name; null: nothing
    };
    std::vector<Part> parts;
    std::vector<Alternatives> alternatives;
    bool may_be_absent = true;  // could hold without any value
};

struct Branch {
    std::vector<std::string> labels;  // the `$or` branches taken, "detail.$or[1]"
    Conjunction all;
};

struct Alternatives {
    std::vector<Branch> branches;
};

struct Pattern::Body {
    std::vector<Field> fields;
    std::vector<Position> positions{1};  // the root's is 0
    Conjunction root;
};

}  // namespace eventyard::rules
