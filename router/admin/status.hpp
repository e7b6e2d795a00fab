// router/admin/status.hpp — one look at the whole daemon, and how it is shown. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "router/archive/archive.hpp"
#include "router/delivery/target_status.hpp"
#include "router/ingest/match_meter.hpp"
#include "router/journal/journal.hpp"
#include "router/router.hpp"
#include "router/state/state.hpp"

namespace eventyard::router::admin {

struct BusStatus {
    std::string name;
    std::uint64_t rules = 0;           // switched on
    std::string durability;
    std::string unmatched;
    rules::RuleSetFigures rule_set;
    Duration rules_built{};            // how long making the rule set took
    MatchTotals matching;              // since the start of the process
};

struct IngestStatus {
    std::vector<std::pair<unsigned, std::uint64_t>> requests;  // HTTP status, answers
    std::uint64_t body_bytes = 0;
    std::uint64_t connections = 0;     // open now
    std::uint64_t connections_total = 0;
    std::uint64_t connections_refused = 0;
    std::uint64_t buffered_bytes = 0;  // of limits.buffers, now
};

struct JournalStatus {
    Sequence last = 0, synced = 0, oldest = 0;
    std::uint64_t commits = 0, events = 0, event_bytes = 0, written_bytes = 0;
    std::uint64_t failed_commits = 0, uncertain_events = 0, refused_no_space = 0;
    double sync_seconds = 0;
    std::uint64_t queued_bytes = 0, segments = 0, disk_bytes = 0, lane_reads = 0, read_bytes = 0;
    std::uint64_t known_keys = 0, keys_forgotten_early = 0;  // of buses with `dedup`
    bool accepting = true;
    RecoveryReport recovery;
};

struct StateStatus {
    std::uint64_t batches = 0, changes = 0, queued = 0, wal_bytes = 0, settled_unsynced = 0;
    bool failing = false;
    bool damaged = false;  // until the next start
    StateReport report;
};

struct StatusReport {
    std::string version;
    WallTime started{}, now{};
    std::vector<std::string> not_ready;   // reasons; empty: ready
    std::uint64_t generation = 0;
    std::uint64_t rules = 0;
    WallTime loaded{};
    std::uint64_t reloads = 0, reloads_failed = 0;
    bool has_last_reload = false;
    ReloadResult last_reload;
    WallTime last_reload_at{};
    std::uint64_t resident_bytes = 0;
    std::vector<BusStatus> buses;
    std::vector<TargetStatus> targets;
    std::vector<LedgerRow> ledger;
    std::vector<EventTotals> events;
    IngestStatus ingest;
    JournalStatus journal;
    std::vector<ArchiveStatus> archives;
    StateStatus state;
};

/// The ledger of one cut: what is routed of `routed`, which was read at that cut, and how it ended of the targets.
[[nodiscard]] std::vector<LedgerRow> ledger_at_cut(std::vector<LedgerRow> routed, const std::vector<TargetStatus>& targets);

/// The ledger summed over rules: promised = every ending + pending must hold. What was moved from one target to another
/// is on both sides.
struct Balance {
    std::uint64_t routed = 0, replayed = 0, moved_in = 0, ended = 0, pending = 0;
    [[nodiscard]] std::uint64_t promised() const noexcept { return routed + replayed + moved_in; }
    [[nodiscard]] bool holds() const noexcept { return promised() == ended + pending; }
};
/// Rows of replays (see replay_name.hpp) joined to those of their rules: what they routed is `replayed` there.
[[nodiscard]] std::vector<LedgerRow> with_replays(std::vector<LedgerRow> rows);
[[nodiscard]] Balance balance(const StatusReport& report);

/// For GET /v1/status; described in docs/http-api.md.
[[nodiscard]] std::string status_json(const StatusReport& report);
/// For GET /metrics, in Prometheus' text format.
[[nodiscard]] std::string metrics_text(const StatusReport& report);

}  // namespace eventyard::router::admin
