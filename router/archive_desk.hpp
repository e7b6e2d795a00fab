// router/archive_desk.hpp — copies what buses archive out of sealed journal segments, in time.
//
// A segment is read once for all buses, soon after it was sealed. It may be released or rewritten only
// when every bus that archives has it on disk: through() says how far that is. What cannot be written
// (a full disk) is told in the log and tried again, and its segments are kept meanwhile. Retention
// removes whole files, whose every event is older than the bus keeps them, or the oldest while all are
// larger than they may be; it is told in the log and counted.
//
// tick() comes on one thread, where it may block; the rest on any.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "router/archive/archive.hpp"
#include "router/journal/journal.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

/// Events of the journal, waited for. Not on the journal's own threads.
Result<EventChunk> read_events(Journal& journal, const EventsRead& request);
/// Whether the event is there because of a replay: neither archived nor replayed again.
[[nodiscard]] bool is_replayed(const StoredEvent& event);

class ArchiveDesk {
public:
    /// The references outlive this.
    ArchiveDesk(Disk& disk, const Clock& clock, Journal& journal, const std::string& data_dir);

    /// At short intervals. Archives one segment at most.
    void tick(const RouteTable& table);

    /// Leaves the event's body out of all files that hold it, durably. Where tick() comes.
    struct ErasedFiles {
        std::uint64_t files = 0;
        std::vector<std::string> unread;  // may hold it, but they are damaged
    };
    Result<ErasedFiles> erase(const Id& event);

    /// Every bus that the table archives has all events up to here; UINT64_MAX when it archives none.
    [[nodiscard]] Sequence through(const RouteTable& table) const;
    [[nodiscard]] Sequence through(const std::string& bus) const;
    /// Ascending; empty for a bus that never archived.
    [[nodiscard]] std::vector<ArchiveFilePtr> files(const std::string& bus) const;
    [[nodiscard]] std::vector<ArchiveStatus> status() const;

private:
    /// What others may see of a bus.
    struct Shown {
        ArchiveStatus status;
        std::vector<ArchiveFilePtr> files;
    };
    void open_known();
    Result<void> open(const std::string& bus);
    Result<void> archive(const RouteTable& table, const SegmentInfo& segment);
    Result<void> copy(const RouteTable& table, const SegmentInfo& segment, const std::set<std::string>& wanted);
    void retain(const Bus& bus, BusArchive& archive);
    void show(const std::string& bus);
    void tell(const std::string& why);

    Disk& disk_;
    const Clock& clock_;
    Journal& journal_;
    const std::string root_;
    std::map<std::string, BusArchive> archives_;
    std::map<std::string, std::uint64_t> removed_;
    json::Document document_;
    std::string failing_;
    SteadyTime next_{}, retain_at_{};

    mutable std::mutex mutex_;
    std::map<std::string, Shown> shown_;
};

}  // namespace eventyard::router
