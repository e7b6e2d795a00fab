// router/routing_version.hpp — what the rules said when an event was accepted.
//
// A journal record names its matches as indices into one RoutingVersion, which is stored once
// before its first event and kept while any event refers to it. So what is sent is what the rule
// said at acceptance; where and how it is sent is the target's current configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace eventyard::router {

/// One rule and one of its targets.
struct Route {
    std::string rule;
    std::string target;
    std::string input;         // the input transformer as JSON text; empty: the event as it came
    std::string order_key;     // reserved for ordered targets; empty: none
    Duration delay{0};         // reserved; zero: at once
    Duration expire_after{0};  // reserved; zero: never
    bool operator==(const Route&) const = default;
};

struct RoutingVersion {
    std::uint64_t number = 0;  // given by the journal, never reused in one store; 0: not stored yet
    std::vector<std::string> buses;
    std::vector<Route> routes; // records hold indices into this
};

using RoutingVersionPtr = std::shared_ptr<const RoutingVersion>;

}  // namespace eventyard::router
