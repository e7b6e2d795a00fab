// router/state/pending_rows.hpp — which pending deliveries are meant, and those of them that the state has rows of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.hpp"
#include "core/time.hpp"
#include "router/journal/record.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router {

struct RetryRow;

/// An empty field takes all.
struct DeliveryFilter {
    std::string target{}, rule{};                // a rule with its replays, or one replay of it by its whole name
    std::string delivery{};                      // its id, as in webhook-id
    Id event{};                                  // nil: any
    WallTime received_before = WallTime::max();  // exclusive

    /// @param addressee  the target of its id, see RetryRow::addressee()
    [[nodiscard]] bool takes(std::string_view of_target, std::string_view of_rule, const Id& of_event,
                             WallTime received, std::string_view addressee) const
    {
        return (target.empty() || target == of_target) && (rule.empty() || rule == of_rule || rule == plain_rule(of_rule)) &&
               (event.is_nil() || event == of_event) && received < received_before &&
               (delivery.empty() || delivery == stored_delivery_id(of_event, of_rule, addressee));
    }
};

/// A place in the order of the rows.
struct RowPosition {
    DeliveryKey key;
    std::int64_t target = 0;  // as the state numbers them
};

struct RowPage {
    std::vector<RetryRow> rows;  // ascending; fewer than asked for where many had to be looked at
    RowPosition through;         // every row up to here was looked at
    bool more = false;
};

}  // namespace eventyard::router
