// router/ingest/match_meter.hpp — matches events against their bus, and counts what that costs.
//
// One of each I/O thread. What rules cost is counted on every event (docs/http-api.md); how long
// they take and which paths lead to the rules that are verified, on every 256th only: asking the
// clock would else cost more than matching does.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.hpp"
#include "core/time.hpp"
#include "router/route_table.hpp"
#include "rules/rule_set.hpp"

namespace eventyard::router {

/// Work that values at one path led to, in sampled events.
struct PathCost {
    std::uint64_t candidates = 0;
    Duration time{};
};

/// What matching on one bus has cost since the start.
struct MatchTotals {
    std::uint64_t events = 0;
    rules::MatchCost cost;
    std::uint64_t sampled_events = 0;
    Duration sampled_time{};                     // of match() for those
    std::uint64_t generation = 0;                // the configuration that `paths` is about
    std::map<std::string, PathCost> paths;       // "": rules that no value leads to

    /// `paths` are added when they are of the same configuration; else the newer ones stay.
    void add(const MatchTotals& other);
};

/// The paths that took most time, that one first.
[[nodiscard]] std::vector<std::pair<std::string, PathCost>> most_expensive(const MatchTotals& totals, std::size_t count);

class MatchMeter {
public:
    static constexpr std::uint64_t sample_every = 256;  // events, beginning with the first
    static constexpr std::size_t paths_max = 1000;      // a bus; paths met later are not listed

    explicit MatchMeter(const Clock& clock) : sample_(clock) {}

    /// The events that follow are of this bus.
    void enter(const RouteTable& table, const Bus& bus);
    /// Appends to `rules` what RuleSet::match() does. After enter(), whose arguments must still live.
    void match(const json::Document& event, std::vector<std::uint32_t>& rules);
    /// Any thread: adds what was counted, by bus.
    void sum_into(std::map<std::string, MatchTotals>& totals) const;

private:
    using Number = std::atomic<std::uint64_t>;
    struct PerBus {
        Number events{0}, touched{0}, candidates{0}, matches{0};
        // Under mutex_:
        MatchTotals sampled;  // its events and cost are not used
    };
    void match_sampled(const json::Document& event, std::vector<std::uint32_t>& rules);

    rules::Matching matching_;
    rules::MatchSample sample_;
    std::vector<std::uint32_t> again_;  // rules, found a second time
    std::uint64_t until_sample_ = 0;
    const Bus* bus_ = nullptr;
    std::uint64_t generation_ = 0;
    PerBus* counts_ = nullptr;
    std::map<std::string, std::unique_ptr<PerBus>, std::less<>> buses_;  // grown under mutex_ only
    mutable std::mutex mutex_;
};

}  // namespace eventyard::router
