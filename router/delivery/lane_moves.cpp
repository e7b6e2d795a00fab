// Deliveries that an operator moves from one target to another: how they leave a lane, and come into one.
//
// The one that gives says so in the change that lets its cursor pass, which makes the row of the other as well: a crash
// leaves each delivery at one of the two. There its policy starts anew, attempts and age; what its rule says of it
// (expire_after, delay) holds on. It keeps its id, which is of the target that its rule named. Its order key stays
// behind: an ordered target takes nobody in.
#include <utility>

#include "router/delivery/lane.hpp"

namespace eventyard::router {

void Lane::move_row(RetryRow row, Doing& doing, Todo& todo)
{
    if (row.held()) {  // not the first of its key: the others wait on
        keys_.drop_row(row.order_key);
        --held_;
    } else {
        if (row.delayed()) --delayed_;
        schedule_.take_out(row.key);
        if (!row.order_key.empty()) keys_.ended(row.order_key);
    }
    if (watchers_ > 0) touched_.insert(row.key);
    move_on(std::move(row), false, doing, todo);
}

/// @param row  this target's, or as it would be
void Lane::move_on(RetryRow row, bool fresh, Doing& doing, Todo& todo)
{
    if (row.routed_to.empty()) row.routed_to = target_;
    if (row.routed_to == doing.to) row.routed_to.clear();
    row.target = doing.to;
    row.order_key.clear();
    if (!row.delayed()) {
        row.earlier += std::exchange(row.attempts, 0);
        row.due = to_milliseconds(doing.now.wall);
        row.delay = Duration{0};
        row.received = row.due;
    }
    doing.acted.moved.push_back(row);
    ++doing.acted.done;
    todo.changes.emplace_back(Moved{target_, std::move(row), fresh});
    ++uncommitted_;
    ++unflushed_.count;
}

void Lane::expect(const std::vector<DeliveryKey>& keys)
{
    for (const DeliveryKey key : keys) {
        schedule_.expect(key);
        expected_.insert(key);
    }
}

void Lane::take_in(const Now& now, const std::vector<DeliveryKey>& expected, std::vector<RetryRow> rows)
{
    came_ += rows.size();
    if (!rows.empty()) budget_.unsure();
    for (RetryRow& row : rows) {
        expected_.erase(row.key);
        if (watchers_ > 0) touched_.insert(row.key);
        if (row.delayed()) ++delayed_;
        const SteadyTime due = due_after_load(row.due, row.delay, now.steady, now.wall);
        schedule_.add(std::move(row), due);
    }
    for (const DeliveryKey key : expected)
        if (expected_.erase(key) > 0) schedule_.unexpect(key);
}

}  // namespace eventyard::router
