// router/state/statements.hpp — the statements of the store, each prepared when it is first used.
#pragma once

#include "router/state/store.hpp"

namespace eventyard::router {

struct Store::Statements {
    Statement begin, commit;
    Statement put_meta, put_target, drop_target, put_mark;
    Statement add_retry, drop_retry, count_parked, drop_parked, hold_key, parked_keys, first_of_key;
    Statement put_attempt, drop_attempt, drop_attempts, move_attempts;
    Statement add_dead_letter, drop_dead_letter, drop_redriven, redrive, forwarded, key_of_dead_letter;
    Statement letters_of_event, erase_letter, erase_attempts;
    Statement get_group, count_groups, add_group, count_in_group, drop_empty_group, put_redrive, drop_redrives, add_key, drop_keys, drop_key_range;
    Statement add_count, add_events;
    Statement due, next, count_range, keys_in_range;
    Statement get_dead_letter, get_attempts, forwards, groups, get_redrives, letter_by_key, get_retry, row_of, ledger_of;

    /// `database` stays where it is as long as they live.
    static std::shared_ptr<Statements> of(const Database& database);
};

}  // namespace eventyard::router
