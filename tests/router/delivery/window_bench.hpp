// tests/router/delivery/window_bench.hpp — a journal of events for one target, and a window over it.
#pragma once

#include "router/delivery/window.hpp"
#include "tests/support/fake_journal_lanes.hpp"

namespace eventyard::router::testing {


/// Events with `routes` deliveries each, all for the target "t".
struct WindowBench {
    SeededRandom random{1};
    RoutingVersionPtr version = [] {
        RoutingVersion made;
        made.number = 1;
        for (const char* rule : {"a", "b", "c"}) made.routes.push_back({rule, "t", {}, {}, {}, {}});
        return std::make_shared<const RoutingVersion>(made);
    }();
    EventLog log;

    StoredEventPtr add(std::uint32_t routes, std::size_t size = 2)
    {
        std::vector<std::uint32_t> indices;
        for (std::uint32_t i = 0; i < routes; ++i) indices.push_back(i);
        auto event = make_event(version, indices, random, {}, std::string(size, 'x'));
        event->sequence = log.events.size() + 1;
        log.events.push_back(event);
        return event;
    }
    void offer(Window& window, std::uint32_t routes, std::size_t size = 2)
    {
        const auto event = add(routes, size);
        for (std::uint32_t i = 0; i < routes; ++i) window.offer(event, i);
    }
    [[nodiscard]] Sequence seen() const { return log.events.size(); }
    [[nodiscard]] LaneChunk answer(const Window::Read& read) const
    {
        return log.read({"t", read.after, read.through, read.max_items, read.max_bytes});
    }
};

inline WindowLimits small(std::size_t deliveries)
{
    WindowLimits limits;
    limits.deliveries = deliveries;
    limits.read_items = 4;
    return limits;
}

}  // namespace eventyard::router::testing
