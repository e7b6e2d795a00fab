// router/route_table.hpp — one whole configuration, immutable: buses with their rules, targets,
// limits. A reload builds a new one beside the old and swaps one pointer.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/node.hpp"
#include "core/time.hpp"
#include "core/units.hpp"
#include "router/ingest/dedup.hpp"
#include "router/journal/record.hpp"
#include "router/routing_version.hpp"
#include "router/target_spec.hpp"
#include "rules/rule_set.hpp"

namespace eventyard::router {

/// Limits of the ingest endpoint; each refusal names the config key (`limits.<name>`).
struct IngestLimits {
    std::uint64_t body = 1U << 20;                   // limits.body: bytes of one request's body
    std::uint64_t headers = 16U << 10;               // limits.headers: bytes of one request's head
    std::uint32_t depth = 1000;                      // limits.depth: containers inside one another
    std::uint32_t batch = 1000;                      // limits.batch: items in one request
    std::uint32_t matches = 1000;                    // limits.matches: deliveries of one event
    std::uint32_t connections = 10'000;              // limits.connections: open at once
    std::uint64_t buffers = 256U << 20;              // limits.buffers: held by all connections that wait
    Duration idle = std::chrono::seconds{60};        // limits.idle: between requests
    Duration request = std::chrono::seconds{30};     // limits.request: first byte to last
    bool operator==(const IngestLimits&) const = default;
};

enum class Unmatched : std::uint8_t { drop, store, refuse };

/// One entry of a rule's `tests:`.
struct RuleTest {
    bool expect_match = true;
    std::string event;   // JSON text
    Place place;
};

/// What is looked at when somebody asks about a rule; matching and delivery do without.
struct RuleDetails {
    std::string description;
    std::shared_ptr<const Node> source;              // the pattern as its file says it
    rules::Pattern pattern;
    std::vector<RuleTest> tests;
};

/// What many rules share.
using SharedName = std::shared_ptr<const std::string>;
using SharedNames = std::shared_ptr<const std::vector<std::string>>;

struct Rule {
    std::string name;
    SharedName bus;
    SharedNames targets;
    std::shared_ptr<const RuleDetails> details;      // null: only a pattern, see RouteTable::details()
    Place place;
    std::uint32_t in_set = 0;                        // index into its bus's RuleSet, when enabled
    bool enabled = true;                             // false: checked and tested, but matches nothing
};

/// A list of numbers for each of many, laid one after the other.
class NumberLists {
public:
    void add(std::span<const std::uint32_t> list)
    {
        numbers_.insert(numbers_.end(), list.begin(), list.end());
        ends_.push_back(static_cast<std::uint32_t>(numbers_.size()));
    }
    [[nodiscard]] std::span<const std::uint32_t> operator[](std::size_t i) const noexcept
    {
        const std::uint32_t begin = i == 0 ? 0 : ends_[i - 1];
        return {numbers_.data() + begin, ends_[i] - begin};
    }

private:
    std::vector<std::uint32_t> numbers_, ends_;
};

/// Which events of a bus are kept after their delivery, and how long.
struct ArchiveOptions {
    Duration retention{0};                           // from receipt; zero: for ever
    std::uint64_t max_bytes = 0;                     // of files; 0: any
    std::shared_ptr<const rules::Pattern> pattern;   // null: every event
};

struct Bus {
    std::string name;
    std::uint32_t number = 0;                        // index into RoutingVersion::buses
    rules::RuleSet rules;
    Duration rules_built{};                          // the time it took to make `rules` of their patterns
    NumberLists routes;                              // RuleSet index -> indices into RoutingVersion::routes
    Unmatched unmatched = Unmatched::drop;
    Durability durability = Durability::fsync;
    std::optional<ArchiveOptions> archive;           // nothing: none
    std::shared_ptr<const DedupOptions> dedup;       // null: an event may come twice
};

struct LogOptions {
    std::string format = "text";  // text | json
    std::string level = "info";   // debug | info | warn | error
};

/// What is read once at start; a reload that changes one of these says that it needs a restart
/// (addresses excepted: a changed listener is reopened).
/// When dead letters are removed although nobody acted on them; zero: never.
struct DeadLetterRetention {
    Duration max_age{0};
    std::uint64_t max_bytes = 0;                      // of bodies
};

struct ProcessOptions {
    std::string listen_http = "127.0.0.1:8080";
    std::string listen_admin = "127.0.0.1:9080";
    std::string data_dir;
    std::uint32_t threads = 0;                        // 0: one a core
    std::uint64_t segment_size = 64ULL << 20;         // journal.segment_size
    std::uint64_t min_free = 0;                       // journal.min_free: bytes; 0: 5 %, at least 256 MiB
    Duration shutdown_grace = std::chrono::seconds{10};
    LogOptions log;
    DeadLetterRetention dead_letters;
};

struct RouteTable {
    ProcessOptions process;
    IngestLimits limits;
    std::map<std::string, Bus, std::less<>> buses;    // "default" is always there
    std::deque<Rule> rules;                           // never moved while a million are read
    std::map<std::string, TargetSpec, std::less<>> targets;
    /// Not stored yet when config builds it; the router replaces it by the stored one (with its
    /// number) before the table takes effect.
    RoutingVersionPtr version;
    /// By route of the version, null for most; empty when no target refuses what is beyond its budget.
    std::vector<std::shared_ptr<const Gate>> gates;
    std::map<std::string, std::uint64_t> dead_letter_budgets;  // by target, of those that have a budget
    /// Fills these two.
    void find_budgets();
    /// The first of these routes whose target refuses now; null: none.
    [[nodiscard]] const Gate* closed_gate(std::span<const std::uint32_t> routes) const noexcept
    {
        if (gates.empty()) return nullptr;
        for (const std::uint32_t route : routes)
            if (gates[route] && gates[route]->closed.load(std::memory_order_relaxed)) return gates[route].get();
        return nullptr;
    }
    /// Of a rule of this table. Those of a rule that is only a pattern are made anew on every call.
    [[nodiscard]] std::shared_ptr<const RuleDetails> details(const Rule& rule) const;
    std::uint64_t generation = 0;                     // 1, 2, ...: given by the router
    WallTime loaded{};
};

using RouteTablePtr = std::shared_ptr<const RouteTable>;

}  // namespace eventyard::router
