// router/journal/reader_looks.hpp — how the reader's parts look into segments: reader.cpp for events, reader_counts.cpp for sums.
#pragma once

#include <string>
#include <vector>

#include "router/journal/reader.hpp"

namespace eventyard::router {

/// Whether any route of the event goes to the target; `wanted` by pair of the summary.
inline bool goes_to(const SegmentIndex& index, const IndexedEvent& event, const std::vector<bool>& wanted,
             DeliveryKey after, std::vector<std::uint32_t>& routes)
{
    routes.clear();
    for (std::uint32_t i = 0; i < event.routes_count; ++i) {
        const std::uint32_t pair = index.routes()[event.routes_first + i];
        if (pair == route_dropped || !wanted[pair]) continue;
        if (DeliveryKey{event.sequence, i} <= after) continue;
        routes.push_back(i);
    }
    return !routes.empty();
}

/// By pair of the summary: whether it is of the target.
inline std::vector<bool> pairs_of(const SegmentIndex& index, const std::string& target)
{
    const auto& routes = index.summary().routes;
    std::vector<bool> wanted(routes.size());
    for (std::size_t i = 0; i < routes.size(); ++i) wanted[i] = routes[i].target == target;
    return wanted;
}

/// Calls visit(index, file) with the segment's index, wherever it is.
template <class Visit>
Result<void> Reader::with_index(Segment& segment, Visit visit)
{
    {
        const std::lock_guard lock{segment.mutex};
        if (segment.index) {
            visit(*segment.index, segment.file);
            return {};
        }
    }
    for (const Cached& cached : cache_)
        if (cached.segment.get() == &segment) {
            visit(*cached.loaded.index, cached.loaded.file);
            return {};
        }
    return fail(Errc::not_found, "not loaded");
}

/// As with_index(), and loads the segment where that is needed. False: it was let go of meanwhile.
template <class Visit>
Result<bool> Reader::look_into(const SegmentPtr& segment, Visit visit)
{
    if (with_index(*segment, visit).has_value()) return true;
    auto loaded = load(segment);
    if (!loaded.has_value()) {
        if (loaded.error().code == Errc::not_found) return false;
        return loaded.error();
    }
    visit(*loaded->index, loaded->file);
    return true;
}

/// Looks again when a segment was rewritten while it was being looked at.
template <class Look>
auto Reader::settled(Look look) -> decltype(look())
{
    for (;;) {
        auto result = look();
        if (result.has_value() || result.error().code != Errc::conflict) return result;
    }
}

}  // namespace eventyard::router
