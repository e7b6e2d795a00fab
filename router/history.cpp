#include "router/history.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace eventyard::router {

Result<bool> History::fill()
{
    while (events_.empty()) {
        if (at_ >= through_) return false;
        const Sequence archived = archives_.through(bus_);
        EVENTYARD_CHECK(at_ < archived ? read_archive(archived) : read_journal(archived));
    }
    return true;
}

std::uint64_t History::take_unreadable(Sequence through)
{
    std::uint64_t taken = 0;
    for (; !unreadable_.empty() && unreadable_.front().first <= through; unreadable_.pop_front())
        taken += unreadable_.front().second;
    return taken;
}

/// One block, or the step over what the archive does not have.
Result<void> History::read_archive(Sequence archived)
{
    for (const ArchiveFilePtr& file : archives_.files(bus_)) {
        if (file->footer.last <= at_) continue;
        for (std::size_t i = 0; i < file->footer.blocks.size(); ++i) {
            const ArchiveBlock& block = file->footer.blocks[i];
            if (block.last <= at_) continue;
            if (block.first > through_) {
                at_ = through_;
                return {};
            }
            if (!disk_.exists(file->path)) break;  // retention was here
            EVENTYARD_TRY(open, disk_.open(file->path, OpenMode::read));
            auto events = read_archive_block(*open, file->footer, i);
            if (!events.has_value() && events.error().code != Errc::corrupt) return events.error();
            if (!events.has_value()) {
                log::error("archive", "archived events cannot be read",
                           {{"file", file->path}, {"events", block.events}, {"error", events.error().what}});
                unreadable_.emplace_back(std::min(block.last, through_), block.events);
            } else {
                for (ArchivedEvent& event : *events)
                    if (event.sequence > at_ && event.sequence <= through_) events_.push_back(std::move(event));
            }
            at_ = std::min(block.last, through_);
            return {};
        }
        at_ = std::min(file->footer.last, through_);
        return {};
    }
    at_ = std::min(archived, through_);
    return {};
}

Result<void> History::read_journal(Sequence archived)
{
    EVENTYARD_TRY(chunk, read_events(journal_, {at_, through_}));
    if (archives_.through(bus_) != archived) return {};
    for (const Sequence damaged : chunk.damaged) unreadable_.emplace_back(damaged, 1);
    for (const StoredEventPtr& event : chunk.events)
        if (event->event.bus == bus_ && !is_replayed(*event)) events_.push_back({event->sequence, event->event});
    // A journal that ends earlier than it did when the replay began has no more to give.
    at_ = chunk.through > at_ ? chunk.through : through_;
    return {};
}

}  // namespace eventyard::router
