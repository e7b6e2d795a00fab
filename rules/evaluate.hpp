// rules/evaluate.hpp — whether a projected event satisfies a compiled pattern, by the definition in
// docs/patterns.md: every field gets a witness or is absent, and all witnesses agree on the array
// elements they lie in.
//
// Decided bottom-up: an array element either holds for the whole group of fields below the array,
// with a witness among them, or it does not; each leaf is looked at once for each field. Where one
// path is an object and an array at once (only repeated keys or dotted spellings make it so),
// rules/evaluate_mixed.cpp searches.
#pragma once

#include <vector>

#include "rules/pattern_body.hpp"
#include "rules/projection.hpp"

namespace eventyard::rules {

/// How a conjunction came to hold. Order matters: a witness is worth more than none.
enum class Held : std::uint8_t { no, absent, witnessed };

/// What was decided on the way to `true`, for explain().
struct Trace {
    struct Decision {
        std::uint32_t field = none;
        std::uint32_t leaf = none;  // the event's value; none: held by absence
    };
    std::vector<Decision> fields;
    std::vector<std::string> branches;
    std::vector<std::uint32_t> elements;  // the event's values
};

class Evaluator {
public:
    /// `trace` may be null. All must outlive the evaluator.
    Evaluator(const Pattern::Body& body, const json::Document& event, const Projection& projection,
              Trace* trace)
        : body_(body), values_(event.values()), projection_(projection), trace_(trace)
    {}

    [[nodiscard]] bool run() { return conjunction(body_.root, 0) != Held::no; }
    /// As run(), by the search for mixed events alone: the tests compare the two.
    [[nodiscard]] bool run_by_search();

    /// The leaf at `node` that is a witness of `field` (of all-of: its first item's), or none.
    [[nodiscard]] std::uint32_t witness(const Field& field, std::uint32_t node) const;
    /// Whether `field` may be held by absence when these nodes' leaves are all there is.
    [[nodiscard]] bool absent(const Field& field, const std::vector<std::uint32_t>& nodes) const;
    /// Whether all of `all` is held by absence over everything in these objects.
    [[nodiscard]] bool absent(const Conjunction& all, const std::vector<std::uint32_t>& objects);

private:
    struct Outcome;
    struct Active;
    struct Array;
    struct Search;

    struct Mark {
        std::size_t fields, branches, elements;
    };
    [[nodiscard]] Mark mark() const noexcept;
    void undo(const Mark& mark);

    [[nodiscard]] Held conjunction(const Conjunction& all, std::uint32_t object);
    [[nodiscard]] Held alternatives(const Alternatives& either, std::uint32_t object);
    [[nodiscard]] Held field(std::uint32_t index, std::uint32_t node);
    [[nodiscard]] Held below(const Conjunction& all, std::uint32_t node);
    [[nodiscard]] Held mixed(const Conjunction& all, std::uint32_t node);

    std::vector<Outcome> search(const Conjunction& all, const std::vector<std::uint32_t>& actives,
                                const std::vector<std::uint32_t>& passives);
    std::vector<Outcome> choose(const Conjunction& all, const std::vector<Active>& nodes,
                                const std::vector<std::uint32_t>& passives);
    void choose_next(Search& search, std::size_t array);
    void cover(const Conjunction& all, std::uint32_t object, std::vector<bool>& out) const;
    [[nodiscard]] bool possible(const Conjunction& all, const std::vector<bool>& covered) const;
    void describe(const Conjunction& all, std::uint32_t object, std::string& out) const;
    [[nodiscard]] std::vector<std::uint32_t> distinct_elements(const Conjunction& all,
                                                               std::uint32_t node) const;

    const Pattern::Body& body_;
    std::span<const json::Value> values_;
    const Projection& projection_;
    Trace* trace_;
};

}  // namespace eventyard::rules
