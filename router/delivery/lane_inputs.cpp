// What its rule makes of an event for a target. The input is that of the routing version the event was stored with, so a
// reload changes nothing for what was accepted before. See router/input/input.hpp.
#include <algorithm>

#include "router/delivery/lane.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t sent_max = 16U << 20;  // bytes; an event that is larger itself may make as much as it is

}  // namespace

/// Before the delivery joins a batch: its size counts there. False: what would be sent is too large, and it has ended.
bool Lane::shape(const Now& now, Flight& flight, const RouteExtras* extras, Todo& todo)
{
    if (extras == nullptr || extras->input.empty()) return true;
    const Event& event = flight.event->event;
    auto sent = std::make_shared<Event>();
    if (!extras->input.render(event, plain_rule(rule_of(flight)), scratch_, std::max(sent_max, event.body.size()), sent->body)) {
        targets::Outcome outcome;
        outcome.cause = targets::Cause::too_large;
        outcome.detail = "the rule's input makes more than 16 MiB of it";
        dead_letter(now, flight, "too_large", flight.row.attempts, outcome, todo);
        return false;
    }
    sent->id = event.id;
    sent->received = event.received;
    sent->format = EventFormat::json;  // whatever the event is, this is no CloudEvent
    sent->bus = event.bus;
    flight.sent = std::move(sent);
    return true;
}

}  // namespace eventyard::router
