// What ends without another attempt, because it is too old: deliveries that expired by their rule, of a target
// that is down or paused those that have waited for max_age, and the oldest of what is beyond the target's budget.
//
// Of a target that works, a delivery is looked at when its turn comes. Here is what would not have its turn:
// a target that looks down gets one probe at a time, which would never reach the end of a long backlog, and a
// paused or orphaned one gets nothing. An orphan's policy is gone with its configuration, so only what its
// rules said (expire_after) ends its deliveries. A window's worth ends, then the state comes first: dead
// letters on their way there stay bounded.
//
// A budget says how much may wait, whatever state the target is in. Its oldest deliveries end: rows that are in memory,
// and when what is above the position is too much alone, what the window gives up to the sequence the journal has told.
// What waits behind its order key, as a row, cannot end before its turn: while the target is over its budget, what comes
// to such a key ends instead of becoming a row.
#include <algorithm>
#include <utility>

#include "core/units.hpp"
#include "router/delivery/lane.hpp"

namespace eventyard::router {
namespace {

constexpr Duration look_again = std::chrono::seconds{5};

}  // namespace

/// @param received  from when the row counts; @param expires  on the same clock
bool Lane::expired(const Now& now, WallTime received, WallTime expires) const noexcept
{
    return expires != WallTime::max() && ages_.age(received, now.steady, now.wall) >= expires - received;
}

void Lane::expire(const Now& now, Flight& flight, Todo& todo)
{
    ++counters_.expired;
    if (const auto count = expired_log_.count(now.steady)) todo.notes.push_back({Note::What::expired, count, {}});
    end(now, flight, Ending::expired, std::nullopt, std::nullopt, todo);
}

void Lane::end_overdue(const Now& now, Todo& todo)
{
    if (sends() && !down(now)) {
        overdue_at_.reset();
        return;
    }
    if (uncommitted_ > 0 || (overdue_at_ && now.steady < *overdue_at_)) return;
    const std::uint64_t flights = in_flight_;
    while (window_.can_start() && end_overdue_fresh(now, todo)) {}
    end_overdue_rows(now, todo);
    const bool ended = uncommitted_ > 0 || in_flight_ > flights;  // then there may be more, once that is durable
    overdue_at_ = ended ? std::nullopt : std::optional{now.steady + look_again};
}

/// The next of the window. False: it stays.
bool Lane::end_overdue_fresh(const Now& now, Todo& todo)
{
    Flight flight = take_fresh();
    if (is_erased(flight.event->event)) {
        discard(now, flight, todo);
        return true;
    }
    const RetryRow row = row_of(flight);
    const bool over = expired(now, row.received, row.expires);
    const bool aged = configured_ && (last_failure_ || !paused_.empty()) &&
                      ages_.age(row.received, now.steady, now.wall) >= settings_.retry.max_age;
    if (!over && !aged) {
        window_.give_back(flight.slot);
        return false;
    }
    if (settings_.order.order == Order::key) flight.order_key = order_key_of(*flight.event, flight.route);
    if (!flight.order_key.empty() && !in_turn(now, flight, todo)) return true;  // those before it are as old
    if (over) {
        expire(now, flight, todo);
        return true;
    }
    targets::Outcome outcome;
    if (paused_.empty()) outcome = *last_failure_;
    else outcome.detail = "the target was paused: " + paused_;
    dead_letter(now, flight, "max_age", 0, outcome, todo);
    return true;
}

/// Of the rows in memory. A dead letter needs the body, which is read first: on_event() ends them.
void Lane::end_overdue_rows(const Now& now, Todo& todo)
{
    for (RetryRow& row : schedule_.take_if(limits_.retries, [&](const RetryRow& one) {
             return expired(now, one.received, one.expires);
         })) {
        if (row.delayed()) --delayed_;
        Flight flight;
        flight.work = Work::retry;
        take_row(std::move(row), flight);
        expire(now, flight, todo);
    }
    if (!configured_ || (!last_failure_ && paused_.empty())) return;
    const std::size_t places = settings_.concurrency - std::min(settings_.concurrency, requests_);
    for (RetryRow& row : schedule_.take_if(places, [&](const RetryRow& one) {
             return ages_.age(one.received, now.steady, now.wall) >= settings_.retry.max_age;
         }))
        read_to_end(now, std::move(row), false, todo);
}

/// A dead letter needs the body.
void Lane::read_to_end(const Now& now, RetryRow row, bool overflows, Todo& todo)
{
    if (row.delayed()) --delayed_;
    gather(now);  // each alone: it is no attempt, as things are
    const std::uint32_t ticket = open_flight(now, Work::retry);
    close_batch(*gathering_);
    Flight& flight = flights_[ticket];
    flight.aged = !overflows;
    flight.overflows = overflows;
    take_row(std::move(row), flight);
    todo.events.push_back({ticket, flight.row.key.sequence, flight.row.letter});
}

// --- Beyond the budget ------------------------------------------------------------------------------

void Lane::tend_budget(const Now& now, Todo& todo)
{
    if (!configured_) return;
    if (pending().sum() == 0) {
        if (budget_.over()) todo.notes.push_back({Note::What::within_budget, 0, {}});
        budget_.emptied();
        return;
    }
    end_overflow(now, todo);
    if (!budget_.want_measure(now.steady)) return;
    todo.budget = BudgetRead{{window_.cursor(now.seen), UINT32_MAX}, schedule_.waiting() + held_, settings_.budget.bytes, window_.settled(now.seen)};
}

void Lane::end_overflow(const Now& now, Todo& todo)
{
    const std::size_t places = gathering_ ? 0 : settings_.concurrency - std::min(settings_.concurrency, requests_);
    if (budget_.rows_over() > 0 && places > 0 && room_for_letters()) {
        const std::size_t most = std::min<std::uint64_t>(places, budget_.rows_over());
        for (RetryRow& row : schedule_.take_if(most, [](const RetryRow& one) { return one.letter == 0; })) {
            budget_.ended_row();
            read_to_end(now, std::move(row), true, todo);
        }
    }
    while (budget_.over_through() > 0 && room_for_letters() && window_.can_start())
        if (!end_overflow_fresh(now, todo)) budget_.ended_through();
}

/// The next of the window. False: it stays.
bool Lane::end_overflow_fresh(const Now& now, Todo& todo)
{
    Flight flight = take_fresh();
    if (flight.event->sequence > budget_.over_through()) {
        window_.give_back(flight.slot);
        return false;
    }
    if (is_erased(flight.event->event)) {
        discard(now, flight, todo);
        return true;
    }
    if (settings_.order.order == Order::key) flight.order_key = order_key_of(*flight.event, flight.route);
    if (!flight.order_key.empty() && !in_turn(now, flight, todo)) return true;
    const RetryRow row = row_of(flight);
    if (expired(now, row.received, row.expires)) expire(now, flight, todo);
    else overflow(now, flight, todo);
    return true;
}

/// Behind a delivery of its order key that failed.
void Lane::overflow_parked(const Now& now, Flight& flight, Todo& todo)
{
    const std::string key = std::exchange(flight.order_key, {});
    const RetryRow row = row_of(flight);
    if (expired(now, row.received, row.expires)) return expire(now, flight, todo);
    if (settings_.order.hold) hold_key(now, key, todo);
    overflow(now, flight, todo);
}

void Lane::overflow(const Now& now, Flight& flight, Todo& todo)
{
    targets::Outcome outcome;
    outcome.detail = "more than the budget of " + format_size(settings_.budget.bytes) + " waited for the target";
    ++counters_.overflowed;
    dead_letter(now, flight, "overflow", flight.row.attempts, outcome, todo);
}

}  // namespace eventyard::router
