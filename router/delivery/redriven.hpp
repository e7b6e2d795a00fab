// router/delivery/redriven.hpp — a dead letter as the event it was. Pure.
//
// The journal may have let go of the event long ago, and the letter has all that an attempt needs.
#pragma once

#include <memory>

#include "router/journal/record.hpp"
#include "router/state/dead_letter.hpp"

namespace eventyard::router {

/// @param letter  with its body. Errc::corrupt: what its rule made of the event cannot be read
[[nodiscard]] inline Result<StoredEventPtr> event_of(const DeadLetter& letter)
{
    auto input = Input::parse(letter.input);
    if (!input.has_value()) return fail(Errc::corrupt, "dead letter " + std::to_string(letter.id) + ": " + input.error().what);
    auto version = std::make_shared<RoutingVersion>();
    version->routes.push_back(letter.rule, letter.target, RouteExtras{std::move(*input), {}, {}, {}, {}});
    version->buses.push_back(letter.bus);
    auto event = std::make_shared<StoredEvent>();
    event->event = {letter.event, letter.received, letter.format, letter.bus, letter.body};
    event->version = std::move(version);
    event->routes.assign(letter.key.route + 1, 0);  // whichever it was, it has this rule and target
    event->sequence = letter.key.sequence;
    return StoredEventPtr{std::move(event)};
}

}  // namespace eventyard::router
