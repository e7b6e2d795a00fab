#include "router/journal/load.hpp"

#include <algorithm>

#include "router/journal/judge.hpp"

namespace eventyard::router {
namespace {

Result<Trailer> read_trailer(File& file, std::uint64_t size, const FrameSeed& seed)
{
    if (size < segment_data_start + trailer_size) return fail(Errc::corrupt, "no trailer");
    std::string bytes;
    EVENTYARD_CHECK(read_patiently(file, size - trailer_size, trailer_size, bytes));
    return decode_trailer(bytes, seed, size - trailer_size);
}

Result<SegmentSummary> summary_of(File& file, const Trailer& trailer, const FrameSeed& seed)
{
    std::string bytes;
    EVENTYARD_CHECK(read_patiently(file, trailer.summary_offset, trailer.summary_size, bytes));
    return decode_summary(bytes, trailer, seed);
}

/// Everything in a sealed segment was synced: what a scan does not find is damage.
SegmentIndex index_from_scan(const Scan& scan, Sequence first, Sequence last, Versions& versions)
{
    Bounds bounds;
    bounds.lower = first;
    bounds.upper = last;
    bounds.synced = last;
    SegmentIndex index;
    index.set_data_end(scan.end);
    index.set_reserved(scan.reserved);
    const auto names_of = [&](const EventMeta& meta) {
        std::vector<std::pair<std::string, std::string>> names;
        if (const auto version = versions.find(meta.version))
            for (const std::uint32_t route : meta.routes)
                if (route < version->routes.size())
                    names.emplace_back(version->routes[route].rule, version->routes[route].target);
        return names;
    };
    for (const Finding& finding : judge(scan, bounds).findings) {
        switch (finding.kind) {
            case Finding::Kind::event:
                index.add(finding.first, finding.event->meta,
                          versions.find(finding.event->meta.version).get(), finding.event->offset,
                          static_cast<std::uint32_t>(finding.event->size),
                          finding.event->body_length);
                break;
            case Finding::Kind::damaged:
                if (finding.declared != nullptr)
                    index.add_damaged(finding.first, finding.declared->meta.routes);
                else if (finding.event != nullptr && finding.event->meta_ok)
                    index.add_damaged(finding.first, names_of(finding.event->meta));
                else
                    index.add_damaged(finding.first, {});
                break;
            case Finding::Kind::gap:
                index.add_gap({finding.first, finding.last, finding.reason});
                break;
        }
    }
    return index;
}

}  // namespace

Result<SegmentSummary> read_summary(File& file, std::uint64_t size, const FrameSeed& seed)
{
    EVENTYARD_TRY(trailer, read_trailer(file, size, seed));
    return summary_of(file, trailer, seed);
}

Result<SegmentIndex> read_index(File& file, std::uint64_t size, const FrameSeed& seed)
{
    EVENTYARD_TRY(trailer, read_trailer(file, size, seed));
    EVENTYARD_TRY(summary, summary_of(file, trailer, seed));
    std::string bytes;
    EVENTYARD_CHECK(read_patiently(file, trailer.index_offset, static_cast<std::size_t>(trailer.index_stored), bytes));
    return decode_index(bytes, trailer, seed, std::move(summary));
}

Result<LoadedSegment> load_segment(Disk& disk, const SegmentSet& segments, Versions& versions,
                                   Segment& segment)
{
    LoadedSegment loaded;
    Sequence first = 0;
    Sequence last = 0;
    {
        const std::lock_guard lock{segment.mutex};
        if (segment.released) return fail(Errc::not_found, segment.name + " was released");
        if (segment.replaced) return fail(Errc::conflict, segment.name + " was rewritten");
        loaded.file = segment.file ? segment.file : segment.reading.lock();
        if (!loaded.file) {
            EVENTYARD_TRY(file, disk.open(segments.path(segment.name), OpenMode::read));
            loaded.file = std::move(file);
            segment.reading = loaded.file;
        }
        first = segment.first;
        last = segment.last;
    }
    EVENTYARD_TRY(size, loaded.file->size());
    auto index = read_index(*loaded.file, size, segment.seed);
    if (index.has_value()) {
        loaded.index = std::make_shared<const SegmentIndex>(std::move(*index));
        return loaded;
    }
    const Scan scan = scan_segment(*loaded.file, size, segment.id);
    if (scan.unread) return fail(Errc::io, segment.name + " cannot be read");
    for (const ScannedEvent& event : scan.events)
        if (event.meta_ok) EVENTYARD_CHECK(versions.look_up(event.meta.version));
    loaded.index = std::make_shared<const SegmentIndex>(index_from_scan(scan, first, last, versions));
    // The footer's sums have deliveries that nobody can name any more; counted with them a lane would wait for those.
    const std::lock_guard lock{segment.mutex};
    if (segment.sealed) segment.count(loaded.index->summary());
    return loaded;
}

Result<StoredEventPtr> decode_stored(std::string_view frame, std::uint32_t seed, Sequence sequence, VersionMemo& versions)
{
    EVENTYARD_TRY(read, decode_event(frame, seed, sequence));
    EVENTYARD_TRY(version, versions.look_up(read.meta.version));
    if (!version)
        return fail(Errc::corrupt, "the routing version " + std::to_string(read.meta.version) +
                                       " of event " + std::to_string(sequence) + " is lost");
    auto stored = std::make_shared<StoredEvent>();
    stored->event.id = read.meta.id;
    stored->event.received = read.meta.received;
    stored->event.format = read.meta.format;
    if (read.meta.bus < version->buses.size()) stored->event.bus = version->buses[read.meta.bus];
    stored->event.body = std::move(read.body);
    stored->version = std::move(version);
    stored->routes = std::move(read.meta.routes);
    stored->bus = read.meta.bus;
    stored->sequence = sequence;
    return StoredEventPtr{std::move(stored)};
}

}  // namespace eventyard::router
