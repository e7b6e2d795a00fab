#include "router/audit.hpp"

#include <algorithm>
#include <map>

namespace eventyard::router {
namespace {

using Pair = std::pair<std::string, std::string>;  // target, rule
using Rows = std::map<Pair, AuditRow>;

AuditRow& row_of(Rows& rows, const std::string& rule, const std::string& target)
{
    AuditRow& row = rows[{target, rule}];
    row.rule = rule;
    row.target = target;
    return row;
}

/// Deliveries of each target above its cursor, less what is settled there already.
Result<void> count_waiting(const StateSnapshot& state, Journal& journal, Sequence end, Rows& rows)
{
    std::map<Sequence, std::vector<std::string>> by_cursor;  // idle targets share theirs
    std::vector<DeliveryKey> settled;
    for (const TargetPosition& target : state.targets) {
        by_cursor[target.cursor].push_back(target.target);
        for (const DeliveryKey& key : target.settled)
            if (key.sequence > target.cursor) settled.push_back(key);
    }
    for (const auto& [cursor, targets] : by_cursor) {
        EVENTYARD_TRY(above, journal.tally(cursor, end));
        for (const auto& [route, n] : above)
            if (std::find(targets.begin(), targets.end(), route.second) != targets.end())
                row_of(rows, route.first, route.second).pending += static_cast<std::int64_t>(n);
    }
    if (settled.empty()) return {};
    EVENTYARD_TRY(of, journal.tally_of(std::move(settled)));
    for (const auto& [route, n] : of) row_of(rows, route.first, route.second).pending -= static_cast<std::int64_t>(n);
    return {};
}

}  // namespace

Result<AuditReport> audit(const AuditState& state, Journal& journal)
{
    const StateSnapshot& known = state.snapshot;
    AuditReport report;
    report.counted_through = known.counted_through;
    report.oldest = journal.oldest();
    report.through = std::max(journal.synced(), known.routed_through);
    Rows rows;
    for (const LedgerRow& one : known.ledger) {
        AuditRow& row = row_of(rows, one.rule, one.target);
        row.counted = one.counted;
        row.routed = one.routed;
        row.replayed = one.replayed;
        row.moved_in = one.moved_in;
        row.ended = one.ended;
    }
    EVENTYARD_TRY(kept, journal.tally(known.counted_through, report.through));
    for (const auto& [route, n] : kept) row_of(rows, route.first, route.second).counted += n;
    EVENTYARD_TRY(newer, journal.tally(known.routed_through, report.through));
    for (const auto& [route, n] : newer) row_of(rows, route.first, route.second).routed += n;
    EVENTYARD_CHECK(count_waiting(known, journal, report.through, rows));
    for (const auto& [route, n] : state.retries)
        row_of(rows, route.first, route.second).pending += static_cast<std::int64_t>(n);
    for (const TargetPosition& target : known.targets)
        if (!target.trusted) report.doubtful.push_back(target.target);
    for (auto& [key, row] : rows) report.rows.push_back(std::move(row));
    return report;
}

}  // namespace eventyard::router
