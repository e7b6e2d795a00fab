// The keeper's part of erasing an event: finds it by the hashes of ids that indexes hold, and rewrites its segments
// without its body. Sequence, id, routes and times stay, so nothing that counts them meets a difference.
#include <algorithm>

#include "core/log.hpp"
#include "router/journal/keeper.hpp"
#include "router/journal/scan.hpp"

namespace eventyard::router {

/// With those that cannot be read for good and whose id has the same hash: which event they are of cannot be told any
/// more, its body may be there all the same, and a rewrite leaves nothing of them but that they are damaged.
Result<std::vector<Keeper::Place>> Keeper::places_of(const Id& event)
{
    std::vector<Place> places;
    const std::uint32_t hash = hash_of(event);
    for (const SegmentPtr& segment : segments_.all()) {
        LoadedSegment loaded;
        std::vector<std::pair<IndexedEvent, std::vector<std::pair<std::string, std::string>>>> found;
        const auto look = [&](const SegmentIndex& index) {
            for (const IndexedEvent& one : index.events())
                if (one.id_hash == hash && one.offset != 0) found.emplace_back(one, index.names_of(one));
        };
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0 || segment->released) continue;
            if (segment->index) {
                look(*segment->index);
                loaded.file = segment->file;
            }
        }
        if (!loaded.file) {
            EVENTYARD_TRY(opened, load_segment(disk_, segments_, versions_, *segment));
            loaded = std::move(opened);
            look(*loaded.index);
        }
        for (auto& [one, names] : found) {
            Place place{segment, loaded, one.sequence, one.offset, std::move(names), {}};
            EVENTYARD_CHECK(read_patiently(*loaded.file, one.offset, one.length, place.frame));
            const auto read = decode_event(place.frame, segment->seed.at(one.offset), one.sequence);
            if (!read.has_value() || read->meta.id == event) places.push_back(std::move(place));
        }
    }
    return places;
}

Result<std::vector<StoredEventPtr>> Keeper::find(const Id& event)
{
    EVENTYARD_TRY(places, places_of(event));
    std::vector<StoredEventPtr> events;
    VersionMemo versions{versions_};
    for (const Place& place : places) {
        auto stored = decode_stored(place.frame, place.segment->seed.at(place.offset), place.sequence, versions);
        if (stored.has_value()) events.push_back(std::move(*stored));
        else if (stored.error().code != Errc::corrupt) return stored.error();
        else {  // its targets may have read it before rot took it
            auto named = std::make_shared<StoredEvent>(by_names(place.sequence, place.names));
            named->event.id = event;
            events.push_back(std::move(named));
        }
    }
    return events;
}

bool Keeper::in_open_segment(const Id& event) const
{
    const std::uint32_t hash = hash_of(event);
    for (const SegmentPtr& segment : segments_.all()) {
        const std::lock_guard lock{segment->mutex};
        if (!segment->index) continue;
        for (const IndexedEvent& one : segment->index->events())
            if (one.id_hash == hash) return true;
    }
    return false;
}

/// What could not be sealed may hold what no index tells of: what a start found damaged or torn and had no space to
/// write down, or what a failed write left.
Result<void> Keeper::rewrite_unsealed()
{
    for (const std::string& name : std::set<std::string>{unsealed_}) {
        const SegmentPtr segment = segments_.find(name);
        if (!segment) {  // let go meanwhile
            unsealed_.erase(name);
            continue;
        }
        const auto rewritten = seal_anew(segment);
        if (rewritten.has_value()) continue;
        if (rewritten.error().code != Errc::unavailable) return rewritten;
        log::warn("erase", "a segment has places that cannot be read: what is damaged there may hold a body",
                  {{"segment", name}});
    }
    return {};
}

Result<std::uint64_t> Keeper::erase(const Id& event)
{
    // A commit that failed may have left it in a segment that was never used.
    if (!remove_unused()) return fail(Errc::unavailable, "a file that may hold it cannot be removed");
    EVENTYARD_CHECK(cut_unused(true));
    EVENTYARD_CHECK(rewrite_unsealed());
    EVENTYARD_TRY(places, places_of(event));
    for (auto at = places.begin(); at != places.end();) {
        auto end = at;
        std::vector<Sequence> sequences;
        for (; end != places.end() && end->segment == at->segment; ++end) {
            const auto read = decode_event(end->frame, end->segment->seed.at(end->offset), end->sequence);
            if (!read.has_value() || read->meta.format != EventFormat::erased) sequences.push_back(end->sequence);
        }
        if (!sequences.empty()) {
            if (!at->loaded.index) return fail(Errc::unavailable, "'" + at->segment->name + "' cannot be sealed now");
            EVENTYARD_CHECK(replace(at->segment, *at->loaded.file, *at->loaded.index, nullptr, sequences));
        }
        at = end;
    }
    // A rewrite does not need it, this does; and an earlier try may have failed here.
    EVENTYARD_CHECK(disk_.sync_directory(segments_.directory()));
    return places.size();
}

}  // namespace eventyard::router
