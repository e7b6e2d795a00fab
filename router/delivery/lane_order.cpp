// What an ordered target's lane does with its keys. See key_order.hpp.
#include <utility>

#include "router/delivery/lane.hpp"

namespace eventyard::router {

bool Lane::parked_full() const noexcept
{
    return settings_.order.order == Order::key && keys_.parked() >= settings_.order.parked_max;
}

const OrderKey& Lane::path_of(const std::string& text)
{
    auto found = paths_.find(text);
    if (found == paths_.end()) {
        auto parsed = OrderKey::parse(text);
        found = paths_.emplace(text, parsed.has_value() ? std::move(*parsed) : OrderKey{}).first;
    }
    return found->second;
}

std::string Lane::order_key_of(const StoredEvent& event, std::uint32_t route)
{
    const RouteExtras* const extras = event.version->routes.extras(event.routes[route]);
    const std::string& text = extras && !extras->order_key.empty() ? extras->order_key : settings_.order.key;
    return path_of(text).of(event.event, scratch_);
}

/// A delivery of the window. False: it waits behind others of its key.
bool Lane::in_turn(const Now& now, Flight& flight, Todo& todo)
{
    switch (keys_.arrive(flight.order_key)) {
        case KeyOrder::Turn::first: return true;
        case KeyOrder::Turn::behind: keys_.wait(flight.order_key, {flight.slot, flight.route, flight.event}); break;
        case KeyOrder::Turn::hold:
            if (budget_.ends_what_is_over()) overflow_parked(now, flight, todo);  // as a row it would be no less
            else hold_row(flight, todo);
            break;
    }
    return false;
}

/// It waits as a row until those before it have ended.
void Lane::hold_row(const Flight& flight, Todo& todo)
{
    RetryRow row = row_of(flight);
    row.due = RetryRow::held_due;
    keys_.add_row(row.order_key);
    ++held_;
    window_.settle(flight.slot);
    keep(std::move(row), std::nullopt, todo);
}

void Lane::hold_all(const std::string& key, std::vector<KeyOrder::Waiting> waiting, Todo& todo)
{
    for (KeyOrder::Waiting& one : waiting) {
        Flight flight;
        flight.work = Work::fresh;
        flight.slot = one.slot;
        flight.route = one.route;
        flight.event = std::move(one.event);
        flight.order_key = key;
        hold_row(flight, todo);
    }
}

void Lane::after_end(const Now& now, const Flight& flight, Ending ending, Todo& todo)
{
    const bool holds = ending == Ending::dead_lettered && settings_.order.hold && flight.row.letter == 0;
    if (holds && settings_.order.order == Order::strict)
        pause("a delivery was dead-lettered, and 'order' says hold", todo, Note::What::stopped_itself);
    if (flight.order_key.empty()) return;
    const std::string& key = flight.order_key;
    if (holds && settings_.order.order == Order::key) {
        hold_all(key, keys_.park(key), todo);
        hold_key(now, key, todo);
    }
    keys_.ended(key);
}

void Lane::hold_key(const Now& now, const std::string& key, Todo& todo)
{
    keys_.hold(key);
    todo.changes.emplace_back(KeyHeld{target_, key, true});
    if (const auto count = key_log_.count(now.steady)) todo.notes.push_back({Note::What::key_held, count, key});
}

std::size_t Lane::release_keys(const std::string& order_key, Todo& todo)
{
    const auto released = keys_.release(order_key);
    for (const std::string& key : released) todo.changes.emplace_back(KeyHeld{target_, key, false});
    if (!released.empty()) todo.notes.push_back({Note::What::keys_released, released.size(), order_key});
    return released.size();
}

}  // namespace eventyard::router
