#include "router/journal/repair.hpp"

#include "router/journal/quarantine.hpp"
#include "router/journal/recovery.hpp"

namespace eventyard::router {

Result<Repair> repair_journal(Disk& disk, Random& random, const std::string& directory, const JournalMarks& marks)
{
    Repair repair;
    EVENTYARD_TRY(before, check_journal(disk, directory, marks));
    repair.before = std::move(before);
    for (const SegmentCheck& segment : repair.before.segments) {
        if (segment.kind == SegmentCheck::Kind::newer)
            return fail(Errc::unsupported, segment.name + ": " + segment.troubles.front() + "; repair it with a newer eventyard");
        if (segment.kind == SegmentCheck::Kind::unreadable)
            return fail(Errc::io, segment.name + ": " + segment.troubles.front() +
                                      "; a repair would take for lost what another disk may still give: copy the "
                                      "directory to a good disk, as far as it can be read, and repair it there");
    }
    if (!repair.changed()) {
        repair.after = repair.before;
        return repair;
    }
    for (const SegmentCheck& segment : repair.before.segments) {
        if (segment.good() || segment.kind == SegmentCheck::Kind::foreign) continue;  // a foreign one is moved whole
        EVENTYARD_TRY(path, keep_original(disk, directory, segment.name));
        repair.originals.push_back(std::move(path));
    }
    SegmentSet segments{directory};
    EVENTYARD_TRY(versions, Versions::open(disk, directory + "/routing"));
    EVENTYARD_TRY(recovered, recover(disk, segments, *versions, marks, random_id(random), Depth::every_frame));
    EVENTYARD_CHECK(disk.sync_directory(directory));
    repair.report = std::move(recovered.report);
    EVENTYARD_TRY(after, check_journal(disk, directory, marks));
    repair.after = std::move(after);
    return repair;
}

}  // namespace eventyard::router
