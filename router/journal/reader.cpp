#include "router/journal/reader.hpp"

#include <algorithm>

#include "router/journal/scan.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t cache_bytes_max = 16U << 20;
constexpr std::size_t cache_segments_max = 8;
constexpr unsigned refusals_max = 10;          // lanes ask once a second
constexpr std::size_t refused_max = 4096;
constexpr std::uint64_t bridge_max = 32U << 10;  // bytes read for nothing rather than reading twice

/// Whether any route of the event goes to the target; `wanted` by pair of the summary.
bool goes_to(const SegmentIndex& index, const IndexedEvent& event, const std::vector<bool>& wanted,
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

std::vector<bool> pairs_of(const SegmentIndex& index, const std::string& target)
{
    const auto& routes = index.summary().routes;
    std::vector<bool> wanted(routes.size());
    for (std::size_t i = 0; i < routes.size(); ++i) wanted[i] = routes[i].target == target;
    return wanted;
}

}  // namespace

Result<LoadedSegment> Reader::load(const SegmentPtr& segment)
{
    for (auto at = cache_.begin(); at != cache_.end(); ++at) {
        if (at->segment != segment) continue;
        cache_.splice(cache_.begin(), cache_, at);
        return cache_.front().loaded;
    }
    EVENTYARD_TRY(loaded, load_segment(disk_, segments_, versions_, *segment));
    cache_.push_front({segment, loaded});
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (auto at = cache_.begin(); at != cache_.end();) {
        bytes += at->loaded.index->memory();
        bool gone = false;
        {
            const std::lock_guard lock{at->segment->mutex};
            gone = at->segment->released || at->segment->replaced;
        }
        if (count > 0 && (gone || bytes > cache_bytes_max || count >= cache_segments_max))
            at = cache_.erase(at);
        else
            ++at;
        ++count;
    }
    return loaded;
}

void Reader::close_replaced()
{
    std::erase_if(cache_, [](const Cached& one) {
        const std::lock_guard lock{one.segment->mutex};
        return one.segment->released || one.segment->replaced;
    });
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

/// On a disk that gives nothing, nothing is lost yet.
bool Reader::given_up(File& file, Sequence sequence)
{
    std::string head;
    if (!read_patiently(file, 0, segment_data_start, head).has_value()) return false;
    if (refused_.size() >= refused_max) refused_.clear();
    return ++refused_[sequence] >= refusals_max;
}

Result<bool> Reader::read_frames(Segment& segment, File& file, const std::vector<Wanted>& wanted,
                                 std::size_t max_piece, LaneChunk& chunk)
{
    const auto stop_before = [&chunk](Sequence sequence) -> Result<bool> {
        if (chunk.items.empty() && chunk.damaged.empty())
            return fail(Errc::io, "event " + std::to_string(sequence) + " cannot be read now");
        chunk.through = sequence - 1;
        return true;
    };
    std::string bytes;
    VersionMemo versions{versions_};
    for (std::size_t i = 0; i < wanted.size();) {
        const auto lost = [&chunk](const Wanted& event) {
            if (event.routes.empty()) chunk.damaged.push_back({{event.sequence, 0}, {}});
            for (const std::uint32_t route : event.routes)
                chunk.damaged.push_back({{event.sequence, route}, {}});
        };
        if (wanted[i].offset == 0) {
            lost(wanted[i++]);
            continue;
        }
        const std::uint64_t begin = wanted[i].offset;
        std::uint64_t end = begin + wanted[i].length;
        std::size_t next = i + 1;
        while (next < wanted.size() && wanted[next].offset >= end &&
               wanted[next].offset - end <= bridge_max &&
               wanted[next].offset + wanted[next].length - begin <= max_piece) {
            end = wanted[next].offset + wanted[next].length;
            ++next;
        }
        // A piece that the disk cannot read is read again frame by frame: one bad sector costs
        // only the events on it.
        bool whole = file.read_at(begin, static_cast<std::size_t>(end - begin), bytes).has_value();
        read_bytes_ += bytes.size();
        for (; i < next; ++i) {
            std::uint64_t at = wanted[i].offset - begin;
            if (!whole) {
                at = 0;
                if (!read_patiently(file, wanted[i].offset, wanted[i].length, bytes).has_value()) {
                    if (!given_up(file, wanted[i].sequence)) return stop_before(wanted[i].sequence);
                    bytes.clear();
                }
            }
            const std::string_view frame =
                at <= bytes.size() ? std::string_view{bytes}.substr(static_cast<std::size_t>(at),
                                                                    wanted[i].length)
                                   : std::string_view{};
            auto event = decode_stored(frame, segment.seed.at(wanted[i].offset), wanted[i].sequence, versions);
            if (!event.has_value() && event.error().code == Errc::io) return stop_before(wanted[i].sequence);
            if (!event.has_value()) {
                lost(wanted[i]);
                continue;
            }
            if (wanted[i].routes.empty()) chunk.items.push_back({*event, 0});
            for (const std::uint32_t route : wanted[i].routes) {
                if (route < (*event)->routes.size())
                    chunk.items.push_back({*event, route});
                else
                    chunk.damaged.push_back({{wanted[i].sequence, route}, {}});
            }
        }
    }
    return false;
}

/// The ledger counts a damaged delivery under its rule, which the index knows when the event is gone.
Result<void> Reader::name_rules(const SegmentPtr& segment, std::vector<DamagedDelivery>& damaged, std::size_t from)
{
    const auto name = [&](const SegmentIndex& index, const std::shared_ptr<File>&) {
        for (std::size_t i = from; i < damaged.size(); ++i) {
            const IndexedEvent* const event = index.find(damaged[i].key.sequence);
            if (!event || damaged[i].key.route >= event->routes_count) continue;
            const std::uint32_t pair = index.routes()[event->routes_first + damaged[i].key.route];
            if (pair != route_dropped) damaged[i].rule = index.summary().routes[pair].rule;
        }
    };
    if (with_index(*segment, name).has_value()) return {};
    EVENTYARD_TRY(loaded, load(segment));  // sealed meanwhile
    name(*loaded.index, loaded.file);
    return {};
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

Result<LaneChunk> Reader::read_lane(const LaneRead& request)
{
    return settled([&] { return read_lane_once(request); });
}

Result<StoredEventPtr> Reader::read_event(Sequence sequence)
{
    return settled([&] { return read_event_once(sequence); });
}

Result<EventChunk> Reader::read_events(const EventsRead& request)
{
    return settled([&] { return read_events_once(request); });
}

Result<void> Reader::visit_events(Sequence after, Sequence through, const std::function<void(const StoredEvent&)>& visit)
{
    unsigned refusals = 0;
    while (after < through) {
        auto chunk = read_events({.after = after, .through = through});
        if (!chunk.has_value()) {  // one that the disk does not give now, or all of them
            if (chunk.error().code != Errc::io || ++refusals > refusals_max) return chunk.error();
            ++after;
            continue;
        }
        for (const StoredEventPtr& event : chunk->events) visit(*event);
        if (chunk->through <= after) break;
        after = chunk->through;
    }
    return {};
}

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

Result<LaneChunk> Reader::read_lane_once(const LaneRead& request)
{
    LaneChunk chunk;
    chunk.through = request.through;
    std::size_t items = 0;
    std::size_t bytes = 0;
    for (const SegmentPtr& segment : segments_.all()) {
        bool load_it = false;
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0 || segment->last < request.after.sequence) continue;
            if (segment->first > request.through) break;
            if (segment->released) continue;
            if (!segment->index) {
                if (!segment->targets.contains(request.target)) continue;
                load_it = true;
            }
        }
        if (load_it)
            if (auto loaded = load(segment); !loaded.has_value()) {
                if (loaded.error().code == Errc::not_found) continue;
                return loaded.error();
            }
        std::vector<Wanted> wanted;
        std::shared_ptr<File> file;
        bool full = false;
        const auto collect = [&](const SegmentIndex& index, const std::shared_ptr<File>& from) {
            file = from;
            const std::vector<bool> pairs = pairs_of(index, request.target);
            if (std::find(pairs.begin(), pairs.end(), true) == pairs.end()) return;
            std::vector<std::uint32_t> routes;
            const auto& events = index.events();
            for (std::size_t i = index.lower_bound(request.after.sequence); i < events.size(); ++i) {
                const IndexedEvent& event = events[i];
                if (event.sequence > request.through) break;
                if (!goes_to(index, event, pairs, request.after, routes)) continue;
                if (items > 0 && (items + routes.size() > request.max_items ||
                                  bytes + event.body_length > request.max_bytes)) {
                    full = true;
                    chunk.through = event.sequence - 1;
                    break;
                }
                items += routes.size();
                bytes += event.body_length;
                wanted.push_back({event.sequence, event.damaged ? 0 : event.offset, event.length,
                                  event.body_length, event.damaged, routes});
            }
        };
        if (auto seen = with_index(*segment, collect); !seen.has_value()) {
            // Sealed between the two looks: load it now.
            auto loaded = load(segment);
            if (!loaded.has_value()) {
                if (loaded.error().code == Errc::not_found) continue;
                return loaded.error();
            }
            collect(*loaded->index, loaded->file);
        }
        if (!wanted.empty()) {
            const std::size_t damaged = chunk.damaged.size();
            EVENTYARD_TRY(stopped,
                          read_frames(*segment, *file, wanted, std::max<std::size_t>(request.max_bytes, 64U << 10), chunk));
            full = full || stopped;
            if (chunk.damaged.size() > damaged) EVENTYARD_CHECK(name_rules(segment, chunk.damaged, damaged));
        }
        if (full) break;
    }
    return chunk;
}

Result<EventChunk> Reader::read_events_once(const EventsRead& request)
{
    LaneChunk chunk;
    chunk.through = request.through;
    std::size_t events = 0;
    std::size_t bytes = 0;
    bool full = false;
    for (const SegmentPtr& segment : segments_.all()) {
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0 || segment->last <= request.after || segment->released) continue;
            if (segment->first > request.through) break;
        }
        std::vector<Wanted> wanted;
        std::shared_ptr<File> file;
        const auto collect = [&](const SegmentIndex& index, const std::shared_ptr<File>& from) {
            file = from;
            const auto& all = index.events();
            for (std::size_t i = index.lower_bound(request.after + 1);
                 i < all.size() && all[i].sequence <= request.through; ++i) {
                const IndexedEvent& event = all[i];
                if (events > 0 && (events >= request.max_events || bytes + event.body_length > request.max_bytes)) {
                    full = true;
                    chunk.through = event.sequence - 1;
                    return;
                }
                ++events;
                bytes += event.body_length;
                wanted.push_back({event.sequence, event.damaged ? 0 : event.offset, event.length, event.body_length,
                                  event.damaged, {}});
            }
        };
        EVENTYARD_TRY(there, look_into(segment, collect));
        if (!there) continue;
        if (!wanted.empty()) {
            EVENTYARD_TRY(stopped,
                          read_frames(*segment, *file, wanted, std::max<std::size_t>(request.max_bytes, 64U << 10), chunk));
            full = full || stopped;
        }
        if (full) break;
    }
    EventChunk out;
    out.through = chunk.through;
    for (LaneItem& item : chunk.items) out.events.push_back(std::move(item.event));
    for (const DamagedDelivery& damaged : chunk.damaged) out.damaged.push_back(damaged.key.sequence);
    return out;
}

Result<StoredEventPtr> Reader::read_event_once(Sequence sequence)
{
    for (const SegmentPtr& segment : segments_.all()) {
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last < sequence || segment->released) continue;
            if (segment->first > sequence) break;
        }
        Wanted found;
        std::shared_ptr<File> file;
        bool damaged = false;
        const auto look = [&](const SegmentIndex& index, const std::shared_ptr<File>& from) {
            file = from;
            if (const IndexedEvent* event = index.find(sequence)) {
                found.offset = event->offset;
                found.length = event->length;
                damaged = event->damaged;
            } else if (const auto gap = index.gap_of(sequence)) {
                damaged = gap->reason == GapReason::damaged;
            }
        };
        EVENTYARD_TRY(there, look_into(segment, look));
        if (!there) continue;
        if (damaged)
            return fail(Errc::corrupt, "event " + std::to_string(sequence) + " is damaged");
        if (found.offset == 0) break;
        std::string bytes;
        if (!read_patiently(*file, found.offset, found.length, bytes).has_value()) {
            if (!given_up(*file, sequence))
                return fail(Errc::io, "event " + std::to_string(sequence) + " cannot be read now");
            bytes.clear();
        }
        read_bytes_ += bytes.size();
        VersionMemo versions{versions_};
        return decode_stored(bytes, segment->seed.at(found.offset), sequence, versions);
    }
    return fail(Errc::not_found, "event " + std::to_string(sequence) + " is not kept");
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
