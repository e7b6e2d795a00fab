#include "router/journal/log.hpp"

#include <algorithm>

#include "router/journal/recovery.hpp"

namespace eventyard::router {

Log::Log(Disk& disk, JournalOptions options)
    : disk_(disk), options_(std::move(options)), segments_(options_.directory)
{
}

Result<std::unique_ptr<Log>> Log::open(Disk& disk, const Clock& clock, Random& random,
                                       JournalOptions options, JournalMarks marks)
{
    std::unique_ptr<Log> log{new Log{disk, std::move(options)}};
    EVENTYARD_CHECK(log->start(clock, random, marks));
    return log;
}

Result<void> Log::start(const Clock& clock, Random& random, const JournalMarks& marks)
{
    EVENTYARD_CHECK(disk_.make_directory(options_.directory));
    EVENTYARD_TRY(lock, disk_.lock(options_.directory + "/lock"));
    lock_ = std::move(lock);
    EVENTYARD_TRY(versions, Versions::open(disk_, options_.directory + "/routing"));
    versions_ = std::move(versions);
    EVENTYARD_TRY(recovered, recover(disk_, segments_, *versions_, marks, random_id(random)));
    report_ = std::move(recovered.report);
    decided_ = std::min(recovered.decided, recovered.next - 1);
    // What recovery made, renamed or set aside is safe before any lane delivers from it.
    EVENTYARD_CHECK(disk_.sync_directory(options_.directory));

    spares_ = std::make_unique<Spares>(disk_, random, segments_, options_.segment_size,
                                       options_.spare_segments);
    spares_->adopt(recovered.spares);
    reader_ = std::make_unique<Reader>(disk_, segments_, *versions_);
    keeper_ = std::make_unique<Keeper>(disk_, segments_, *versions_, *spares_);
    keeper_->adopt_unused(std::move(recovered.unused));
    appender_ = std::make_unique<Appender>(
        clock, segments_, *spares_, options_.segment_size,
        Appender::Start{report_.store, recovered.next, recovered.end},
        [this](SegmentPtr segment, bool failed) {
            {
                const std::lock_guard guard{closed_mutex_};
                closed_.push_back({std::move(segment), failed, false});
            }
            if (wake_) wake_();
        });
    // What recovery could only read, for want of space, is sealed when there is some.
    for (const SegmentPtr& segment : segments_.all()) closed_.push_back({segment, true, true});
    appender_->set_reserved(std::max(recovered.reserved, report_.store_mismatch ? 0 : marks.reserved));
    // A disk that takes no writes now does not stop the start: what is kept can be delivered.
    (void)appender_->ready(0);
    return {};
}

Result<void> Log::clear_spares()
{
    return keeper_->clear_spares([this] {
        const std::lock_guard guard{closed_mutex_};
        std::set<std::string> names;
        for (const Closed& one : closed_) names.insert(one.segment->name);
        return names;
    });
}

Result<void> Log::commit(const std::vector<CommitUnit>& units)
{
    EVENTYARD_CHECK(appender_->ready(block_size_max(units)));
    appender_->number(units);
    const bool sync = std::any_of(units.begin(), units.end(), [](const CommitUnit& unit) {
        return unit.durability == Durability::fsync;
    });
    return appender_->write(units, sync);
}

std::uint64_t Log::room()
{
    const auto space = disk_.space(options_.directory);
    if (!space.has_value()) return options_.segment_size;  // unknown: let writes tell
    const std::uint64_t least = least_free(*space, options_.min_free);
    return space->free > least ? space->free - least : 0;
}

void Log::chores(std::uint64_t room)
{
    std::vector<Closed> closed, left;
    {
        const std::lock_guard guard{closed_mutex_};
        closed.swap(closed_);
    }
    for (Closed& one : closed)
        if (!keeper_->close(one.segment, one.failed, one.again)) left.push_back({std::move(one.segment), true, true});
    keeper_->remove_unused();
    if (!left.empty()) {
        const std::lock_guard guard{closed_mutex_};
        closed_.insert(closed_.end(), left.begin(), left.end());
    }
    // A journal that hardly takes events needs no files of zeros.
    bool busy = false;
    if (const auto all = segments_.all(); !all.empty()) {
        const std::lock_guard guard{all.back()->mutex};
        busy = all.back()->index &&
               all.back()->index->summary().data_end >= options_.segment_size / 8;
    }
    if (busy || room == 0) keeper_->prepare(room);
}

}  // namespace eventyard::router
