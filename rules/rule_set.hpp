// rules/rule_set.hpp — all patterns of one bus, asked at once.
//
// Immutable after building; match() may run on any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/pattern.hpp"

namespace eventyard::rules {

class RuleSet {
public:
    RuleSet() = default;
    explicit RuleSet(std::vector<Pattern> patterns) : patterns_(std::move(patterns)) {}

    /// Appends to `out` the index of every pattern that matches, ascending.
    void match(const json::Document& event, std::vector<std::uint32_t>& out) const;
    [[nodiscard]] std::size_t size() const noexcept { return patterns_.size(); }

private:
    std::vector<Pattern> patterns_;
};

}  // namespace eventyard::rules
