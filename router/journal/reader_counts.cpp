// What is counted and added up: from the footers of segments, and from indexes only where those do not suffice.
#include <algorithm>

#include "router/journal/reader_looks.hpp"

namespace eventyard::router {
namespace {

/// Of the bodies of those of these deliveries that are here. One walk: the lock of the segment that is written to is held.
std::uint64_t bytes_of(const SegmentIndex& index, const std::vector<DeliveryKey>& keys)
{
    const auto& events = index.events();
    if (events.empty()) return 0;
    std::uint64_t sum = 0;
    auto event = events.begin();
    for (auto key = std::lower_bound(keys.begin(), keys.end(), DeliveryKey{events.front().sequence, 0}); key != keys.end(); ++key) {
        while (event != events.end() && event->sequence < key->sequence) ++event;
        if (event == events.end()) break;
        if (event->sequence == key->sequence) sum += event->body_length;
    }
    return sum;
}

void add_to(Segment::Share& sum, const Segment::Share& share) noexcept
{
    sum.deliveries += share.deliveries;
    sum.bytes += share.bytes;
}

Segment::Share share_of(const SegmentIndex& index, const std::string& target)
{
    Segment::Share share;
    for (const RouteCount& route : index.summary().routes)
        if (route.target == target) add_to(share, {route.count, route.bytes});
    return share;
}

}  // namespace

Result<Reader::Tally> Reader::tally(Sequence after, Sequence through)
{
    return settled([&] { return tally_once(after, through); });
}

Result<Reader::Tally> Reader::tally_of(std::vector<DeliveryKey>& keys)
{
    std::sort(keys.begin(), keys.end());
    return settled([&] { return tally_of_once(keys); });
}

Result<std::uint64_t> Reader::count_after(const std::string& target, DeliveryKey after)
{
    return settled([&] { return count_after_once(target, after); });
}

Result<Excess> Reader::excess(const ExcessRead& request)
{
    return settled([&] { return excess_once(request); });
}

Result<Reader::Tally> Reader::tally_once(Sequence after, Sequence through)
{
    Tally counts;
    for (const SegmentPtr& segment : segments_.all()) {
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last <= after || segment->released) continue;
            if (segment->first > through) break;
        }
        const auto count = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
            const SegmentSummary& summary = index.summary();
            if (summary.first > after && summary.last <= through) {
                for (const RouteCount& route : summary.routes)
                    if (route.count > 0) counts[{route.rule, route.target}] += route.count;
                return;
            }
            const auto& events = index.events();
            for (std::size_t i = index.lower_bound(after + 1);
                 i < events.size() && events[i].sequence <= through; ++i)
                for (std::uint32_t r = 0; r < events[i].routes_count; ++r) {
                    const std::uint32_t pair = index.routes()[events[i].routes_first + r];
                    if (pair == route_dropped) continue;
                    const RouteCount& route = summary.routes[pair];
                    ++counts[{route.rule, route.target}];
                }
        };
        EVENTYARD_CHECK(look_into(segment, count));
    }
    return counts;
}

Result<Reader::Tally> Reader::tally_of_once(const std::vector<DeliveryKey>& keys)
{
    Tally counts;
    auto key = keys.begin();
    for (const SegmentPtr& segment : segments_.all()) {
        if (key == keys.end()) break;
        Sequence last = 0;
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last < key->sequence || segment->released) continue;
            last = segment->last;
        }
        const auto count = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
            for (; key != keys.end() && key->sequence <= last; ++key) {
                const IndexedEvent* const event = index.find(key->sequence);
                if (event == nullptr || key->route >= event->routes_count) continue;
                const std::uint32_t pair = index.routes()[event->routes_first + key->route];
                if (pair == route_dropped) continue;
                const RouteCount& route = index.summary().routes[pair];
                ++counts[{route.rule, route.target}];
            }
        };
        EVENTYARD_CHECK(look_into(segment, count));
    }
    return counts;
}

Result<std::uint64_t> Reader::count_after_once(const std::string& target, DeliveryKey after)
{
    std::uint64_t sum = 0;
    for (const SegmentPtr& segment : segments_.all()) {
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last < after.sequence || segment->last == 0 || segment->released) continue;
            if (segment->sealed) {
                const auto at = segment->targets.find(target);
                if (at == segment->targets.end()) continue;
                if (segment->first > after.sequence) {
                    sum += at->second.deliveries;
                    continue;
                }
            }
        }
        const auto count = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
            const std::vector<bool> pairs = pairs_of(index, target);
            std::vector<std::uint32_t> routes;
            const auto& events = index.events();
            for (std::size_t i = index.lower_bound(after.sequence); i < events.size(); ++i)
                if (goes_to(index, events[i], pairs, after, routes)) sum += routes.size();
        };
        EVENTYARD_CHECK(look_into(segment, count));
    }
    return sum;
}

/// From the newest back, so that only the segment where the limit is passed, the one with the position and the one
/// that is written to are looked into.
Result<Excess> Reader::excess_once(const ExcessRead& request)
{
    Excess excess;
    const auto segments = segments_.all();
    if (request.rows > 0) {
        EVENTYARD_TRY(mean, mean_size(segments, request.target));
        excess.rows_bytes = static_cast<std::uint64_t>(mean * static_cast<double>(request.rows));
    }
    const std::uint64_t limit = request.limit;
    const Sequence after = request.after.sequence;
    const auto& ended = request.settled;
    const auto ended_from = [&ended](Sequence first) {
        return std::lower_bound(ended.begin(), ended.end(), DeliveryKey{first, 0});
    };
    for (auto at = segments.rbegin(); at != segments.rend(); ++at) {
        const SegmentPtr& segment = *at;
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0 || segment->released) continue;
            if (segment->last < after) break;
            if (segment->sealed) {
                const auto share = segment->targets.find(request.target);
                if (share == segment->targets.end()) continue;
                const std::uint64_t sum = excess.bytes + share->second.bytes;
                const auto here = ended_from(segment->first);
                const bool any_ended = here != ended.end() && here->sequence <= segment->last;
                if (segment->first > after && !any_ended && (sum <= limit || excess.through != 0)) {
                    excess.bytes = sum;
                    continue;
                }
            }
        }
        const auto add = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
            if (index.summary().first > after) {  // the segment that is written to: its lock is held, so no walk if need not be
                const std::uint64_t share = share_of(index, request.target).bytes;
                const std::uint64_t sum = excess.bytes + share - std::min(share, bytes_of(index, ended));
                if (sum <= limit || excess.through != 0) {
                    excess.bytes = sum;
                    return;
                }
            }
            const std::vector<bool> pairs = pairs_of(index, request.target);
            std::vector<std::uint32_t> routes;
            const auto& events = index.events();
            for (std::size_t i = events.size(); i-- > 0 && events[i].sequence >= after;) {
                if (!goes_to(index, events[i], pairs, request.after, routes)) continue;
                std::size_t waiting = routes.size();
                for (auto key = ended_from(events[i].sequence); key != ended.end() && key->sequence == events[i].sequence; ++key)
                    if (waiting > 0) --waiting;
                excess.bytes += waiting * events[i].body_length;
                if (excess.through == 0 && excess.bytes > limit) excess.through = events[i].sequence;
            }
        };
        EVENTYARD_CHECK(look_into(segment, add));
    }
    return excess;
}

/// Bytes of a delivery to the target, on average over what is kept; when there is none (its rows were moved here), of one
/// to anybody.
Result<double> Reader::mean_size(const std::vector<SegmentPtr>& segments, const std::string& target)
{
    Segment::Share its, all;
    for (const SegmentPtr& segment : segments) {
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0 || segment->released) continue;
            if (segment->sealed) {
                for (const auto& [name, share] : segment->targets) {
                    if (name == target) add_to(its, share);
                    add_to(all, share);
                }
                continue;
            }
        }
        const auto add = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
            add_to(its, share_of(index, target));
            for (const RouteCount& route : index.summary().routes) add_to(all, {route.count, route.bytes});
        };
        EVENTYARD_CHECK(look_into(segment, add));
    }
    if (its.deliveries > 0) all = its;
    return all.deliveries > 0 ? static_cast<double>(all.bytes) / static_cast<double>(all.deliveries) : 0.0;
}

}  // namespace eventyard::router
