// What goes wrong with the disk.
#include "router/journal/scan.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/memory_disk.hpp"

namespace eventyard::sim {

std::optional<Error> World::disk_fault(Call call, const std::string& path)
{
    if (!disk_fault_ || disk_fault_->times == 0) return std::nullopt;
    DiskFault& fault = *disk_fault_;
    if (fault.call ? *fault.call != call : (call == Call::read || call == Call::open)) return std::nullopt;
    if (!path.starts_with(fault.below)) return std::nullopt;
    if (fault.times != UINT64_MAX) --fault.times;
    coverage_.count(fault.call == Call::read ? "disk: a read failed" : "disk: a change failed");
    return fail(fault.code, "'" + path + "': " + (fault.code == Errc::no_space ? "no space left on device" : "input/output error"));
}

void World::draw_disk_fault()
{
    disk_heals_ = clock_.steady() + std::chrono::milliseconds{pick(20'000)};
    if (one_in(4)) {
        note("the disk is full");
        coverage_.count("fault: disk full");
        disk_.full = true;
        return;
    }
    DiskFault fault;
    static const std::array<std::optional<Call>, 6> calls{Call::sync, Call::sync, Call::write, Call::read, Call::sync_directory,
                                                          std::nullopt};
    fault.call = calls[pick(calls.size())];
    fault.below = one_in(3) ? data_dir : one_in(2) ? data_dir + "/journal" : data_dir + "/state.db";
    const std::uint64_t kind = pick(4);
    fault.times = kind < 2 ? 1 : kind == 2 ? 1 + pick(4) : UINT64_MAX;
    static const std::array<const char*, 4> names{"fault: EIO once", "fault: EIO once", "fault: EIO, then success",
                                                  "fault: EIO for ever"};
    coverage_.count(names[kind]);
    note(std::string{names[kind]} + " below " + fault.below);
    disk_fault_ = fault;
}

/// Somebody removes state.db while nobody uses it.
void World::lose_state()
{
    note("state.db is lost");
    coverage_.count("fault: state.db lost");
    book_.forgetful = true;
    for (const char* const suffix : {"", "-wal"}) (void)disk_.unlink(data_dir + "/state.db" + suffix);
    (void)disk_.sync_directory(data_dir);
}

/// One bit of a file flips. Which events were hit is known; of a state that forgets, less is asked. SQLite cannot tell a
/// log that lost its end to rot from a torn one, and where that end was merged before, the file is of two ages: no log.
void World::rot()
{
    std::vector<std::string> paths;
    for (const std::string& path : disk_.paths())
        if (disk_.size_of(path) > 0 && !path.ends_with(".b") && !path.ends_with("-wal") && path.find("/spare-") == std::string::npos &&
            path.find("quarantine") == std::string::npos)
            paths.push_back(path);
    if (paths.empty()) return;
    const std::string& path = paths[pick(paths.size())];
    const bool of_journal = path.starts_with(data_dir + "/journal");
    const std::uint64_t at = pick(disk_.size_of(path));
    const std::string content = disk_.content(path);
    if (const auto segment = parse_segment_name(path.substr(path.rfind('/') + 1))) {
        test::MemoryDisk well;  // ours may be failing just now
        well.set_content(path, content);
        const auto file = well.open(path, OpenMode::read);
        const Scan scan = scan_segment(**file, content.size(), segment->second);
        for (const ScannedEvent& event : scan.events)
            if (at >= event.offset && at < event.offset + event.size)
                // Above every sync mark it cannot be told from a torn tail, and a unit lives or dies as one.
                for (std::uint32_t i = 0; i < event.unit_size; ++i)
                    book_.hit.insert(event.sequence - event.unit_index + i);
        coverage_.count("rot: in a segment");
    } else if (of_journal) {
        coverage_.count("rot: in a routing version");
    } else {
        book_.forgetful = true;
        coverage_.count("rot: in the state");
    }
    std::string hits;
    for (const Sequence sequence : book_.hit) hits += " " + std::to_string(sequence);
    note("a bit flips in " + path + " at " + std::to_string(at) + "; hit so far:" + hits);
    const char flipped = static_cast<char>(content[static_cast<std::size_t>(at)] ^ (1 << pick(8)));
    disk_.patch(path, at, {&flipped, 1});
}

}  // namespace eventyard::sim
