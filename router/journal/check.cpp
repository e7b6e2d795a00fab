#include "router/journal/check.hpp"

#include <algorithm>
#include <optional>

#include "router/journal/format.hpp"
#include "router/journal/load.hpp"
#include "router/journal/spares.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t header_copy = 512;
constexpr std::size_t second_copy = 2048;

/// What a look at both ends of a file tells.
struct Ends {
    std::string name;
    std::uint64_t number = 0;
    Id id;
    std::uint64_t size = 0;
    std::optional<SegmentHeader> header;
    std::optional<SegmentSummary> summary;
    std::optional<Scan> scan;  // where there is no summary
    std::optional<Error> error;

    [[nodiscard]] Sequence begin() const
    {
        if (header) return header->hole_first != 0 ? header->hole_first : header->first;
        if (summary) return summary->first;
        return scan ? scan->first : 0;
    }
};

Ends look(Disk& disk, const std::string& directory, const std::string& name, std::uint64_t number, const Id& id)
{
    Ends ends;
    ends.name = name;
    ends.number = number;
    ends.id = id;
    const auto fill = [&]() -> Result<void> {
        EVENTYARD_TRY(file, disk.open(directory + "/" + name, OpenMode::read));
        EVENTYARD_TRY(size, file->size());
        ends.size = size;
        std::string block;
        EVENTYARD_CHECK(read_patiently(*file, 0, segment_data_start, block));
        auto header = decode_segment_header(block, id);
        if (header.has_value()) ends.header = *header;
        else if (header.error().code == Errc::unsupported) return header.error();
        auto summary = read_summary(*file, size, FrameSeed{id});
        if (summary.has_value()) ends.summary = std::move(*summary);
        else if (summary.error().code == Errc::unsupported) return summary.error();
        if (!ends.summary) {
            ends.scan = scan_segment(*file, size, id);
            if (ends.scan->unread) return fail(Errc::io, "the disk gives nothing of it");
        }
        return {};
    };
    if (auto done = fill(); !done.has_value()) ends.error = done.error();
    return ends;
}

std::vector<std::pair<std::string, std::string>> names_of(const EventMeta& meta, Versions& versions)
{
    std::vector<std::pair<std::string, std::string>> names;
    if (const auto version = versions.find(meta.version))
        for (const std::uint32_t route : meta.routes)
            if (route < version->routes.size())
                names.emplace_back(version->routes[route].rule, version->routes[route].target);
    return names;
}

/// Counts what a scan holds within the bounds, and collects what is damaged.
void take(SegmentCheck& check, const Scan& scan, const Bounds& bounds, Versions& versions)
{
    const Verdict verdict = judge(scan, bounds);
    check.torn_bytes = verdict.torn_bytes;
    for (const Finding& finding : verdict.findings) {
        if (check.first == 0) check.first = finding.first;
        check.last = finding.last;
        if (finding.kind == Finding::Kind::event) {
            ++check.events;
            if (!finding.event->meta.routes.empty() && versions.find(finding.event->meta.version) == nullptr)
                ++check.unversioned;
            continue;
        }
        const bool torn = finding.kind == Finding::Kind::gap && finding.reason == GapReason::torn;
        if (finding.declared != nullptr) {
            check.declared += finding.last - finding.first + 1;
            continue;
        }
        if (torn) continue;
        DamagedRange range{finding.first, finding.last, 0, 0, {}};
        if (finding.event != nullptr) {
            range.offset = finding.event->offset;
            range.size = finding.event->size;
            if (finding.event->meta_ok) range.routes = names_of(finding.event->meta, versions);
        }
        DamagedRange* before = check.damage.empty() ? nullptr : &check.damage.back();
        if (before != nullptr && before->last + 1 == range.first && before->offset == 0 && range.offset == 0)
            before->last = range.last;
        else
            check.damage.push_back(std::move(range));
    }
}

void look_at_header(SegmentCheck& check, File& file, const Id& id)
{
    std::string block;
    if (!read_patiently(file, 0, segment_data_start, block).has_value() || !decode_segment_header(block, id).has_value())
        check.troubles.push_back("both copies of the header are damaged");
    else if (std::string_view{block}.substr(0, header_copy) != std::string_view{block}.substr(second_copy, header_copy))
        check.troubles.push_back("a copy of the header is damaged");
}

SegmentCheck check_one(Disk& disk, const std::string& directory, const Ends& ends, const Bounds& bounds, const Id& store,
                       Versions& versions)
{
    SegmentCheck check;
    check.name = ends.name;
    check.bytes = ends.size;
    if (ends.error) {
        check.kind = ends.error->code == Errc::unsupported ? SegmentCheck::Kind::newer : SegmentCheck::Kind::unreadable;
        check.troubles.push_back(ends.error->what);
        return check;
    }
    if (ends.header && ends.header->store != store) {
        check.kind = SegmentCheck::Kind::foreign;
        check.troubles.push_back("belongs to another journal, of store " + ends.header->store.text());
        return check;
    }
    const auto file = disk.open(directory + "/" + ends.name, OpenMode::read);
    if (!file.has_value()) {
        check.kind = SegmentCheck::Kind::unreadable;
        check.troubles.push_back(file.error().what);
        return check;
    }
    if (ends.summary) {
        const Scan scan = scan_segment(**file, ends.size, ends.id);
        if (!scan.unread) return check_sealed(**file, ends.size, ends.name, scan, *ends.summary, versions);
        check.kind = SegmentCheck::Kind::unreadable;
        check.troubles.emplace_back("the disk gives nothing of it");
        return check;
    }
    take(check, *ends.scan, bounds, versions);
    if (check.last == 0) {
        check.kind = SegmentCheck::Kind::unused;
        return check;
    }
    look_at_header(check, **file, ends.id);
    return check;
}

}  // namespace

const char* text_of(SegmentCheck::Kind kind) noexcept
{
    switch (kind) {
        case SegmentCheck::Kind::sealed: return "sealed";
        case SegmentCheck::Kind::open: return "not sealed";
        case SegmentCheck::Kind::unused: return "unused";
        case SegmentCheck::Kind::foreign: return "foreign";
        case SegmentCheck::Kind::newer: return "newer format";
        case SegmentCheck::Kind::unreadable: break;
    }
    return "unreadable";
}

SegmentCheck check_sealed(File& file, std::uint64_t size, const std::string& name, const Scan& scan,
                          const SegmentSummary& summary, Versions& versions)
{
    SegmentCheck check;
    check.name = name;
    check.bytes = size;
    check.kind = SegmentCheck::Kind::sealed;
    const Id id = parse_segment_name(name)->second;
    take(check, scan, {summary.first, summary.last, summary.last}, versions);
    look_at_header(check, file, id);
    const auto index = read_index(file, size, FrameSeed{id});
    if (!index.has_value()) {
        check.troubles.push_back(index.error().what);
        return check;
    }
    // Each event of the index is a frame at its place, and there is no frame that it does not know.
    std::uint64_t listed = 0, misplaced = 0;
    for (const IndexedEvent& event : index->events()) {
        if (event.offset == 0) continue;
        ++listed;
        const auto at = std::lower_bound(scan.events.begin(), scan.events.end(), event.sequence,
                                         [](const ScannedEvent& one, Sequence wanted) { return one.sequence < wanted; });
        if (at != scan.events.end() && at->sequence == event.sequence && at->intact() && at->offset != event.offset) ++misplaced;
    }
    std::uint64_t gone = 0;
    for (const DamagedRange& range : check.damage) gone += range.last - range.first + 1;
    if (misplaced > 0 || listed != check.events + gone)
        check.troubles.emplace_back("the segment's index differs from its frames");
    return check;
}

Result<JournalCheck> check_journal(Disk& disk, const std::string& directory, const JournalMarks& marks)
{
    EVENTYARD_TRY(names, disk.list(directory));
    EVENTYARD_TRY(versions, Versions::open(disk, directory + "/routing"));
    JournalCheck out;
    out.bad_versions = versions->unreadable();
    if (disk.exists(directory + "/quarantine")) {
        EVENTYARD_TRY(aside, disk.list(directory + "/quarantine"));
        out.quarantined = aside.size();
    }
    std::vector<Ends> all;
    for (const std::string& name : names) {
        if (is_spare(name)) ++out.spares;
        if (const auto parsed = parse_segment_name(name)) all.push_back(look(disk, directory, name, parsed->first, parsed->second));
    }
    for (const Ends& ends : all)
        if (ends.header && out.store.is_nil()) out.store = ends.header->store;
    if (out.store.is_nil()) out.store = versions->store();
    const bool known = marks.store.is_nil() || marks.store == out.store;
    Sequence synced = known ? marks.synced : 0, told = 0;
    for (const Ends& ends : all) {
        if (ends.header && ends.header->store != out.store) continue;
        if (ends.header) synced = std::max(synced, ends.header->synced_before);
        if (ends.header) told = std::max(told, ends.header->first - 1);
        if (ends.summary) synced = std::max(synced, ends.summary->last);
        if (ends.scan) synced = std::max(synced, ends.scan->synced_before);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        Bounds bounds;
        bounds.synced = synced;
        bounds.lower = all[i].header ? all[i].header->first : 0;
        for (std::size_t k = i + 1; k < all.size() && bounds.upper == no_limit; ++k)
            if (const Sequence begin = all[k].begin(); begin != 0) bounds.upper = begin - 1;
        out.segments.push_back(check_one(disk, directory, all[i], bounds, out.store, *versions));
        if (out.segments.back().kind != SegmentCheck::Kind::foreign) told = std::max(told, out.segments.back().last);
    }
    if (synced > told) {
        out.lost_first = told + 1;
        out.lost_last = synced;
    }
    return out;
}

}  // namespace eventyard::router
