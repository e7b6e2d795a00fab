// rules/engine/plain_patterns.hpp — patterns of the common form, read from their JSON text straight into
// the tables of a rule set.
//
// Plain is a pattern without `$or`, dotted or repeated names, whose items are values, exists, prefix,
// suffix, equals-ignore-case, wildcard, numeric and anything-but of values. Sets of a million rules
// are mostly that. Whatever is not surely plain, valid and above suspicion is left to rules/pattern.hpp, which knows the
// rest of the language and what to say about mistakes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/json.hpp"
#include "rules/engine/names.hpp"
#include "rules/engine/predicates.hpp"
#include "rules/engine/programs.hpp"

namespace eventyard::rules {

class PlainPatterns {
public:
    PlainPatterns(Names& names, Predicates& predicates, Programs& programs)
        : names_(names), predicates_(predicates), programs_(programs)
    {}

    /// The rule's program, or nothing when the value at `index` is not a plain pattern.
    std::optional<std::uint32_t> add(std::uint32_t rule, const json::Document& text, std::uint32_t index);

private:
    using Values = std::span<const json::Value>;

    bool object(Values values, std::uint32_t at, std::uint32_t position, int depth);
    bool list(Values values, std::uint32_t at, std::uint32_t position, bool& absentable);
    std::uint32_t item(Values values, std::uint32_t at, std::uint32_t position);
    std::uint32_t operation(Values values, std::uint32_t at, std::uint32_t position);
    std::uint32_t affix(Values values, std::uint32_t operand, std::uint32_t position, Op plain, Op folded);
    std::uint32_t numeric(Values values, std::uint32_t operand, std::uint32_t position);
    std::uint32_t anything_but(Values values, std::uint32_t operand, std::uint32_t position);
    std::uint32_t value(const json::Value& value, std::uint32_t position);
    std::uint32_t folded(std::uint32_t position, Op op, std::string_view text);

    Names& names_;
    Predicates& predicates_;
    Programs& programs_;
    std::vector<std::uint32_t> description_, slots_, open_, list_;
    std::string scratch_;
};

}  // namespace eventyard::rules
