#include "router/admin/audit_json.hpp"

#include <nlohmann/json.hpp>

#include "router/admin/paths.hpp"
#include "router/state/rows.hpp"

namespace eventyard::router::admin {

using nlohmann::json;

std::string audit_json(const AuditReport& report)
{
    json rows = json::array();
    for (const AuditRow& row : report.rows) {
        json out{{"rule", row.rule},
                 {"target", row.target},
                 {"recounted", row.counted},
                 {"routed", row.routed},
                 {"replayed", row.replayed},
                 {"moved_in", row.moved_in},
                 {"pending", row.pending},
                 {"routed_difference", row.routed_difference()},
                 {"balance_difference", row.balance_difference()}};
        for (int i = 0; i < endings; ++i) {
            const auto ending = static_cast<Ending>(i);
            const auto found = row.ended.find(ending);
            out[text_of(ending)] = found == row.ended.end() ? 0 : found->second;
        }
        rows.push_back(std::move(out));
    }
    return dump({{"good", report.good()},
                 {"counted_through", report.counted_through},
                 {"oldest", report.oldest},
                 {"through", report.through},
                 {"doubtful", report.doubtful},
                 {"rows", std::move(rows)}});
}

}  // namespace eventyard::router::admin
