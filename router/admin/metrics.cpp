// The page of metrics: names by Prometheus' conventions, labels bounded by the configuration (bus and
// target names; what is known a rule stands in the status only).
#include <map>

#include "router/admin/exposition.hpp"
#include "router/admin/status.hpp"
#include "router/state/rows.hpp"

namespace eventyard::router::admin {
namespace {

double number(std::uint64_t value) { return static_cast<double>(value); }

void process_metrics(Exposition& page, const StatusReport& report)
{
    page.gauge("eventyard_info", "Version of the running binary.", {{"version", report.version}}, 1);
    page.gauge("eventyard_ready", "1 when events are accepted.", {}, report.not_ready.empty() ? 1 : 0);
    page.gauge("eventyard_start_time_seconds", "Start of the process since the epoch.", {},
               std::chrono::duration<double>(report.started.time_since_epoch()).count());
    page.gauge("eventyard_resident_memory_bytes", "Resident memory of the process.", {},
               number(report.resident_bytes));
    page.gauge("eventyard_config_generation", "Configurations put into effect since the start.", {},
               number(report.generation));
    page.gauge("eventyard_config_rules", "Rules in effect.", {}, number(report.rules));
    page.counter("eventyard_reloads_total", "Reloads asked for.", {{"result", "ok"}},
                 number(report.reloads - report.reloads_failed));
    page.counter("eventyard_reloads_total", "Reloads asked for.", {{"result", "failed"}},
                 number(report.reloads_failed));
    page.gauge("eventyard_last_reload_ok", "0 when the last reload failed and the old table stays.", {},
               !report.has_last_reload || report.last_reload.ok ? 1 : 0);
}

void ingest_metrics(Exposition& page, const StatusReport& report)
{
    for (const auto& [status, count] : report.ingest.requests)
        page.counter("eventyard_http_requests_total", "Answers of the ingest listener.",
                     {{"status", std::to_string(status)}}, number(count));
    page.counter("eventyard_http_body_bytes_total", "Bytes of request bodies taken in.", {},
                 number(report.ingest.body_bytes));
    page.gauge("eventyard_http_connections", "Connections of the ingest listener open now.", {},
               number(report.ingest.connections));
    page.counter("eventyard_http_connections_total", "Connections the ingest listener has taken.", {},
                 number(report.ingest.connections_total));
    page.counter("eventyard_http_connections_refused_total", "Connections above limits.connections.", {},
                 number(report.ingest.connections_refused));
    page.gauge("eventyard_http_buffered_bytes",
               "Unfinished requests, batches being stored and unread answers; limits.buffers bounds it.", {},
               number(report.ingest.buffered_bytes));
    std::map<std::string, EventTotals> buses;
    for (const EventTotals& row : report.events) {
        EventTotals& sum = buses[row.bus];
        sum.accepted += row.accepted;
        sum.duplicate += row.duplicate;
        sum.refused += row.refused;
        sum.matched += row.matched;
        sum.unmatched += row.unmatched;
    }
    for (const auto& [bus, sum] : buses) {
        const char* name = "eventyard_events_total";
        const char* help = "Events received, by what became of them at the door.";
        page.counter(name, help, {{"bus", bus}, {"result", "matched"}}, number(sum.matched));
        page.counter(name, help, {{"bus", bus}, {"result", "unmatched"}}, number(sum.unmatched));
        page.counter(name, help, {{"bus", bus}, {"result", "duplicate"}}, number(sum.duplicate));
        page.counter(name, help, {{"bus", bus}, {"result", "refused"}}, number(sum.refused));
    }
}

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

void rule_metrics(Exposition& page, const BusStatus& bus)
{
    const auto gauge = [&](const char* name, const char* help, double value) {
        page.gauge(name, help, {{"bus", bus.name}}, value);
    };
    const auto counter = [&](const char* name, const char* help, double value) {
        page.counter(name, help, {{"bus", bus.name}}, value);
    };
    gauge("eventyard_rules", "Rules in effect, those switched off left out.", number(bus.rules));
    gauge("eventyard_rule_set_predicates", "Distinct tests of a value in the compiled rules.", number(bus.rule_set.predicates));
    gauge("eventyard_rule_set_keys", "Predicates that rules are found by.", number(bus.rule_set.keys));
    gauge("eventyard_rule_set_bytes", "Memory of the compiled rules.", number(bus.rule_set.bytes));
    gauge("eventyard_rule_set_compile_seconds", "Time it took to make the compiled rules.", seconds(bus.rules_built));
    const MatchTotals& all = bus.matching;
    counter("eventyard_match_events_total", "Events asked of the rules.", number(all.events));
    counter("eventyard_match_touched_total", "Pairs of a value and a predicate it satisfies.", number(all.cost.touched));
    counter("eventyard_match_candidates_total", "Rules verified.", number(all.cost.candidates));
    counter("eventyard_match_matches_total", "Rules matched.", number(all.cost.matches));
    counter("eventyard_match_sampled_events_total", "Events whose matching was timed.", number(all.sampled_events));
    counter("eventyard_match_sampled_seconds_total", "Time that matching those took.", seconds(all.sampled_time));
}

void journal_metrics(Exposition& page, const JournalStatus& journal)
{
    page.counter("eventyard_journal_commits_total", "Commit blocks written.", {}, number(journal.commits));
    page.counter("eventyard_journal_events_total", "Events written.", {}, number(journal.events));
    page.counter("eventyard_journal_event_bytes_total", "Bytes of event bodies written.", {}, number(journal.event_bytes));
    page.counter("eventyard_journal_written_bytes_total", "Bytes written to segments.", {}, number(journal.written_bytes));
    page.counter("eventyard_journal_sync_seconds_total", "Time spent in fdatasync.", {}, journal.sync_seconds);
    page.counter("eventyard_journal_failed_commits_total", "Commits whose write or sync failed.", {}, number(journal.failed_commits));
    page.counter("eventyard_journal_uncertain_events_total", "Events answered 503 with an unknown outcome.", {}, number(journal.uncertain_events));
    page.counter("eventyard_journal_refused_no_space_total", "Units refused for lack of disk space.", {}, number(journal.refused_no_space));
    page.gauge("eventyard_dedup_keys", "Keys of events that buses with 'dedup' know.", {}, number(journal.known_keys));
    page.counter("eventyard_dedup_keys_forgotten_early_total", "Keys forgotten within their window, for there were more than 'keys_max'.", {},
                 number(journal.keys_forgotten_early));
    page.gauge("eventyard_journal_accepting", "0 while nothing can be accepted (no space, failing disk).", {}, journal.accepting ? 1 : 0);
    page.gauge("eventyard_journal_queued_bytes", "Bytes waiting for the next commit.", {}, number(journal.queued_bytes));
    page.gauge("eventyard_journal_segments", "Segment files.", {}, number(journal.segments));
    page.gauge("eventyard_journal_disk_bytes", "Bytes of segment files.", {}, number(journal.disk_bytes));
    page.gauge("eventyard_journal_last_sequence", "Highest sequence given.", {}, number(journal.last));
    page.gauge("eventyard_journal_oldest_sequence", "Lowest sequence kept.", {}, number(journal.oldest));
    page.counter("eventyard_journal_read_bytes_total", "Bytes read back for lanes that lag and for retries.", {}, number(journal.read_bytes));
    page.gauge("eventyard_journal_damaged_events", "Synced events the last start could not read.", {}, number(journal.recovery.damaged.size()));
}

void archive_metrics(Exposition& page, const ArchiveStatus& archive)
{
    const std::string& bus = archive.bus;
    page.gauge("eventyard_archive_events", "Archived events.", {{"bus", bus}}, number(archive.events));
    page.gauge("eventyard_archive_bytes", "Bytes of archive files.", {{"bus", bus}}, number(archive.bytes));
    page.gauge("eventyard_archive_through_sequence", "Everything up to here is archived.", {{"bus", bus}}, number(archive.through));
    page.counter("eventyard_archive_removed_total", "Events that retention removed.", {{"bus", bus}}, number(archive.removed));
    page.gauge("eventyard_archive_failing", "1 while segments cannot be archived and are kept.", {{"bus", bus}}, archive.error.empty() ? 0 : 1);
}

void state_metrics(Exposition& page, const StateStatus& state)
{
    page.counter("eventyard_state_batches_total", "Transactions of state.db.", {}, number(state.batches));
    page.counter("eventyard_state_changes_total", "Changes applied to state.db.", {}, number(state.changes));
    page.gauge("eventyard_state_queued", "Changes waiting for the next transaction.", {}, number(state.queued));
    page.gauge("eventyard_state_wal_bytes", "Size of the write-ahead log.", {}, number(state.wal_bytes));
    page.gauge("eventyard_state_settled_unsynced", "Deliveries settled since the last durable transaction.", {}, number(state.settled_unsynced));
    page.gauge("eventyard_state_failing", "1 while transactions fail.", {}, state.failing ? 1 : 0);
    page.gauge("eventyard_state_damaged", "1 once a page of state.db was met that cannot be read: restart.", {}, state.damaged ? 1 : 0);
}

void target_metrics(Exposition& page, const TargetStatus& target)
{
    const std::string& name = target.name;
    const LaneCounters& counters = target.counters;
    page.gauge("eventyard_target_up", "1 while the target is being delivered to.", {{"target", name}},
               target.state == TargetState::running ? 1 : 0);
    for (const TargetState state : {TargetState::running, TargetState::failing, TargetState::paused, TargetState::orphaned})
        page.gauge("eventyard_target_state", "1 for the state the target is in.",
                   {{"target", name}, {"state", text_of(state)}}, target.state == state ? 1 : 0);
    if (target.drain)
        page.gauge("eventyard_target_drain_left", "Deliveries until the target that drains is paused.", {{"target", name}},
                   number(target.drain->left));
    const char* pending = "eventyard_target_pending";
    const char* pending_help = "Deliveries not ended, counted by where they are.";
    page.gauge(pending, pending_help, {{"target", name}, {"where", "waiting"}}, number(target.pending.waiting));
    page.gauge(pending, pending_help, {{"target", name}, {"where", "in_flight"}}, number(target.pending.in_flight));
    page.gauge(pending, pending_help, {{"target", name}, {"where", "retry"}}, number(target.pending.retry));
    page.gauge(pending, pending_help, {{"target", name}, {"where", "delayed"}}, number(target.pending.delayed));
    page.gauge(pending, pending_help, {{"target", name}, {"where", "parked"}}, number(target.pending.parked));
    page.gauge("eventyard_target_parked_keys", "Order keys that wait behind a failed delivery.", {{"target", name}},
               number(target.parked_keys));
    page.gauge("eventyard_target_keys_on_hold", "Of them those that an operator has to release.", {{"target", name}},
               number(target.keys_on_hold));
    page.gauge("eventyard_target_in_flight", "Attempts under way; with uncommitted, what a crash now would repeat at most.",
               {{"target", name}}, number(target.in_flight));
    page.gauge("eventyard_target_uncommitted", "Deliveries settled but not durably so yet.", {{"target", name}}, number(target.uncommitted));
    page.counter("eventyard_target_attempts_total", "Attempts.", {{"target", name}}, number(counters.attempts));
    page.counter("eventyard_target_requests_total", "Requests the attempts were made in.", {{"target", name}}, number(counters.requests));
    page.counter("eventyard_target_bisected_requests_total", "Requests refused as a whole and taken apart.", {{"target", name}}, number(counters.bisected));
    page.counter("eventyard_target_failed_attempts_total", "Attempts that failed.", {{"target", name}}, number(counters.failed));
    page.counter("eventyard_target_delivered_total", "Deliveries the target took.", {{"target", name}}, number(counters.delivered));
    page.counter("eventyard_target_retried_total", "Attempts after the first.", {{"target", name}}, number(counters.retried));
    page.counter("eventyard_target_dead_lettered_total", "Deliveries given up.", {{"target", name}}, number(counters.dead_lettered));
    page.counter("eventyard_target_overflowed_total", "Of them: beyond the target's budget.", {{"target", name}}, number(counters.overflowed));
    page.counter("eventyard_target_expired_total", "Deliveries that their rule's expire_after ended.", {{"target", name}}, number(counters.expired));
    page.counter("eventyard_target_damaged_total", "Deliveries whose event could not be read any more.", {{"target", name}}, number(counters.damaged));
    if (target.budget.bytes > 0) {
        page.gauge("eventyard_target_budget_bytes", "Bytes that may wait for the target.", {{"target", name}}, number(target.budget.bytes));
        page.gauge("eventyard_target_over_budget", "1 while more than that waits.", {{"target", name}}, target.over_budget ? 1 : 0);
        if (target.budget_used)
            page.gauge("eventyard_target_budget_used_bytes", "Bytes that wait, at most.", {{"target", name}}, number(*target.budget_used));
    }
    const auto forecast = [&](const char* metric, const char* help, std::optional<Duration> time) {
        if (time) page.gauge(metric, help, {{"target", name}}, seconds(*time));
    };
    forecast("eventyard_target_drains_in_seconds", "Until nothing waits, at the pace of the last half minute; absent: not at that pace.",
             target.forecast.drains_in);
    forecast("eventyard_target_given_up_in_seconds", "Until the oldest that waits ends undelivered, by its age or the budget.",
             target.forecast.given_up_in);
    page.gauge("eventyard_target_consecutive_failures", "Failed attempts since the last success.", {{"target", name}}, target.consecutive_failures);
    page.histogram("eventyard_target_attempt_seconds", "Duration of attempts.", {{"target", name}},
                   {LatencyHistogram::bounds.begin(), LatencyHistogram::bounds.end()},
                   {counters.latency.counts.begin(), counters.latency.counts.end()}, counters.latency.sum_seconds);
}

void ledger_metrics(Exposition& page, const StatusReport& report)
{
    const Balance sums = balance(report);
    page.counter("eventyard_ledger_routed_total", "Deliveries promised.", {}, number(sums.routed));
    page.counter("eventyard_ledger_replayed_total", "Deliveries promised by replays.", {}, number(sums.replayed));
    page.counter("eventyard_ledger_moved_in_total", "Deliveries that targets took over from others; they ended as moved there.", {},
                 number(sums.moved_in));
    page.counter("eventyard_ledger_ended_total", "Deliveries that ended, in whatever way.", {}, number(sums.ended));
    std::map<Ending, std::uint64_t> ended;
    for (const LedgerRow& row : report.ledger)
        for (const auto& [ending, count] : row.ended) ended[ending] += count;
    for (int i = 0; i < router::endings; ++i) {
        const auto ending = static_cast<Ending>(i);
        page.gauge("eventyard_ledger_endings", "Deliveries by how they ended; one that is redriven is no longer dead_lettered.",
                   {{"ending", text_of(ending)}}, number(ended[ending]));
    }
    page.gauge("eventyard_ledger_pending", "Deliveries not ended, counted.", {}, number(sums.pending));
    page.gauge("eventyard_ledger_balanced", "1 when routed + replayed + moved in = ended + pending.", {}, sums.holds() ? 1 : 0);
}

}  // namespace

std::string metrics_text(const StatusReport& report)
{
    Exposition page;
    process_metrics(page, report);
    ingest_metrics(page, report);
    for (const BusStatus& bus : report.buses) rule_metrics(page, bus);
    journal_metrics(page, report.journal);
    for (const ArchiveStatus& archive : report.archives) archive_metrics(page, archive);
    state_metrics(page, report.state);
    for (const TargetStatus& target : report.targets) target_metrics(page, target);
    ledger_metrics(page, report);
    return page.text();
}

}  // namespace eventyard::router::admin
