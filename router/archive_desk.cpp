#include "router/archive_desk.hpp"

#include <algorithm>
#include <future>

#include "core/log.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router {
namespace {

constexpr std::chrono::seconds look_interval{1}, retain_interval{10}, retry_interval{2};
constexpr json::Limits any_depth{10'001};  // the most that limits.depth can be, and an envelope

}  // namespace

Result<EventChunk> read_events(Journal& journal, const EventsRead& request)
{
    const auto answer = std::make_shared<std::promise<Result<EventChunk>>>();
    auto future = answer->get_future();
    journal.read_events(request, [answer](Result<EventChunk> chunk) { answer->set_value(std::move(chunk)); });
    return future.get();
}

bool is_replayed(const StoredEvent& event)
{
    return !event.routes.empty() && parse_replay_name(event.version->routes[event.routes.front()].rule).has_value();
}

ArchiveDesk::ArchiveDesk(Disk& disk, const Clock& clock, Journal& journal, const std::string& data_dir)
    : disk_(disk), clock_(clock), journal_(journal), root_(data_dir + "/archive")
{
    open_known();
}

/// A bus whose archive was switched off keeps what it has.
void ArchiveDesk::open_known()
{
    if (!disk_.exists(root_)) return;
    const auto names = disk_.list(root_);
    if (!names.has_value()) return tell(names.error().what);
    for (const std::string& name : *names)
        if (auto opened = open(name); !opened.has_value()) tell(opened.error().what);
}

Result<void> ArchiveDesk::open(const std::string& bus)
{
    if (archives_.contains(bus)) return {};
    EVENTYARD_TRY(archive, BusArchive::open(disk_, root_, bus, journal_.recovery().store));
    archives_.emplace(bus, std::move(archive));
    show(bus);
    return {};
}

void ArchiveDesk::tick(const RouteTable& table)
{
    const SteadyTime now = clock_.steady();
    if (now < next_) return;
    next_ = now + look_interval;
    std::vector<const Bus*> archiving;
    for (const auto& [name, bus] : table.buses)
        if (bus.archive) archiving.push_back(&bus);
    if (archiving.empty()) return;
    const auto work = [&]() -> Result<void> {
        for (const Bus* bus : archiving) EVENTYARD_CHECK(open(bus->name));
        const Sequence done = through(table);
        for (const SegmentInfo& segment : journal_.segments()) {
            if (segment.last < segment.first || segment.last <= done) continue;
            if (!segment.sealed || segment.last > journal_.synced()) break;
            EVENTYARD_CHECK(archive(table, segment));
            next_ = now;  // there may be another
            break;
        }
        return {};
    };
    const Result<void> worked = work();
    if (!worked.has_value()) {
        next_ = now + retry_interval;
        tell(worked.error().what);
    } else if (!std::exchange(failing_, {}).empty()) {
        log::info("archive", "segments are archived again");
        for (const auto& [bus, archive] : archives_) show(bus);
    }
    if (now < retain_at_) return;
    retain_at_ = now + retain_interval;
    for (const Bus* bus : archiving)
        if (const auto found = archives_.find(bus->name); found != archives_.end()) retain(*bus, found->second);
}

Result<void> ArchiveDesk::archive(const RouteTable& table, const SegmentInfo& segment)
{
    std::set<std::string> wanted;
    for (const auto& [name, bus] : table.buses)
        if (bus.archive && archives_.at(name).through() < segment.last) wanted.insert(name);
    EVENTYARD_CHECK(copy(table, segment, wanted));
    for (const std::string& name : wanted) {
        EVENTYARD_CHECK(archives_.at(name).set_through(segment.last));
        show(name);
    }
    return {};
}

Result<void> ArchiveDesk::copy(const RouteTable& table, const SegmentInfo& segment, const std::set<std::string>& wanted)
{
    std::map<std::string, std::unique_ptr<ArchiveDraft>> drafts;
    EventsRead read{segment.first - 1, segment.last};
    while (read.after < segment.last) {
        EVENTYARD_TRY(chunk, read_events(journal_, read));
        for (const StoredEventPtr& event : chunk.events) {
            const std::string& bus = event->event.bus;
            if (!wanted.contains(bus) || is_replayed(*event) || is_erased(event->event)) continue;
            if (const auto& pattern = table.buses.find(bus)->second.archive->pattern) {
                json::SyntaxError error;
                if (!document_.parse(event->event.body, any_depth, error) || !rules::matches(*pattern, document_)) continue;
            }
            auto& draft = drafts[bus];
            if (!draft) {
                EVENTYARD_TRY(begun, archives_.at(bus).begin(segment.first, segment.last));
                draft = std::move(begun);
            }
            EVENTYARD_CHECK(draft->add(event->sequence, event->event));
        }
        read.after = chunk.through;
    }
    for (auto& [bus, draft] : drafts) EVENTYARD_CHECK(archives_.at(bus).finish(*draft, segment.first, segment.last));
    return {};
}

Result<ArchiveDesk::ErasedFiles> ArchiveDesk::erase(const Id& event)
{
    ErasedFiles erased;
    for (auto& [bus, archive] : archives_) {
        erased.unread.insert(erased.unread.end(), archive.unread().begin(), archive.unread().end());
        for (const ArchiveFilePtr& file : std::vector<ArchiveFilePtr>{archive.files()}) {
            const auto held = archive.erase(file, event);
            if (held.has_value()) erased.files += *held ? 1 : 0;
            else if (held.error().code == Errc::corrupt) erased.unread.push_back(file->path);
            else return held.error();
        }
        show(bus);
    }
    return erased;
}

void ArchiveDesk::retain(const Bus& bus, BusArchive& archive)
{
    const ArchiveOptions& keep = *bus.archive;
    const WallTime now = clock_.wall();
    std::uint64_t bytes = 0, events = 0, files = 0;
    for (const ArchiveFilePtr& file : archive.files()) bytes += file->bytes;
    while (!archive.files().empty()) {
        const ArchiveFilePtr oldest = archive.files().front();
        const bool old = keep.retention > Duration{0} && now - oldest->footer.to > keep.retention;
        if (!old && (keep.max_bytes == 0 || bytes <= keep.max_bytes)) break;
        if (auto removed = archive.remove(oldest); !removed.has_value()) {
            tell(removed.error().what);
            break;
        }
        bytes -= oldest->bytes;
        events += oldest->footer.events;
        ++files;
    }
    if (files == 0) return;
    removed_[bus.name] += events;
    log::info("archive", "retention removed archived events", {{"bus", bus.name}, {"events", events}, {"files", files}});
    show(bus.name);
}

void ArchiveDesk::show(const std::string& bus)
{
    const BusArchive& archive = archives_.at(bus);
    Shown shown;
    shown.files = archive.files();
    shown.status = {bus, archive.through(), shown.files.size(), 0, 0, removed_[bus], 0, failing_};
    for (const ArchiveFilePtr& file : shown.files) {
        shown.status.events += file->footer.events;
        shown.status.bytes += file->bytes;
    }
    if (!shown.files.empty() && !shown.files.front()->footer.blocks.empty())
        shown.status.oldest = shown.files.front()->footer.blocks.front().first;
    const std::lock_guard lock{mutex_};
    shown_[bus] = std::move(shown);
}

void ArchiveDesk::tell(const std::string& why)
{
    if (failing_ == why) return;
    failing_ = why;
    log::error("archive", "a segment cannot be archived; it is kept until it can", {{"error", why}});
    for (const auto& [bus, archive] : archives_) show(bus);
}

Sequence ArchiveDesk::through(const RouteTable& table) const
{
    Sequence lowest = UINT64_MAX;
    for (const auto& [name, bus] : table.buses)
        if (bus.archive) lowest = std::min(lowest, through(name));
    return lowest;
}

Sequence ArchiveDesk::through(const std::string& bus) const
{
    const std::lock_guard lock{mutex_};
    const auto found = shown_.find(bus);
    return found == shown_.end() ? 0 : found->second.status.through;
}

std::vector<ArchiveFilePtr> ArchiveDesk::files(const std::string& bus) const
{
    const std::lock_guard lock{mutex_};
    const auto found = shown_.find(bus);
    return found == shown_.end() ? std::vector<ArchiveFilePtr>{} : found->second.files;
}

std::vector<ArchiveStatus> ArchiveDesk::status() const
{
    const std::lock_guard lock{mutex_};
    std::vector<ArchiveStatus> all;
    for (const auto& [bus, shown] : shown_) all.push_back(shown.status);
    return all;
}

}  // namespace eventyard::router
