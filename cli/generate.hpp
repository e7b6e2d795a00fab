// cli/generate.hpp — families of rules and events made up for benchmarks, the same on every machine.
//
// Rule i and event k of a family are functions of (family, number of rules, seed, index) alone, so
// they are made when needed, in any order. Events aim at rules: most of them match one or a few, and
// how many does not grow with the number of rules unless the family says so. Only integers are drawn
// and printed, by generators of our own, so nothing depends on the standard library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace eventyard::cli {

/// What a family is for.
enum class FamilyGroup : std::uint8_t {
    shape,   // what rule sets look like; each has a floor
    growth,  // the cost of an event must not follow the number of rules
    output,  // matches dominate: the cost of one match counts
    limit,   // no bound can hold; candidates and rate are printed
    event,   // unusual events
};
[[nodiscard]] const char* word_of(FamilyGroup group) noexcept;

/// The size of a set and the seed of its events.
struct Scale {
    std::uint64_t rules = 0;
    std::uint64_t seed = 1;
};

struct Family {
    const char* name;
    FamilyGroup group;
    const char* summary;
    std::uint64_t events;  // how many distinct events a run has unless told otherwise
    std::uint64_t per_rule;  // what N counts, when one rule holds that many of it (branches of $or); else 1
    /// Appends the pattern of rule `i`, i < scale.rules.
    void (*rule)(const Scale& scale, std::uint64_t i, std::string& out);
    /// Appends event `k` as one line of JSON, without the line's end.
    void (*event)(const Scale& scale, std::uint64_t k, std::string& out);
};

[[nodiscard]] const std::vector<Family>& families();
/// Null when there is none of that name.
[[nodiscard]] const Family* find_family(const std::string& name);

}  // namespace eventyard::cli
