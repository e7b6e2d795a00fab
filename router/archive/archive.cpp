#include "router/archive/archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view suffix = ".eya", unfinished = ".tmp";
constexpr std::size_t through_size_max = 256;

auto order_of(const ArchiveFilePtr& file) { return std::tie(file->footer.first, file->path); }

/// "<store> <sequence>"; 0 when it is of another journal.
Sequence read_through(std::string_view text, const Id& store)
{
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.substr(0, space) != store.text()) return 0;
    Sequence through = 0;
    const std::string_view digits = text.substr(space + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), through);
    return error == std::errc{} ? through : 0;
}

}  // namespace

ArchiveDraft::~ArchiveDraft()
{
    if (!finished_) (void)disk_.unlink(path_ + std::string{unfinished});
}

Result<BusArchive> BusArchive::open(Disk& disk, const std::string& root, const std::string& bus, const Id& store)
{
    BusArchive archive{disk, root + '/' + bus, bus, store};
    EVENTYARD_CHECK(disk.make_directory(archive.directory_));
    EVENTYARD_TRY(names, disk.list(archive.directory_));
    for (const std::string& name : names) {
        const std::string path = archive.directory_ + '/' + name;
        if (name.ends_with(unfinished)) (void)disk.unlink(path);
        if (!name.ends_with(suffix)) continue;
        const auto look = [&]() -> Result<ArchiveFilePtr> {
            EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
            EVENTYARD_TRY(bytes, file->size());
            EVENTYARD_TRY(footer, read_archive_footer(*file));
            return ArchiveFilePtr{std::make_shared<const ArchiveFile>(ArchiveFile{path, bytes, std::move(footer)})};
        };
        auto file = look();
        if (file.has_value()) {
            archive.insert(std::move(*file));
            continue;
        }
        archive.unread_.push_back(path);
        log::error("archive", "an archive file cannot be read: its events cannot be replayed",
                   {{"file", path}, {"error", file.error().what}});
    }
    const std::string marker = archive.directory_ + "/through";
    if (disk.exists(marker)) {
        EVENTYARD_TRY(text, read_file(disk, marker, through_size_max));
        archive.through_ = read_through(text, store);
    }
    return archive;
}

void BusArchive::insert(ArchiveFilePtr file)
{
    std::erase_if(files_, [&](const ArchiveFilePtr& known) { return known->path == file->path; });
    const auto at = std::upper_bound(files_.begin(), files_.end(), file,
                                     [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
    files_.insert(at, std::move(file));
}

Result<std::unique_ptr<ArchiveDraft>> BusArchive::begin(Sequence first, Sequence last)
{
    return begin(fmt::format("{}/{:020}-{:020}-{}{}", directory_, first, last, store_.text(), suffix), store_);
}

Result<std::unique_ptr<ArchiveDraft>> BusArchive::begin(std::string path, const Id& store)
{
    const std::string draft = path + std::string{unfinished};
    if (disk_->exists(draft)) EVENTYARD_CHECK(disk_->unlink(draft));
    EVENTYARD_TRY(file, disk_->open(draft, OpenMode::create_new));
    return std::make_unique<ArchiveDraft>(*disk_, std::move(path), std::move(file), store, bus_);
}

Result<bool> BusArchive::erase(const ArchiveFilePtr& file, const Id& event)
{
    const ArchiveFooter& footer = file->footer;
    EVENTYARD_TRY(source, disk_->open(file->path, OpenMode::read));
    // An id says when the event was received: only the blocks of that moment are looked into.
    const WallTime from = time_of(event), before = from + std::chrono::milliseconds{1};
    bool found = false, whole = false;
    Result<void> unreadable;
    for (std::size_t i = 0; i < footer.blocks.size(); ++i) {
        if (footer.blocks[i].to < from || footer.blocks[i].from >= before) continue;
        const auto events = read_archive_block(*source, footer, i);
        if (!events.has_value()) {
            if (events.error().code != Errc::corrupt) return events.error();
            unreadable = events.error();
            continue;
        }
        for (const ArchivedEvent& one : *events) {
            if (one.event.id != event) continue;
            found = true;
            whole = whole || !is_erased(one.event);
        }
    }
    if (!whole && !unreadable.has_value()) return unreadable.error();
    if (!whole) return found;
    EVENTYARD_TRY(draft, begin(file->path, footer.store));
    for (std::size_t i = 0; i < footer.blocks.size(); ++i) {
        auto events = read_archive_block(*source, footer, i);
        if (!events.has_value() && events.error().code != Errc::corrupt) return events.error();
        if (!events.has_value()) {
            log::error("archive", "archived events that cannot be read are left out of the file",
                       {{"file", file->path}, {"events", footer.blocks[i].events}, {"error", events.error().what}});
            continue;
        }
        for (ArchivedEvent& one : *events) {
            if (one.event.id == event) {
                one.event.format = EventFormat::erased;
                one.event.body = erased_body;
            }
            EVENTYARD_CHECK(draft->add(one.sequence, one.event));
        }
    }
    EVENTYARD_CHECK(finish(*draft, footer.first, footer.last));
    return true;
}

Result<void> BusArchive::finish(ArchiveDraft& draft, Sequence first, Sequence last)
{
    EVENTYARD_CHECK(draft.writer_.seal(first, last));
    EVENTYARD_CHECK(disk_->rename(draft.path_ + std::string{unfinished}, draft.path_));
    draft.finished_ = true;
    EVENTYARD_CHECK(disk_->sync_directory(directory_));
    insert(std::make_shared<const ArchiveFile>(ArchiveFile{draft.path_, draft.writer_.bytes(), draft.writer_.footer()}));
    return {};
}

Result<void> BusArchive::set_through(Sequence through)
{
    EVENTYARD_CHECK(replace_file(*disk_, directory_ + "/through", store_.text() + ' ' + std::to_string(through) + '\n'));
    through_ = through;
    return {};
}

Result<void> BusArchive::remove(const ArchiveFilePtr& file)
{
    if (disk_->exists(file->path)) {
        EVENTYARD_CHECK(disk_->unlink(file->path));
        EVENTYARD_CHECK(disk_->sync_directory(directory_));
    }
    std::erase(files_, file);
    return {};
}

}  // namespace eventyard::router
