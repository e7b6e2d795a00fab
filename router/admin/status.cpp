#include "router/admin/status.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "router/replay_name.hpp"

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

constexpr Ending endings[] = {Ending::delivered,           Ending::dead_lettered,
                              Ending::discarded_operator,  Ending::discarded_retention,
                              Ending::discarded_overflow,  Ending::expired,
                              Ending::damaged,             Ending::lost,
                              Ending::moved};

json to_json(const Forecast& forecast)
{
    const auto seconds = [](std::optional<Duration> time) {
        return time ? json(std::chrono::duration<double>(*time).count()) : json(nullptr);
    };
    json out{{"drains_in_seconds", seconds(forecast.drains_in)}, {"given_up_in_seconds", seconds(forecast.given_up_in)}};
    if (forecast.given_up_in) out["given_up_by"] = text_of(forecast.given_up_by);
    if (forecast.rates) {
        out["came_per_second"] = forecast.rates->came;
        out["ended_per_second"] = forecast.rates->ended;
    }
    return out;
}

json to_json(const TargetStatus& target, WallTime now)
{
    json out{{"name", target.name},
             {"kind", target.kind},
             {"address", target.address},
             {"state", text_of(target.state)},
             {"cursor", target.cursor},
             {"seen", target.seen},
             {"pending",
              {{"total", target.pending.sum()},
               {"waiting", target.pending.waiting},
               {"in_flight", target.pending.in_flight},
               {"retry", target.pending.retry},
               {"delayed", target.pending.delayed},
               {"parked", target.pending.parked}}},
             {"breaker", text_of(target.breaker)},
             {"in_flight", target.in_flight},
             {"uncommitted", target.uncommitted},
             {"forwards_waiting", target.forwards_waiting},
             {"attempts", target.counters.attempts},
             {"requests", target.counters.requests},
             {"bisected", target.counters.bisected},
             {"delivered", target.counters.delivered},
             {"failed", target.counters.failed},
             {"retried", target.counters.retried},
             {"dead_lettered", target.counters.dead_lettered},
             {"expired", target.counters.expired},
             {"forwarded", target.counters.forwarded},
             {"consecutive_failures", target.consecutive_failures}};
    if (!target.paused_reason.empty()) out["reason"] = target.paused_reason;
    if (target.drain) out["draining"] = {{"left", target.drain->left}, {"reason", target.drain->reason}};
    if (target.rate.any())
        out["rate_limit"] = {{"per_second", target.rate.per_second},
                             {"burst", target.rate.burst},
                             {"waits_seconds", std::chrono::duration<double>(target.rate_waits).count()}};
    if (target.parked_keys > 0)
        out["order"] = {{"parked_keys", target.parked_keys},
                        {"keys_on_hold", target.keys_on_hold},
                        {"stopped", target.parked_full}};
    if (target.budget.bytes > 0)
        out["budget"] = {{"bytes", target.budget.bytes},
                         {"used", target.budget_used ? json(*target.budget_used) : json(nullptr)},
                         {"over", target.over_budget},
                         {"overflow", text_of(target.budget.overflow)},
                         {"overflowed", target.counters.overflowed},
                         {"dead_letters", target.budget.dead_letters}};
    out["forecast"] = to_json(target.forecast);
    if (!target.drains_to.empty()) out["drains_to"] = target.drains_to;
    if (!target.counters.last_error.empty()) {
        out["last_error"] = target.counters.last_error;
        out["last_error_at"] = to_rfc3339(target.counters.last_error_at);
        out["last_error_age_seconds"] =
            std::chrono::duration_cast<std::chrono::seconds>(now - target.counters.last_error_at).count();
    }
    for (const targets::StatusItem& item : target.items) out["details"][item.key] = item.value;
    return out;
}

json to_json(const LedgerRow& row)
{
    json out{{"rule", row.rule}, {"target", row.target}, {"routed", row.routed}, {"replayed", row.replayed},
             {"moved_in", row.moved_in}};
    for (const Ending ending : endings) {
        const auto found = row.ended.find(ending);
        out[text_of(ending)] = found == row.ended.end() ? 0 : found->second;
    }
    return out;
}

json to_json(const JournalStatus& journal)
{
    json out{{"last", journal.last},
             {"synced", journal.synced},
             {"oldest", journal.oldest},
             {"commits", journal.commits},
             {"events", journal.events},
             {"event_bytes", journal.event_bytes},
             {"written_bytes", journal.written_bytes},
             {"failed_commits", journal.failed_commits},
             {"uncertain_events", journal.uncertain_events},
             {"refused_no_space", journal.refused_no_space},
             {"sync_seconds", journal.sync_seconds},
             {"queued_bytes", journal.queued_bytes},
             {"segments", journal.segments},
             {"disk_bytes", journal.disk_bytes},
             {"known_keys", journal.known_keys},
             {"keys_forgotten_early", journal.keys_forgotten_early},
             {"accepting", journal.accepting},
             {"store", journal.recovery.store.text()},
             {"damaged", journal.recovery.damaged.size()}};
    const RecoveryReport& recovery = journal.recovery;
    json start{{"events", recovery.events},
               {"torn_bytes", recovery.torn_bytes},
               {"store_mismatch", recovery.store_mismatch},
               {"quarantined", recovery.quarantined}};
    start["damaged"] = json::array();
    for (std::size_t i = 0; i < recovery.damaged.size() && i < 1000; ++i) {
        json one{{"sequence", recovery.damaged[i].sequence}, {"deliveries", json::array()}};
        for (const auto& [rule, target] : recovery.damaged[i].routes)
            one["deliveries"].push_back({{"rule", rule}, {"target", target}});
        start["damaged"].push_back(std::move(one));
    }
    if (recovery.lost_last > 0) start["lost"] = {{"first", recovery.lost_first}, {"last", recovery.lost_last}};
    out["recovery"] = std::move(start);
    return out;
}

json to_json(const StateStatus& state)
{
    json out{{"batches", state.batches},     {"changes", state.changes},
             {"queued", state.queued},       {"wal_bytes", state.wal_bytes},
             {"settled_unsynced", state.settled_unsynced}, {"failing", state.failing},
             {"damaged", state.damaged}};
    if (state.report.set_aside || !state.report.why.empty())
        out["start"] = {{"set_aside", state.report.set_aside},
                        {"moved_to", state.report.moved_to},
                        {"why", state.report.why},
                        {"salvaged_targets", state.report.salvaged_targets},
                        {"salvaged_retries", state.report.salvaged_retries},
                        {"salvaged_dead_letters", state.report.salvaged_dead_letters},
                        {"lost_dead_letters", state.report.lost_dead_letters}};
    return out;
}

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

json to_json(const MatchTotals& matching)
{
    constexpr std::size_t paths_shown = 10;
    json paths = json::array();
    for (const auto& [path, its] : most_expensive(matching, paths_shown))
        paths.push_back({{"path", path}, {"candidates", its.candidates}, {"seconds", seconds(its.time)}});
    return {{"events", matching.events},
            {"touched", matching.cost.touched},
            {"candidates", matching.cost.candidates},
            {"matches", matching.cost.matches},
            {"sampled", {{"events", matching.sampled_events},
                         {"seconds", seconds(matching.sampled_time)},
                         {"paths", std::move(paths)}}}};
}

json to_json(const BusStatus& bus)
{
    return {{"name", bus.name},
            {"rules", bus.rules},
            {"durability", bus.durability},
            {"unmatched", bus.unmatched},
            {"rule_set", {{"predicates", bus.rule_set.predicates},
                          {"keys", bus.rule_set.keys},
                          {"bytes", bus.rule_set.bytes},
                          {"compile_seconds", seconds(bus.rules_built)}}},
            {"matching", to_json(bus.matching)}};
}

json reload_json(const StatusReport& report)
{
    if (!report.has_last_reload) return nullptr;
    return {{"ok", report.last_reload.ok},
            {"at", to_rfc3339(report.last_reload_at)},
            {"report", report.last_reload.report}};
}

}  // namespace

std::vector<LedgerRow> ledger_at_cut(std::vector<LedgerRow> routed, const std::vector<TargetStatus>& targets)
{
    std::map<std::pair<std::string, std::string>, LedgerRow*> rows;
    for (LedgerRow& row : routed) rows[{row.target, row.rule}] = &row;
    std::vector<LedgerRow> only_moved;
    for (const TargetStatus& target : targets) {
        if (!target.ledger) continue;
        // What ended after the cut is not in the targets' rows; it must not stay in these.
        for (auto row = rows.lower_bound({target.name, {}}); row != rows.end() && row->first.first == target.name; ++row) {
            row->second->ended.clear();
            row->second->replayed = row->second->moved_in = 0;
        }
        for (const LedgerRow& own : *target.ledger) {
            if (const auto row = rows.find({own.target, own.rule}); row != rows.end()) {
                row->second->ended = own.ended;
                row->second->replayed = own.replayed;
                row->second->moved_in = own.moved_in;
            } else if (own.moved_in > 0) {  // nothing was ever routed there, and `routed` is older
                only_moved.push_back(own);
            }
        }
    }
    routed.insert(routed.end(), only_moved.begin(), only_moved.end());
    return routed;
}

std::vector<LedgerRow> with_replays(std::vector<LedgerRow> rows)
{
    std::map<std::pair<std::string, std::string>, LedgerRow> joined;
    for (LedgerRow& row : rows) {
        const bool replay = parse_replay_name(row.rule).has_value();
        const std::string rule{plain_rule(row.rule)};
        LedgerRow& to = joined[{rule, row.target}];
        to.rule = rule;
        to.target = row.target;
        (replay ? to.replayed : to.routed) += row.routed;
        to.replayed += row.replayed;
        to.moved_in += row.moved_in;
        to.counted += replay ? 0 : row.counted;
        for (const auto& [ending, count] : row.ended) to.ended[ending] += count;
    }
    rows.clear();
    for (auto& [key, row] : joined) rows.push_back(std::move(row));
    return rows;
}

Balance balance(const StatusReport& report)
{
    Balance sum;
    for (const LedgerRow& row : report.ledger) {
        sum.routed += row.routed;
        sum.replayed += row.replayed;
        sum.moved_in += row.moved_in;
        for (const auto& [ending, count] : row.ended) sum.ended += count;
    }
    for (const TargetStatus& target : report.targets) sum.pending += target.pending.sum();
    return sum;
}

std::string status_json(const StatusReport& report)
{
    const Balance sums = balance(report);
    json out{{"version", report.version},
             {"started", to_rfc3339(report.started)},
             {"uptime_seconds",
              std::chrono::duration_cast<std::chrono::seconds>(report.now - report.started).count()},
             {"ready", report.not_ready.empty()},
             {"reasons", report.not_ready},
             {"generation", report.generation},
             {"rules", report.rules},
             {"loaded", to_rfc3339(report.loaded)},
             {"reloads", report.reloads},
             {"reloads_failed", report.reloads_failed},
             {"last_reload", reload_json(report)},
             {"resident_bytes", report.resident_bytes},
             {"pending", sums.pending},
             {"balanced", sums.holds()},
             {"difference", static_cast<std::int64_t>(sums.promised()) -
                                static_cast<std::int64_t>(sums.ended + sums.pending)},
             {"journal", to_json(report.journal)},
             {"state", to_json(report.state)}};
    out["buses"] = json::array();
    for (const BusStatus& bus : report.buses) out["buses"].push_back(to_json(bus));
    out["targets"] = json::array();
    for (const TargetStatus& target : report.targets) out["targets"].push_back(to_json(target, report.now));
    out["ledger"] = json::array();
    for (const LedgerRow& row : report.ledger) out["ledger"].push_back(to_json(row));
    out["archives"] = json::array();
    for (const ArchiveStatus& archive : report.archives)
        out["archives"].push_back({{"bus", archive.bus},
                                   {"through", archive.through},
                                   {"oldest", archive.oldest},
                                   {"files", archive.files},
                                   {"events", archive.events},
                                   {"bytes", archive.bytes},
                                   {"removed", archive.removed},
                                   {"error", archive.error}});
    out["events"] = json::array();
    for (const EventTotals& row : report.events)
        out["events"].push_back({{"bus", row.bus},
                                 {"source", row.source},
                                 {"received", row.accepted + row.duplicate + row.refused},
                                 {"accepted", row.accepted},
                                 {"duplicate", row.duplicate},
                                 {"refused", row.refused},
                                 {"matched", row.matched},
                                 {"unmatched", row.unmatched}});
    json requests = json::object();
    for (const auto& [status, count] : report.ingest.requests) requests[std::to_string(status)] = count;
    out["ingest"] = {{"requests", requests},
                     {"body_bytes", report.ingest.body_bytes},
                     {"connections", report.ingest.connections},
                     {"connections_total", report.ingest.connections_total},
                     {"connections_refused", report.ingest.connections_refused},
                     {"buffered_bytes", report.ingest.buffered_bytes}};
    return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace eventyard::router::admin
