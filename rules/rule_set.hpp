// rules/rule_set.hpp — all patterns of one bus, asked at once.
//
// Immutable after building; match() may run on any number of threads, each with a Matching of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "rules/pattern.hpp"

namespace eventyard::rules {

/// What answers cost, added up. The time of match() follows these, not the number of rules.
struct MatchCost {
    std::uint64_t touched = 0;     // pairs of a distinct value and an access predicate it satisfies
    std::uint64_t candidates = 0;  // rules whose whole pattern was looked at
    std::uint64_t matches = 0;     // rules returned
};

/// What a rule set holds.
struct RuleSetFigures {
    std::size_t rules = 0;
    std::size_t predicates = 0;  // distinct tests of a value at a path
    std::size_t keys = 0;        // predicates that rules are found by
    std::size_t bytes = 0;       // of the engine, patterns left out
};

/// Where the work for one event went: for those events that are looked at more closely.
struct MatchSample {
    explicit MatchSample(const Clock& to_ask) : clock(to_ask) {}

    /// What was done about values at one path; several may be of the same.
    struct Row {
        std::uint32_t path = 0;        // RuleSet::path() has the text; 0: rules that no value leads to
        std::uint64_t candidates = 0;  // verified because of a value there
        Duration time{};               // finding and verifying those; reading the event is not in it
    };
    const Clock& clock;
    std::vector<Row> rows;
};

class Engine;
struct EngineMemory;

/// The memory of one thread's calls, kept from one event to the next. May serve any RuleSet.
class Matching {
public:
    Matching();
    ~Matching();
    Matching(Matching&&) noexcept;
    Matching& operator=(Matching&&) noexcept;

    MatchCost cost;

private:
    friend class RuleSet;
    std::unique_ptr<EngineMemory> memory_;
};

class RuleSet {
public:
    RuleSet();
    explicit RuleSet(std::vector<Pattern> patterns);

    /// Appends to `out` the index of every pattern that matches, ascending.
    void match(const json::Document& event, Matching& matching, std::vector<std::uint32_t>& out) const;
    /// As above, and writes to `sample` what was done. Asks its clock often.
    void match(const json::Document& event, Matching& matching, std::vector<std::uint32_t>& out,
               MatchSample& sample) const;
    /// As the first, with memory of the calling thread.
    void match(const json::Document& event, std::vector<std::uint32_t>& out) const;
    /// For benchmarks: finds the fields that rules name in an event that is known to be valid JSON, and
    /// stops reading an object when each of its wanted names was seen once. `event` has
    /// Document::padding readable bytes after its end.
    void match_unchecked(std::string_view event, Matching& matching, std::vector<std::uint32_t>& out) const;
    [[nodiscard]] std::size_t size() const noexcept;
    /// The text of a pattern that was added as one; empty for others.
    [[nodiscard]] std::string_view plain_text(std::uint32_t index) const noexcept;
    [[nodiscard]] RuleSetFigures figures() const noexcept;
    /// The text of a path in a MatchSample of this set; empty for 0.
    [[nodiscard]] std::string path(std::uint32_t number) const;

private:
    friend class RuleSetBuilder;
    explicit RuleSet(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

    std::shared_ptr<const Engine> engine_;
};

class Builder;

/// Builds a RuleSet rule by rule. Of a plain pattern no more is kept than its text.
class RuleSetBuilder {
public:
    RuleSetBuilder();
    ~RuleSetBuilder();
    RuleSetBuilder(const RuleSetBuilder&) = delete;
    RuleSetBuilder& operator=(const RuleSetBuilder&) = delete;

    void add(Pattern pattern);
    /// Adds a pattern given as JSON text when it is of the plain form that large sets mostly have, and so
    /// is valid and gives no cause for a warning (rules/engine/plain_patterns.hpp). False: nothing was added; read_pattern_text() and
    /// compile_pattern() know the whole language.
    [[nodiscard]] bool add_plain(std::string_view json);
    /// As above, for the value at `index` of a text that is parsed already.
    [[nodiscard]] bool add_plain(const json::Document& text, std::uint32_t index);
    /// Patterns added.
    [[nodiscard]] std::uint32_t size() const noexcept;
    /// Once.
    [[nodiscard]] RuleSet build();

private:
    std::shared_ptr<Engine> engine_;
    std::unique_ptr<Builder> builder_;
    json::Document text_;
};

}  // namespace eventyard::rules
