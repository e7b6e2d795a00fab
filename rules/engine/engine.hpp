// rules/engine/engine.hpp — a compiled rule set: what the builder made and match() asks.
//
// An event is read once (selection), its values touch predicates (access), what is listed under those
// is verified (programs). Immutable; all that changes while an event is looked at is in EngineMemory.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/engine/access.hpp"
#include "rules/engine/names.hpp"
#include "rules/engine/predicates.hpp"
#include "rules/engine/programs.hpp"
#include "rules/engine/references.hpp"
#include "rules/engine/selection.hpp"
#include "rules/rule_set.hpp"

namespace eventyard::rules {

/// One thread's memory, reused from event to event and for any rule set.
struct EngineMemory {
    Selection selection;
    FactMemory facts;
    std::vector<Touch> touched;
    std::vector<std::uint32_t> stack;
    std::vector<std::uint32_t> doubtful; // programs whose rules may exclude a value
    std::vector<std::uint64_t> matched;  // a bit a rule; all zero between events
    std::vector<std::uint32_t> seen;     // leaves of one node by their hash
};

class Engine {
public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// @param sample  where to write what was done about which path; may be null
    void match(const json::Document& event, EngineMemory& memory, MatchCost& cost, std::vector<std::uint32_t>& out,
               MatchSample* sample = nullptr) const;
    void match_unchecked(std::string_view event, EngineMemory& memory, MatchCost& cost,
                         std::vector<std::uint32_t>& out) const;
    [[nodiscard]] std::size_t size() const noexcept { return references_.size(); }
    [[nodiscard]] std::string_view plain_text(std::uint32_t rule) const noexcept { return references_.text(rule); }
    [[nodiscard]] RuleSetFigures figures() const noexcept;
    [[nodiscard]] std::string path(std::uint32_t position) const { return names_.path(position); }

private:
    friend class Builder;
    friend class RuleSetBuilder;
    class Run;

    References references_;
    Names names_;
    Predicates predicates_;
    Programs programs_{predicates_};
    Access access_;
};

}  // namespace eventyard::rules
