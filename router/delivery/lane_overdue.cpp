// What ends without another attempt, because it is too old: deliveries that expired by their rule, and, of a target
// that is down or paused, those that have waited for max_age.
//
// Of a target that works, a delivery is looked at when its turn comes. Here is what would not have its turn:
// a target that looks down gets one probe at a time, which would never reach the end of a long backlog, and a
// paused or orphaned one gets nothing. An orphan's policy is gone with its configuration, so only what its
// rules said (expire_after) ends its deliveries. A window's worth ends, then the state comes first: dead
// letters on their way there stay bounded.
#include <algorithm>
#include <utility>

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
    if (!flight.order_key.empty() && !in_turn(flight, todo)) return true;  // those before it are as old
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
         })) {
        if (row.delayed()) --delayed_;
        gather(now);  // each alone: it is no attempt, as things are
        const std::uint32_t ticket = open_flight(now, Work::retry);
        close_batch(*gathering_);
        Flight& flight = flights_[ticket];
        flight.aged = true;
        take_row(std::move(row), flight);
        todo.events.push_back({ticket, flight.row.key.sequence, flight.row.letter});
    }
}

}  // namespace eventyard::router
