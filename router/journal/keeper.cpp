#include "router/journal/keeper.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/log.hpp"
#include "router/journal/rewrite.hpp"
#include "router/journal/scan.hpp"

namespace eventyard::router {
namespace {

bool any_begun(const std::vector<SegmentPtr>& segments)
{
    return std::any_of(segments.begin(), segments.end(), [](const SegmentPtr& one) {
        const std::lock_guard lock{one->mutex};
        return one->begun;
    });
}

}  // namespace

bool Keeper::close(const SegmentPtr& segment, bool failed, bool again)
{
    std::shared_ptr<File> file;
    std::string footer;
    std::uint64_t end = 0;
    SegmentSummary summary;
    bool used = false;
    {
        const std::lock_guard lock{segment->mutex};
        if (segment->sealed || segment->released || segment->replaced) return true;
        used = segment->last != 0;
        if (used) {
            file = segment->file;
            summary = segment->index->summary();
            end = summary.data_end;
            if (!failed) footer = encode_footer(*segment->index, segment->seed, end);
        }
    }
    if (!used) {
        unused_.push_back(segment);  // for remove_unused()
        return true;
    }
    if (!failed) {
        auto size = write_footer(*file, footer, end);
        if (size.has_value()) {
            const std::lock_guard lock{segment->mutex};
            segment->become_sealed(summary, *size);
            return true;
        }
        log::warn("journal", "a segment cannot be sealed; its index stays in memory",
                  {{"segment", segment->name}, {"error", size.error().what}});
    }
    const auto saved = seal_anew(segment);
    if (!saved.has_value() && !again)
        log::warn("journal", "a segment whose writes failed stays as it is; trying again",
                  {{"segment", segment->name}, {"error", saved.error().what}});
    return saved.has_value();
}

/// Writes what its index tells of to a new file. Until that can be done it is one of unsealed_.
Result<void> Keeper::seal_anew(const SegmentPtr& segment)
{
    unsealed_.insert(segment->name);
    std::shared_ptr<File> file;
    SegmentIndex index;
    {
        const std::lock_guard lock{segment->mutex};
        file = segment->file;
        index = *segment->index;
    }
    EVENTYARD_CHECK(replace(segment, *file, index, nullptr));
    unsealed_.erase(segment->name);
    return {};
}

/// The header of one may be all that tells which events were let go, or that what stands in the segment before it was
/// uncertain: then it stays until another has begun. It says nothing new behind a sealed one that it continues.
bool Keeper::told_without(const Segment& unused) const
{
    Sequence begin = 0;
    {
        const std::lock_guard lock{unused.mutex};
        begin = unused.header.hole_first != 0 ? unused.header.hole_first : unused.header.first;
    }
    bool continues = false;
    for (const SegmentPtr& other : segments_.all()) {
        const std::lock_guard lock{other->mutex};
        if (other->number < unused.number) continues = other->sealed && other->last + 1 == begin;
        else if (other->begun) return true;
    }
    return continues;
}

bool Keeper::remove_unused()
{
    // What a rewrite has replaced may come back after a crash, and need a header that would go now.
    if (name_unsure_) {
        if (!disk_.sync_directory(segments_.directory()).has_value()) return false;
        name_unsure_ = false;
    }
    SegmentPtr teller;  // of those with a header the newest
    for (const SegmentPtr& one : unused_)
        if (any_begun({one}) && (!teller || one->number > teller->number)) teller = one;
    if (teller && told_without(*teller)) teller = nullptr;
    std::erase_if(unused_, [&](const SegmentPtr& one) {
        if (one == teller) return false;
        segments_.take_back(disk_, *one);
        return true;
    });
    (void)cut_unused(false);  // a file written ahead would keep its space
    const bool removed = segments_.remove_left(disk_);
    if (!removed && !held_back_)
        log::warn("journal", "a file that is no segment any more cannot be removed; until it can, no segment is let go",
                  {{"directory", segments_.directory()}});
    held_back_ = !removed;
    return removed;
}

Result<void> Keeper::cut_unused(bool sure)
{
    for (const SegmentPtr& one : unused_) {
        EVENTYARD_TRY(size, one->file->size());
        if (size > segment_data_start) EVENTYARD_CHECK(one->file->truncate(segment_data_start));
        if (size > segment_data_start || sure) EVENTYARD_CHECK(one->file->sync_all());
    }
    return {};
}

Result<void> Keeper::clear_spares(const std::function<std::set<std::string>()>& closing)
{
    return spares_.clear([&] {
        auto kept = closing();
        for (const SegmentPtr& one : unused_) kept.insert(one->name);
        return kept;
    });
}

void Keeper::remove_file(Segment& segment)
{
    bool read = false;
    bool linked = false;
    {
        const std::lock_guard lock{segment.mutex};
        segment.released = true;  // from here on nobody opens it
        read = segment.file != nullptr || !segment.reading.expired();
    }
    const std::string path = segments_.path(segment.name);
    if (auto file = disk_.open(path, OpenMode::read); file.has_value())
        if (auto links = (*file)->links(); links.has_value()) linked = *links > 1;
    // Somebody's backup or an open reader still needs the content; unlinking leaves it to them.
    if (!read && !linked && spares_.wants_more() && spares_.recycle(segment.name).has_value()) return;
    if (auto gone = disk_.unlink(path); !gone.has_value() && gone.error().code != Errc::not_found) {
        lingers_ = true;
        log::warn("journal", "a released segment cannot be removed",
                  {{"segment", segment.name}, {"error", gone.error().what}});
    }
}

/// Not before what used them is gone for good: a start that meets such a segment again, and has lost the state,
/// could not tell where its events go.
void Keeper::remove_unused_versions()
{
    const std::set<std::uint64_t> used = segments_.versions_used();
    if (lingers_ || !versions_.any_unused(used)) return;
    if (disk_.sync_directory(segments_.directory()).has_value()) versions_.remove_unused(used);
}

void Keeper::release(const std::vector<std::string>& names)
{
    // What is torn in one that was never used is told of by those behind it.
    if (!remove_unused()) return;
    for (const std::string& name : names) {
        const SegmentPtr segment = segments_.find(name);
        if (!segment) continue;
        const auto all = segments_.all();
        const auto at = std::find(all.begin(), all.end(), segment);
        if (at == all.end() || !any_begun({std::next(at), all.end()})) continue;
        if (at != all.begin()) {
            const Segment& before = **std::prev(at);
            const std::lock_guard lock{before.mutex};
            if (!before.sealed) continue;
        }
        segments_.remove(segment->number);
        remove_file(*segment);
    }
    remove_unused_versions();
}

StoredEvent Keeper::by_names(Sequence sequence, const std::vector<std::pair<std::string, std::string>>& names)
{
    auto version = std::make_shared<RoutingVersion>();
    StoredEvent stored;
    stored.sequence = sequence;
    for (const auto& [rule, target] : names) {
        Route route;
        route.rule = rule;
        route.target = target;
        stored.routes.push_back(static_cast<std::uint32_t>(stored.routes.size()));
        version->routes.push_back(std::move(route));
    }
    stored.version = std::move(version);
    return stored;
}

Result<void> Keeper::replace(const SegmentPtr& segment, File& source, const SegmentIndex& index,
                             const std::function<bool(const StoredEvent&, std::uint32_t)>& keep,
                             const std::vector<Sequence>& erased)
{
    SegmentHeader header;
    {
        const std::lock_guard lock{segment->mutex};
        header = segment->header;
    }
    if (header.segment != segment->id) {
        std::string block;
        EVENTYARD_CHECK(source.read_at(0, segment_data_start, block));
        EVENTYARD_TRY(read, decode_segment_header(block, segment->id));
        header = read;
    }
    EVENTYARD_TRY(size, source.size());
    FileWindow window{source, size};
    std::vector<RewriteItem> items;
    auto gap = index.gaps().begin();
    const auto add_gap = [&](Sequence first, Sequence last, GapReason reason) {
        if (!items.empty() && items.back().kind == RewriteItem::Kind::gap &&
            items.back().reason == reason && items.back().last + 1 == first) {
            items.back().last = last;
            return;
        }
        RewriteItem item;
        item.kind = RewriteItem::Kind::gap;
        item.first = first;
        item.last = last;
        item.reason = reason;
        items.push_back(std::move(item));
    };
    for (const IndexedEvent& event : index.events()) {
        for (; gap != index.gaps().end() && gap->first < event.sequence; ++gap)
            add_gap(gap->first, gap->last, gap->reason);
        RewriteItem item;
        item.first = item.last = event.sequence;
        item.offset = event.offset;
        item.size = event.length;
        item.erase = std::binary_search(erased.begin(), erased.end(), event.sequence);
        bool wanted = !keep;
        item.names = index.names_of(event);
        for (std::uint32_t i = 0; i < event.routes_count; ++i)
            if (index.routes()[event.routes_first + i] == route_dropped) item.dropped.push_back(i);
        if (event.offset == 0) item.kind = RewriteItem::Kind::damaged;
        if (keep) {
            StoredEvent stored;
            stored.sequence = event.sequence;
            auto read = event.offset == 0
                            ? Result<ReadEvent>{fail(Errc::corrupt, "damaged")}
                            : decode_event(window.at(event.offset, event.length),
                                           segment->seed.at(event.offset), event.sequence);
            if (window.unreadable() > 0) return fail(Errc::unavailable, "the segment cannot be read");
            RoutingVersionPtr version;
            if (read.has_value()) {
                EVENTYARD_TRY(known, versions_.look_up(read->meta.version));
                version = std::move(known);
            }
            if (read.has_value() && version) {
                stored.event.id = read->meta.id;
                stored.event.received = read->meta.received;
                stored.event.format = read->meta.format;
                stored.bus = read->meta.bus;
                if (stored.bus < version->buses.size()) stored.event.bus = version->buses[stored.bus];
                stored.event.body = std::move(read->body);
                stored.routes = std::move(read->meta.routes);
            } else {
                // Unreadable, but its deliveries still have to be settled as damaged: ask by names.
                stored = by_names(event.sequence, item.names);
            }
            if (version) stored.version = version;
            item.dropped.clear();
            for (std::uint32_t i = 0; i < event.routes_count; ++i) {
                const std::uint32_t pair = index.routes()[event.routes_first + i];
                if (pair != route_dropped && keep(stored, i))
                    wanted = true;
                else
                    item.dropped.push_back(i);
            }
        }
        if (wanted)
            items.push_back(std::move(item));
        else
            add_gap(event.sequence, event.sequence, GapReason::dropped);
    }
    for (; gap != index.gaps().end(); ++gap) add_gap(gap->first, gap->last, gap->reason);

    header.synced_before = std::max(header.synced_before, index.summary().last);
    header.reserved = std::max(header.reserved, index.summary().reserved);
    EVENTYARD_TRY(rewritten, rewrite_segment(disk_, segments_.directory(), segment->name, source,
                                             header, items, versions_));
    if (!rewritten.named) name_unsure_ = true;
    // A new object: readers that hold the old one go on with the old file.
    auto fresh = std::make_shared<Segment>(segment->number, segment->id);
    {
        const std::lock_guard lock{fresh->mutex};
        fresh->header = header;
        fresh->become_sealed(rewritten.index.summary(), rewritten.bytes);
    }
    {
        const std::lock_guard lock{segment->mutex};
        segment->replaced = true;
    }
    segments_.replace(fresh);
    return {};
}

Result<void> Keeper::rewrite(const std::string& name,
                             const std::function<bool(const StoredEvent&, std::uint32_t)>& keep)
{
    const SegmentPtr segment = segments_.find(name);
    if (!segment) return fail(Errc::not_found, "no segment '" + name + "'");
    {
        const std::lock_guard lock{segment->mutex};
        if (!segment->sealed) return fail(Errc::invalid, "'" + name + "' is not sealed yet");
    }
    EVENTYARD_TRY(loaded, load_segment(disk_, segments_, versions_, *segment));
    EVENTYARD_CHECK(replace(segment, *loaded.file, *loaded.index, keep));
    remove_unused_versions();
    return {};
}

Result<JournalCopy> Keeper::copy_to(const std::string& directory)
{
    if (disk_.exists(directory)) return fail(Errc::conflict, "'" + directory + "' exists already");
    EVENTYARD_CHECK(disk_.make_directory(directory + "/routing"));
    JournalCopy copy;
    for (const SegmentPtr& segment : segments_.all()) {
        bool sealed = false;
        std::uint64_t bytes = 0;
        {
            const std::lock_guard lock{segment->mutex};
            if (segment->last == 0) continue;
            sealed = segment->sealed;
            // What stands behind the last commit is another life's, or a write under way.
            bytes = sealed ? segment->bytes : segment->index->summary().data_end;
            copy.last = std::max(copy.last, segment->last);
        }
        const std::string from = segments_.path(segment->name), to = directory + '/' + segment->name;
        EVENTYARD_CHECK(sealed ? link_or_copy(disk_, from, to) : copy_file(disk_, from, to, bytes));
        copy.segments.push_back(segment->name);
        copy.bytes += bytes;
    }
    // After the events: every version was stored before its first event.
    const std::string versions = segments_.path("routing");
    EVENTYARD_TRY(names, disk_.list(versions));
    for (const std::string& name : names)
        if (name.ends_with(".a") || name.ends_with(".b"))
            EVENTYARD_CHECK(link_or_copy(disk_, versions + '/' + name, directory + "/routing/" + name));
    EVENTYARD_CHECK(disk_.sync_directory(directory + "/routing"));
    EVENTYARD_CHECK(disk_.sync_directory(directory));
    return copy;
}

void Keeper::prepare(std::uint64_t room)
{
    if (room == 0) spares_.drop();
    if (auto done = spares_.prepare(room); !done.has_value())
        log::warn("journal", "no spare segment can be prepared", {{"error", done.error().what}});
}

}  // namespace eventyard::router
