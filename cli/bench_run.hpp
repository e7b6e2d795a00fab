// cli/bench_run.hpp — times a set of rules on events, beside simdjson on the same events.
//
// First every event is checked, answered in both ways and the answers are compared; nothing of that
// is timed. Then rounds: in each, every column goes over the events in turn, so that a machine that
// drifts moves all of them alike; the median of the rounds counts. Last, single events are timed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_events.hpp"
#include "core/time.hpp"
#include "rules/rule_set.hpp"

namespace eventyard::cli {

/// What is timed. The first two are the engine, the others the limits to compare it with.
enum class Column : std::uint8_t {
    matching_only,  // RuleSet::match_unchecked: trusts the event, may stop early
    product,        // as ingest does: every byte checked, then RuleSet::match
    dom,            // simdjson's DOM parse
    stage1,         // simdjson's structural index alone
};
constexpr std::size_t column_count = 4;
[[nodiscard]] const char* word_of(Column column) noexcept;   // for scripts
[[nodiscard]] const char* title_of(Column column) noexcept;  // for people

struct BenchOptions {
    unsigned threads = 1;
    Duration seconds = std::chrono::seconds(3);  // a column; with slow sets up to three times as long
    bool unchecked = false;  // no check, no comparison of answers, no simdjson: for profilers
};

/// What the rules answered, independent of the order in which events were asked.
struct Answers {
    std::uint64_t events = 0;    // answered; fewer than there are when the set is slow
    bool complete = true;        // all of them
    std::uint64_t matches = 0;
    std::uint64_t digest = 0;    // sum over matches of pair_mix(event, rule)
    std::uint64_t differing = 0; // events on which the two engine columns disagree
    std::uint64_t first_differing = 0;  // its number, from 0
    std::vector<std::uint64_t> of_rule; // matches of each rule
};

/// A finaliser of splitmix64 over (event << 32 | rule), both from 0: what peers compute as well.
[[nodiscard]] std::uint64_t pair_mix(std::uint64_t event, std::uint64_t rule) noexcept;

struct ColumnResult {
    bool measured = false;
    std::vector<double> rates;     // events/s of each round
    bool complete = true;          // each round went over all events
    std::uint64_t events = 0;      // of all rounds
    std::uint64_t failed = 0;      // events that were refused
    Duration cpu{};                // of all rounds and threads: steadier on a busy machine
    rules::MatchCost cost;         // of all rounds; engine columns only
    std::vector<std::uint32_t> nanoseconds;  // of single events, sorted
    [[nodiscard]] double rate() const;       // the median
    [[nodiscard]] std::uint32_t percentile(double share) const noexcept;
};

struct BenchResult {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::size_t rounds = 0;
    Answers answers;  // zero when unchecked
    std::array<ColumnResult, column_count> columns;
    [[nodiscard]] const ColumnResult& of(Column c) const { return columns[static_cast<std::size_t>(c)]; }
};

/// Fails on an event that is no JSON, with its line, and on a source that cannot be read.
[[nodiscard]] Result<BenchResult> run_bench(const rules::RuleSet& set, EventSource& source,
                                            const BenchOptions& options);

}  // namespace eventyard::cli
