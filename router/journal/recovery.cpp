#include "router/journal/recovery.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "router/journal/check.hpp"
#include "router/journal/judge.hpp"
#include "router/journal/quarantine.hpp"
#include "router/journal/rewrite.hpp"
#include "router/journal/spares.hpp"

namespace eventyard::router {
namespace {

/// A segment file as it was found.
struct Found {
    SegmentPtr segment;
    std::uint64_t size = 0;
    bool has_header = false;
    bool newer = false;
    std::optional<SegmentSummary> summary;  // of a good footer
    std::optional<Scan> scan;               // otherwise
    std::optional<SegmentSummary> former;   // of the footer of a damaged one
    bool had_trailer = false;

    /// First sequence this segment may hold; 0: it does not tell.
    [[nodiscard]] Sequence begin() const
    {
        if (has_header)
            return segment->header.hole_first != 0 ? segment->header.hole_first
                                                   : segment->header.first;
        if (summary) return summary->first;
        return scan ? scan->first : 0;
    }
};

class Run {
public:
    Run(Disk& disk, SegmentSet& segments, Versions& versions, const JournalMarks& marks, Depth depth)
        : disk_(disk), segments_(segments), versions_(versions), marks_(marks), depth_(depth)
    {
    }

    Result<Recovery> go(const Id& store_if_none)
    {
        EVENTYARD_CHECK(find_files());
        settle_store(store_if_none);
        find_marks();
        sync_newest_header();
        for (std::size_t i = 0; i < found_.size(); ++i) EVENTYARD_CHECK(take(i));
        finish();
        return std::move(out_);
    }

private:
    Result<void> find_files();
    Result<void> inspect(Found& found);
    Result<void> sync_footer(const Found& found, File& file, FileWindow& window, std::uint64_t offset, std::uint64_t size);
    void settle_store(const Id& store_if_none);
    void find_marks();
    void sync_newest_header();
    Result<void> take(std::size_t place);
    [[nodiscard]] Bounds bounds_of(std::size_t place) const;
    std::vector<RewriteItem> items_of(const Verdict& verdict);
    void report_damage(const Found& found, const Verdict& verdict, const std::vector<RewriteItem>& items);
    SegmentIndex index_of(const Found& found, const Verdict& verdict, const std::vector<RewriteItem>& items);
    Result<void> sync_in_place(Found& found, std::uint64_t end);
    Result<std::uint64_t> seal_in_place(Found& found, const SegmentIndex& index, std::uint64_t end);
    void finish();

    Disk& disk_;
    SegmentSet& segments_;
    Versions& versions_;
    JournalMarks marks_;
    const Depth depth_;
    std::vector<Found> found_;
    Sequence synced_ = 0;
    Sequence seen_ = 0;
    Id unsure_header_;   // of the newest segment with one, when it may be in the page cache only
    Sequence cut_by_unsure_ = no_limit;  // what stands above it in the segment before does not live, as that header says
    Sequence begun_ = 0;  // a segment began behind this: what is missing below was let go, or told of before
    std::uint64_t last_number_ = 0;  // of the last segment taken
    Recovery out_;
};

Result<void> Run::find_files()
{
    EVENTYARD_TRY(names, disk_.list(segments_.directory()));
    for (const std::string& name : names) {
        if (name.ends_with(".seg.tmp")) {
            (void)disk_.unlink(segments_.path(name));
        } else if (is_spare(name)) {
            out_.spares.push_back(name);
        } else if (const auto parsed = parse_segment_name(name)) {
            Found found;
            found.segment = std::make_shared<Segment>(parsed->first, parsed->second);
            EVENTYARD_CHECK(inspect(found));
            found_.push_back(std::move(found));
        }
    }
    return {};
}

Result<void> Run::inspect(Found& found)
{
    Segment& segment = *found.segment;
    const std::string path = segments_.path(segment.name);
    EVENTYARD_TRY(file, disk_.open(path, OpenMode::read_write));
    EVENTYARD_TRY(size, file->size());
    found.size = size;
    FileWindow window{*file, size};
    auto header = decode_segment_header(window.at(0, segment_data_start), segment.id);
    if (header.has_value()) {
        segment.header = *header;
        found.has_header = true;
    } else if (header.error().code == Errc::unsupported) {
        return fail(Errc::unsupported, path + ": " + header.error().what);
    }
    if (size >= segment_data_start + trailer_size) {
        const std::uint64_t at = size - trailer_size;
        FileWindow tail{*file, size};
        auto trailer = decode_trailer(tail.at(at, trailer_size), segment.seed, at);
        if (trailer.has_value()) {
            found.had_trailer = true;
            auto summary = decode_summary(tail.at(trailer->summary_offset, trailer->summary_size),
                                          *trailer, segment.seed);
            if (summary.has_value()) {
                if (!trailer->synced) EVENTYARD_CHECK(sync_footer(found, *file, tail, trailer->index_offset, size));
                found.summary = std::move(*summary);
            }
        } else if (trailer.error().code == Errc::unsupported) {
            return fail(Errc::unsupported, path + ": " + trailer.error().what);
        }
    }
    if (!found.summary || depth_ == Depth::every_frame) {
        found.scan = scan_segment(*file, size, segment.id);
        if (found.scan->unread) return fail(Errc::io, path + " cannot be read");
        for (const ScannedEvent& event : found.scan->events)
            if (event.meta_ok) EVENTYARD_CHECK(versions_.look_up(event.meta.version));
    }
    if (found.summary && found.scan) {
        const SegmentCheck check = check_sealed(*file, size, segment.name, *found.scan, *found.summary, versions_);
        // A lost routing version is no reason: the footer still names the deliveries, the frames do not.
        if (check.damage.empty() && check.troubles.empty())
            found.scan.reset();
        else
            found.former = std::exchange(found.summary, std::nullopt);
    }
    segment.file = std::move(file);
    if (found.summary && found.has_header) segment.file.reset();
    return {};
}

/// The footer may be in the page cache only, after a sync that failed, and what it was written over may be on disk
/// still: written again, it is dirty again, and this sync tells the truth.
Result<void> Run::sync_footer(const Found& found, File& file, FileWindow& window, std::uint64_t offset, std::uint64_t size)
{
    const Segment& segment = *found.segment;
    const std::string footer{window.at(offset, size - offset)};
    if (window.unreadable() > 0) return fail(Errc::io, segments_.path(segment.name) + " cannot be read");
    if (found.has_header) EVENTYARD_CHECK(file.write_at(0, {encode_segment_header(segment.header)}));
    EVENTYARD_CHECK(write_footer(file, footer, offset));
    return {};
}

void Run::settle_store(const Id& store_if_none)
{
    Id store;
    for (const Found& found : found_)
        if (found.has_header && store.is_nil()) store = found.segment->header.store;
    if (store.is_nil()) store = versions_.store();
    if (store.is_nil()) store = marks_.store;
    if (store.is_nil()) store = store_if_none;
    versions_.set_store(store);
    out_.report.store = store;
    if (!marks_.store.is_nil() && marks_.store != store) {
        out_.report.store_mismatch = true;
        marks_ = {};
    }
    const auto foreign = [&](const Found& found) {
        return found.has_header && found.segment->header.store != store;
    };
    for (const Found& found : found_)
        if (foreign(found))
            if (auto to = set_aside(disk_, segments_.directory(), found.segment->name))
                out_.report.quarantined.push_back(std::move(*to));
    std::erase_if(found_, foreign);
}

void Run::find_marks()
{
    synced_ = marks_.synced;
    for (const Found& found : found_) {
        if (found.has_header) {
            synced_ = std::max(synced_, found.segment->header.synced_before);
            out_.reserved = std::max(out_.reserved, found.segment->header.reserved);
            begun_ = std::max(begun_, found.segment->header.first - 1);
        }
        if (found.summary) {
            synced_ = std::max(synced_, found.summary->last);
            out_.reserved = std::max(out_.reserved, found.summary->reserved);
        }
        if (found.former) {
            synced_ = std::max(synced_, found.former->last);
            out_.reserved = std::max(out_.reserved, found.former->reserved);
        }
        if (found.scan) {
            synced_ = std::max(synced_, found.scan->synced_before);
            out_.reserved = std::max(out_.reserved, found.scan->reserved);
            seen_ = std::max(seen_, found.scan->last);
        }
    }
}

/// It tells where what stands before it ends, and nobody syncs it again when its segment was never used: written once
/// more, it is dirty again, and this sync tells the truth.
void Run::sync_newest_header()
{
    const auto newest = std::find_if(found_.rbegin(), found_.rend(), [](const Found& one) { return one.has_header; });
    if (newest == found_.rend() || newest->summary) return;
    const auto& events = newest->scan->events;
    // A sync of the first events was one of the header, too.
    if (std::any_of(events.begin(), events.end(), [this](const ScannedEvent& one) { return one.sequence <= synced_; })) return;
    File& file = *newest->segment->file;
    auto sure = file.write_at(0, {encode_segment_header(newest->segment->header)});
    if (sure.has_value()) sure = file.sync_all();
    if (!sure.has_value()) unsure_header_ = newest->segment->id;
}

Bounds Run::bounds_of(std::size_t place) const
{
    const Found& found = found_[place];
    Bounds bounds;
    bounds.synced = synced_;
    if (found.former) {
        bounds.lower = found.former->first;
        bounds.upper = found.former->last;
        return bounds;
    }
    const std::uint64_t number = found.segment->number;
    // The next one whose begin is known: from itself, or from the header after it.
    const auto told_after = [&](std::size_t i) {
        return i + 1 < found_.size() && found_[i + 1].has_header &&
                       found_[i + 1].segment->header.previous_number == found_[i].segment->number
                   ? found_[i + 1].segment->header.previous_first
                   : Sequence{0};
    };
    Sequence next_begin = 0;
    bool certain = false;  // false: its first event found, before which more may have stood
    for (std::size_t i = place + 1; i < found_.size() && next_begin == 0; ++i) {
        const Found& next = found_[i];
        next_begin = next.has_header || next.summary ? next.begin() : told_after(i);
        certain = next_begin != 0;
        if (!certain) next_begin = next.begin();
    }

    if (found.has_header)
        bounds.lower = found.segment->header.first;
    else if (last_number_ != 0 && last_number_ + 1 == number)
        bounds.lower = out_.end + 1;
    else if (const Sequence first = told_after(place); first != 0)
        bounds.lower = first;
    else if (number == 1)
        bounds.lower = 1;
    else
        bounds.lower = found.scan->first;

    if (next_begin != 0)
        bounds.upper = certain ? next_begin - 1
                               : std::max(found.scan->last, bounds.lower == 0 ? 0 : bounds.lower - 1);
    return bounds;
}

std::vector<RewriteItem> Run::items_of(const Verdict& verdict)
{
    std::vector<RewriteItem> items;
    RoutingVersionPtr version;
    const auto names_of = [&](const EventMeta& meta) {
        std::vector<std::pair<std::string, std::string>> names;
        if (!version || version->number != meta.version) version = versions_.find(meta.version);
        if (version)
            for (const std::uint32_t route : meta.routes)
                if (route < version->routes.size())
                    names.emplace_back(version->routes[route].rule, version->routes[route].target);
        return names;
    };
    for (const Finding& finding : verdict.findings) {
        RewriteItem item;
        item.first = finding.first;
        item.last = finding.last;
        switch (finding.kind) {
            case Finding::Kind::event:
                item.offset = finding.event->offset;
                item.size = finding.event->size;
                item.names = names_of(finding.event->meta);
                break;
            case Finding::Kind::damaged:
                item.kind = RewriteItem::Kind::damaged;
                if (finding.declared != nullptr)
                    item.names = finding.declared->meta.routes;
                else if (finding.event != nullptr && finding.event->meta_ok)
                    item.names = names_of(finding.event->meta);
                break;
            case Finding::Kind::gap:
                item.kind = RewriteItem::Kind::gap;
                item.reason = finding.reason;
                break;
        }
        items.push_back(std::move(item));
    }
    return items;
}

void Run::report_damage(const Found& found, const Verdict& verdict,
                        const std::vector<RewriteItem>& items)
{
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Finding& finding = verdict.findings[i];
        if (finding.kind == Finding::Kind::damaged && finding.declared == nullptr)
            out_.report.damaged.push_back({items[i].first, items[i].names});
        // An event whose routing version is lost cannot be delivered to anybody.
        else if (finding.kind == Finding::Kind::event && !finding.event->meta.routes.empty() &&
                 items[i].names.empty())
            out_.report.damaged.push_back({items[i].first, {}});
    }
    if (verdict.lost_first != 0) {
        if (out_.report.lost_first == 0) out_.report.lost_first = verdict.lost_first;
        out_.report.lost_last = verdict.lost_last;
    }
    out_.report.torn_bytes += verdict.torn_bytes;
    if (!verdict.new_damage) return;
    if (auto kept = keep_bad_bytes(disk_, segments_.directory(), found.segment->name, *found.segment->file, *found.scan, verdict))
        out_.report.quarantined.push_back(std::move(*kept));
}

SegmentIndex Run::index_of(const Found& found, const Verdict& verdict, const std::vector<RewriteItem>& items)
{
    SegmentIndex index;
    index.set_reserved(std::max(found.scan->reserved, found.segment->header.reserved));
    index.set_data_end(verdict.end);
    RoutingVersionPtr version;
    auto event = found.scan->events.begin();
    for (const RewriteItem& item : items) {
        switch (item.kind) {
            case RewriteItem::Kind::event:
                while (event->offset != item.offset) ++event;
                if (!version || version->number != event->meta.version)
                    version = versions_.find(event->meta.version);
                index.add(item.first, event->meta, version.get(), item.offset,
                          static_cast<std::uint32_t>(item.size), event->body_length);
                break;
            case RewriteItem::Kind::damaged: index.add_damaged(item.first, item.names); break;
            case RewriteItem::Kind::gap: index.add_gap({item.first, item.last, item.reason}); break;
        }
    }
    return index;
}

/// The frames before `end` are good where they stand. Those above every mark may be in the page cache only, after
/// a sync that failed: written again, they are dirty again, and this sync tells the truth.
Result<void> Run::sync_in_place(Found& found, std::uint64_t end)
{
    File& file = *found.segment->file;
    FileWindow window{file, found.size};
    std::uint64_t from = end;
    for (const ScannedEvent& event : found.scan->events)
        if (event.sequence > synced_) from = std::min(from, event.offset);
    constexpr std::uint64_t piece = 1U << 20;
    for (std::uint64_t at = from; at < end; at += piece) {
        const std::string bytes{window.at(at, std::min(piece, end - at))};
        if (window.unreadable() > 0) return fail(Errc::io, segments_.path(found.segment->name) + " cannot be read");
        EVENTYARD_CHECK(file.write_at(at, {bytes}));
    }
    // What cannot be read behind them looks torn as well, and another start may find it whole.
    for (std::uint64_t at = end; at < found.scan->end; at += piece) (void)window.at(at, std::min(piece, found.scan->end - at));
    if (window.unreadable() > 0) return fail(Errc::io, segments_.path(found.segment->name) + " cannot be read");
    if (from == end) return {};
    // As it was found: ours vouches for these frames already.
    const std::string header{window.at(0, segment_data_start)};
    if (window.unreadable() == 0) EVENTYARD_CHECK(file.write_at(0, {header}));
    return file.sync_data();
}

/// What stands from `end` on does not live, and goes.
Result<std::uint64_t> Run::seal_in_place(Found& found, const SegmentIndex& index, std::uint64_t end)
{
    Segment& segment = *found.segment;
    File& file = *segment.file;
    EVENTYARD_CHECK(sync_in_place(found, end));
    EVENTYARD_CHECK(file.write_at(0, {encode_segment_header(segment.header)}));
    if (end < found.scan->end) EVENTYARD_CHECK(file.sync_data());  // the marks that stand there are in the header, too
    end = (end + 7) & ~std::uint64_t{7};
    return write_footer(file, encode_footer(index, segment.seed, end), end);
}

Result<void> Run::take(std::size_t place)
{
    Found& found = found_[place];
    Segment& segment = *found.segment;
    if (found.summary) {
        if (!found.has_header) {  // both copies lost, the footer tells the same
            segment.header = {};
            segment.header.store = out_.report.store;
            segment.header.segment = segment.id;
            segment.header.number = segment.number;
            segment.header.first = found.summary->first;
            segment.header.synced_before = found.summary->last;
            if (segment.file->write_at(0, {encode_segment_header(segment.header)}).has_value())
                (void)segment.file->sync_all();
        }
        const std::lock_guard lock{segment.mutex};
        segment.become_sealed(*found.summary, found.size);
    } else {
        Bounds bounds = bounds_of(place);
        Verdict verdict = judge(*found.scan, bounds);
        const auto unused = [&]() -> Result<void> {  // or nothing was ever answered from it
            segments_.numbers_above(segment.number);
            const bool told = std::any_of(found_.begin() + static_cast<std::ptrdiff_t>(place) + 1, found_.end(),
                                          [this](const Found& later) { return later.has_header && (unsure_header_.is_nil() || later.summary); });
            if (told) {  // of what is torn in it: by that header, which may go before it does
                segment.file.reset();
                return disk_.unlink(segments_.path(segment.name));
            }
            if (found.has_header) {  // which may be all that tells which events there were
                segment.begun = segment.id != unsure_header_ || out_.unused.empty();  // else one that is sure stays
                out_.unused.push_back(found.segment);
            } else {
                segment.file.reset();
                out_.spares.push_back(segment.name);  // it keeps its name until it is used
            }
            return {};
        };
        if (verdict.findings.empty()) {
            out_.report.torn_bytes += verdict.torn_bytes;
            return unused();
        }
        std::vector<RewriteItem> items = items_of(verdict);
        report_damage(found, verdict, items);
        if (!found.has_header) {
            segment.header = {};
            segment.header.store = out_.report.store;
            segment.header.segment = segment.id;
            segment.header.number = segment.number;
            segment.header.first = verdict.findings.front().first;
        }
        // Whatever is kept is synced before anything is given out.
        const Sequence before = segment.header.synced_before;
        segment.header.synced_before = std::max(before, verdict.vouched);
        segment.header.reserved = std::max(segment.header.reserved, found.scan->reserved);
        if (found.had_trailer || place + 1 < found_.size()) ++out_.report.rebuilt_indexes;

        bool sealed = false;
        SegmentIndex index = index_of(found, verdict, items);
        std::uint64_t bytes = found.size;
        if (verdict.wants_rewrite()) {
            auto rewritten = rewrite_segment(disk_, segments_.directory(), segment.name,
                                             *segment.file, segment.header, items, versions_);
            if (rewritten.has_value()) {
                index = std::move(rewritten->index);
                bytes = rewritten->bytes;
                segment.file.reset();
                sealed = true;
            } else if (verdict.holes && rewritten.error().code == Errc::io) {
                // Rot looks like a torn unit, too, and behind that what stands was answered: another start may write it down.
                return rewritten.error();
            }
        } else if (auto size = seal_in_place(found, index, verdict.end); size.has_value()) {
            bytes = *size;
            sealed = true;
        }
        // A torn unit that cannot be declared would count as damage once a mark is above it. What stands
        // behind it was never answered after a sync, unless rot hit the last block: without space it is given up.
        if (!sealed && verdict.holes) {
            const auto torn = std::find_if(verdict.findings.begin(), verdict.findings.end(), [](const Finding& one) {
                return one.kind == Finding::Kind::gap && one.declared == nullptr && one.reason == GapReason::torn;
            });
            out_.decided = std::min(out_.decided, torn->first - 1);
            bounds.upper = torn->first - 1;
            verdict = judge(*found.scan, bounds);
            if (verdict.findings.empty()) return unused();
            items = items_of(verdict);
            index = index_of(found, verdict, items);
            segment.header.synced_before = std::max(before, verdict.vouched);
        }
        // Nothing is given out that a power cut could still take back: without space for a footer that
        // can be told, on a disk that fails it cannot, and somebody may have been answered.
        if (!sealed) EVENTYARD_CHECK(sync_in_place(found, verdict.end));
        // A power cut may take the header that says that the rest does not live, see finish().
        const auto next = std::find_if(found_.begin() + static_cast<std::ptrdiff_t>(place) + 1, found_.end(),
                                       [](const Found& later) { return later.has_header || later.summary; });
        if (!sealed && verdict.dropped && next != found_.end() && next->segment->id == unsure_header_)
            cut_by_unsure_ = index.summary().last;
        const std::lock_guard lock{segment.mutex};
        const SegmentSummary summary = index.summary();
        if (sealed) {
            segment.become_sealed(summary, bytes);
        } else {  // no space, or a failing disk: readable all the same
            segment.begun = found.has_header;
            segment.index = std::move(index);
            segment.bytes = bytes;
            segment.first = summary.first;
            segment.last = summary.last;
            segment.events = summary.events;
        }
        found.scan.reset();
    }
    out_.report.events += segment.events;
    if (segment.events > 0) {
        if (out_.report.first == 0) out_.report.first = segment.first;
        out_.report.last = segment.last;
    }
    out_.end = std::max(out_.end, segment.last);
    last_number_ = segment.number;
    segments_.numbers_above(segment.number);
    segments_.add(found.segment);
    return {};
}

void Run::finish()
{
    RecoveryReport& report = out_.report;
    // A header with events behind it was synced with them.
    if (std::any_of(out_.unused.begin(), out_.unused.end(), [this](const SegmentPtr& one) { return one->id == unsure_header_; }))
        out_.decided = std::min(out_.decided, cut_by_unsure_);
    const Sequence told = std::max(out_.end, begun_);
    if (synced_ > told) {  // no segment is left that could account for these
        if (report.lost_first == 0) report.lost_first = told + 1;
        report.lost_last = synced_;
    }
    if (const Sequence known = std::max(told, synced_); marks_.answered > known) {
        if (report.lost_first == 0) report.lost_first = known + 1;
        report.lost_last = marks_.answered;
    }
    for (const std::string& path : versions_.unreadable()) report.quarantined.push_back(path);
    out_.next = std::max({out_.end, synced_, seen_, begun_, marks_.answered, marks_.reserved, out_.reserved}) + 1;
}

}  // namespace

Result<Recovery> recover(Disk& disk, SegmentSet& segments, Versions& versions,
                         const JournalMarks& marks, const Id& store_if_none, Depth depth)
{
    return Run{disk, segments, versions, marks, depth}.go(store_if_none);
}

}  // namespace eventyard::router
