#include "router/journal/reader.hpp"

#include <algorithm>

#include "router/journal/reader_looks.hpp"
#include "router/journal/scan.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t cache_bytes_max = 16U << 20;
constexpr std::size_t cache_segments_max = 8;
constexpr unsigned refusals_max = 10;          // lanes ask once a second
constexpr std::size_t refused_max = 4096;
constexpr std::uint64_t bridge_max = 32U << 10;  // bytes read for nothing rather than reading twice

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

}  // namespace eventyard::router
