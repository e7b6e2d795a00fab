// What an operator does to single deliveries of a lane. See hands_on.hpp.
//
// Rows are read in the state, which is behind the lane: what the lane has touched since the read is told apart by
// watch_rows() and picked again. A delivery under way cannot be taken back from its target; it is marked, and ends
// with its attempt, or stays where it is.
#include <algorithm>
#include <map>
#include <utility>

#include "router/delivery/lane.hpp"

namespace eventyard::router {

const char* text_of(PendingDelivery::State state) noexcept
{
    switch (state) {
        case PendingDelivery::State::waiting: return "waiting";
        case PendingDelivery::State::in_flight: return "in_flight";
        case PendingDelivery::State::retry: return "retry";
        case PendingDelivery::State::delayed: return "delayed";
        case PendingDelivery::State::held: break;
    }
    return "held";
}

LaneView Lane::view(const Now& now) const
{
    LaneView view{target_, now.seen, position(now), !window_.empty(), {}, {}};
    for (const Flight& flight : flights_)
        if (flight.work != Work::none && flight.work != Work::forward && !flight.unread)
            view.in_flight.push_back(key_of(flight));
    for (const std::uint64_t slot : keys_.waiting_slots()) view.behind.push_back(window_.key_of(slot));
    std::sort(view.in_flight.begin(), view.in_flight.end());
    std::sort(view.behind.begin(), view.behind.end());
    return view;
}

void Lane::unwatch_rows() noexcept
{
    if (--watchers_ == 0) touched_.clear();
}

Acted Lane::act(const Now& now, DeliveryAct what, std::vector<PickedDelivery> picked, std::vector<RetryRow> rows,
                Todo& todo, const std::string& to)
{
    std::map<DeliveryKey, RetryRow> by_key;
    for (RetryRow& row : rows) by_key.emplace(row.key, std::move(row));
    std::sort(picked.begin(), picked.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    Doing doing{now, what, to};
    Acted& acted = doing.acted;
    for (PickedDelivery& one : picked) {
        if (const auto ticket = flight_of(one.key)) {
            Flight& flight = flights_[*ticket];
            const bool sent = batches_[flight.batch].sent;
            if (what == DeliveryAct::retry_now) continue;
            if (what == DeliveryAct::move) {  // what is not sent comes back by itself: this target is sent nothing
                if (sent) ++acted.in_flight;
                else acted.again.push_back(std::move(one));
            } else if (flight.event && !sent) {  // it waits for company, or for its turn
                discard(now, flight, todo);
                take_out(*ticket);
                ++acted.done;
            } else if (!std::exchange(flight.doomed, true)) {
                ++acted.in_flight;
            }
            continue;
        }
        const auto row = by_key.find(one.key);
        const bool room = uncommitted_ + in_flight_ + doing.ahead.size() < limits_.uncommitted_max;
        if (!room || touched_.contains(one.key) || expected_.contains(one.key) ||
            (row != by_key.end() && row->second.held() && reads_key(row->second.order_key))) {
            acted.again.push_back(std::move(one));
        } else if (row == by_key.end()) {
            // Of what was moved here the lane's own reading will never come to an end: only the row tells.
            if (what != DeliveryAct::retry_now && !one.row) end_fresh(one, doing, todo);
        } else if (what == DeliveryAct::move) {
            move_row(std::move(row->second), doing, todo);
        } else if (what == DeliveryAct::discard) {
            discard_row(now, std::move(row->second), todo);
            ++acted.done;
        } else if (row->second.held()) {
            ++acted.held;
        } else {
            hasten(now, std::move(row->second), todo);
            ++acted.done;
        }
    }
    if (window_.settled_ahead() + doing.ahead.size() > limits_.window.settled_ahead) {
        acted.no_room = doing.ahead.size();
        doing.ahead.clear();
    }
    std::vector<DeliveryKey> keys;
    for (const PickedDelivery& one : doing.ahead) {
        keys.push_back(one.key);
        end_unstarted(one, doing, todo);
    }
    window_.settle_ahead(keys);
    settled_later(keys);
    if (what == DeliveryAct::retry_now && acted.done > 0) health_.reset();
    return std::move(acted);
}

std::optional<std::uint32_t> Lane::flight_of(DeliveryKey key) const
{
    for (std::uint32_t ticket = 0; ticket < flights_.size(); ++ticket) {
        const Flight& flight = flights_[ticket];
        if (flight.work != Work::none && flight.work != Work::forward && !flight.unread && key_of(flight) == key) return ticket;
    }
    return std::nullopt;
}

/// The first row of the key is on its way here: nobody knows which that is.
bool Lane::reads_key(const std::string& order_key) const
{
    return unread_ > 0 && std::any_of(flights_.begin(), flights_.end(), [&](const Flight& flight) {
               return flight.unread && flight.order_key == order_key;
           });
}

void Lane::discard(const Now& now, Flight& flight, Todo& todo)
{
    end(now, flight, Ending::discarded_operator, std::nullopt, std::nullopt, todo);
    if (flight.work == Work::forward) forwards_.ended(false, settings_.retry, now.steady, 0);
}

std::uint64_t Lane::drop_copies(const Now& now, const Id& event, Todo& todo)
{
    std::uint64_t in_flight = 0;
    forwards_.drop(event, settings_.retry, now.steady, 0);
    for (std::uint32_t ticket = 0; ticket < flights_.size(); ++ticket) {
        Flight& flight = flights_[ticket];
        if (flight.work != Work::forward || flight.letter->event != event) continue;
        if (batches_[flight.batch].sent) {
            flight.doomed = true;
            ++in_flight;
            continue;
        }
        discard(now, flight, todo);
        take_out(ticket);
    }
    return in_flight;
}

void Lane::discard_row(const Now& now, RetryRow row, Todo& todo)
{
    if (row.held()) {  // not the first of its key: the others wait on
        keys_.drop_row(row.order_key);
        --held_;
        if (watchers_ > 0) touched_.insert(row.key);
        todo.changes.emplace_back(Ended{target_, row.key, std::move(row.rule), Ending::discarded_operator, std::nullopt,
                                        std::nullopt, false, row.letter != 0});
        ++uncommitted_;
        ++unflushed_.count;
        return;
    }
    if (row.delayed()) --delayed_;
    schedule_.take_out(row.key);
    Flight flight;
    flight.work = Work::retry;
    take_row(std::move(row), flight);
    discard(now, flight, todo);
}

/// What has no row: in the window, or further on.
void Lane::end_fresh(const PickedDelivery& picked, Doing& doing, Todo& todo)
{
    const Window::Found found = window_.find(picked.key);
    switch (found.place) {
        case Window::Place::gone: return;
        case Window::Place::ahead: doing.ahead.push_back(picked); return;
        case Window::Place::waiting: window_.settle_waiting(found.slot); break;
        case Window::Place::in_flight:  // it waits behind its key: all other flights were looked at
            if (!keys_.drop_waiting(found.slot)) return;
            window_.settle(found.slot);
            break;
    }
    end_unstarted(picked, doing, todo);
}

void Lane::end_unstarted(const PickedDelivery& picked, Doing& doing, Todo& todo)
{
    if (doing.what == DeliveryAct::move) {
        RetryRow row;
        row.key = picked.key;
        row.rule = picked.rule;
        row.event = picked.event;
        row.expires = picked.expires;
        row.target = target_;
        move_on(std::move(row), !doubtful_, doing, todo);
        return;
    }
    ++doing.acted.done;
    todo.changes.emplace_back(
        Ended{target_, picked.key, picked.rule, Ending::discarded_operator, std::nullopt, std::nullopt, !doubtful_});
    ++uncommitted_;
    ++unflushed_.count;
}

void Lane::hasten(const Now& now, RetryRow row, Todo& todo)
{
    if (row.delayed()) --delayed_;
    schedule_.take_out(row.key);
    row.due = to_milliseconds(now.wall);
    row.delay = Duration{0};
    schedule_.add(row, now.steady);
    keep(std::move(row), std::nullopt, todo);
}

}  // namespace eventyard::router
