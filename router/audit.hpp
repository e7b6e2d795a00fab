// router/audit.hpp — the ledger held against the journal and the rows, delivery by delivery.
//
// Two equations a rule and target, both sides counted:
//     routed            = what the journal's kept segments route + what was counted before others went
//     routed + replayed + moved in = every ending + pending (behind the cursor, in flight, between two attempts)
// The state is looked at in one moment, the journal up to its end after that; what came in between is
// added to both sides.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

struct AuditRow {
    std::string rule, target;
    std::uint64_t counted = 0;            // recounted from the journal
    std::uint64_t routed = 0, replayed = 0, moved_in = 0;
    std::map<Ending, std::uint64_t> ended;
    std::int64_t pending = 0;             // counted; below zero only when something is wrong

    /// The ledger's less the recounted.
    [[nodiscard]] std::int64_t routed_difference() const noexcept
    {
        return static_cast<std::int64_t>(routed) - static_cast<std::int64_t>(counted);
    }
    /// What was promised and neither ended nor pends.
    [[nodiscard]] std::int64_t balance_difference() const noexcept
    {
        std::int64_t rest = static_cast<std::int64_t>(routed + replayed + moved_in) - pending;
        for (const auto& [ending, n] : ended) rest -= static_cast<std::int64_t>(n);
        return rest;
    }
    [[nodiscard]] bool good() const noexcept { return routed_difference() == 0 && balance_difference() == 0; }
};

struct AuditReport {
    std::vector<AuditRow> rows;           // by target and rule
    Sequence counted_through = 0;         // what came before was counted when its segments went
    Sequence oldest = 0, through = 0;     // counted in the journal now, above counted_through
    std::vector<std::string> doubtful;    // targets whose position was lost: they deliver again
    [[nodiscard]] bool good() const noexcept
    {
        for (const AuditRow& row : rows)
            if (!row.good()) return false;
        return true;
    }
};

/// Blocks: reads indices of segments.
Result<AuditReport> audit(const AuditState& state, Journal& journal);

}  // namespace eventyard::router
