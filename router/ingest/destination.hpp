// router/ingest/destination.hpp — the target of a request line: which bus, which options. Pure.
#pragma once

#include <string>
#include <string_view>

#include "router/ingest/refusal.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

struct Destination {
    const Bus* bus = nullptr;  // in the table asked
    bool atomic = false;       // ?atomic=true
};

/// "/v1/events" and "/v1/buses/{bus}/events"; false with a 404 or 400 otherwise.
[[nodiscard]] bool find_destination(std::string_view target, const RouteTable& table,
                                    Destination& out, Refusal& refusal);

}  // namespace eventyard::router
