// router/journal/journal.hpp — accepted events on disk: one writer thread, group commit, readers.
//
// Units submitted by any thread are numbered, written as one commit block and fdatasync'ed
// together; then each unit's `done` runs and the batch goes to the listener. Formats stand in
// docs/journal-format.md, the synchronous core in log.hpp (pure over core/disk.hpp, so tests and
// the simulator can drive it); this class adds the threads: writer, reader, and segment keeper
// (pre-writes, recycles, seals, unlinks), so that none of that costs a commit its latency.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"
#include "router/journal/known_events.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

struct JournalOptions {
    std::string directory;                    // <data_dir>/journal
    std::uint64_t segment_size = 64ULL << 20; // bytes; a commit block never spans segments
    std::uint64_t min_free = 0;               // bytes; 0: 5 %, at least 256 MiB
    std::size_t max_queued_bytes = 64U << 20; // submit() beyond this answers Errc::unavailable; an empty queue takes any unit
    std::uint32_t spare_segments = 2;         // pre-written or recycled, ready for use
    Duration reserve_patience = std::chrono::seconds{5};  // of events for numbers that cannot be reserved
};

/// What state.db knows of the journal; all zero when there is no trustworthy state.
struct JournalMarks {
    Id store;                // nil: unknown
    Sequence reserved = 0;   // no sequence above this was ever given
    Sequence synced = 0;     // everything up to this was synced (Journal::disk_synced)
    Sequence answered = 0;   // everything up to this was answered, to its durability
};

struct DamagedEvent {
    Sequence sequence = 0;
    std::vector<std::pair<std::string, std::string>> routes;  // (rule, target); empty when unreadable
};

/// What start found; logged, and shown in status until the next start.
struct RecoveryReport {
    Id store;
    bool store_mismatch = false;              // state.db belongs to another journal: do not trust its cursors
    std::uint64_t events = 0;                 // readable
    Sequence first = 0, last = 0;             // readable range
    std::vector<DamagedEvent> damaged;        // synced once, unreadable now; quarantined
    std::uint64_t rebuilt_indexes = 0;        // sealed segments whose index had to be rebuilt
    Sequence lost_first = 0, lost_last = 0;   // given and answered, gone without trace (os|memory, lying disks)
    std::uint64_t torn_bytes = 0;             // cut silently above every mark
    std::vector<std::string> quarantined;     // files
};

struct LaneRead {
    std::string target;
    DeliveryKey after;                // exclusive; route UINT32_MAX: everything of that sequence
    Sequence through = 0;             // inclusive; at most synced()
    std::size_t max_items = 256;
    std::size_t max_bytes = 1U << 20; // of bodies
};

struct EventsRead {
    Sequence after = 0;               // exclusive
    Sequence through = 0;             // inclusive; at most synced()
    std::size_t max_events = 256;
    std::size_t max_bytes = 1U << 20; // of bodies
};

struct ExcessRead {
    std::string target;
    DeliveryKey after;                // its position
    std::uint64_t rows = 0;           // deliveries below that are not over
    std::uint64_t limit = 0;          // bytes
    std::vector<DeliveryKey> settled; // above, ascending: they wait no more
};

/// What a target would have to give up, the oldest first, to keep within a limit.
struct Excess {
    std::uint64_t rows_bytes = 0;     // of the rows, each taken for as large as the target's deliveries are on average
    std::uint64_t bytes = 0;          // of all bodies above the position
    Sequence through = 0;             // what stands up to here is beyond the limit; 0: nothing above the position is
};

struct SegmentInfo {
    std::string name;
    Sequence first = 0, last = 0;
    std::uint64_t bytes = 0;
    bool sealed = false;
};

/// What a copy of the journal holds.
struct JournalCopy {
    std::vector<std::string> segments;        // file names, oldest first
    std::uint64_t bytes = 0;
    Sequence last = 0;                        // highest sequence in it
};

/// Free bytes below which ingest stops. @param min_free  as configured; 0: the default
[[nodiscard]] inline std::uint64_t least_free(const Space& space, std::uint64_t min_free) noexcept
{
    return min_free != 0 ? min_free : std::max<std::uint64_t>(space.total / 20, 256ULL << 20);
}

class Journal {
public:
    /// Recovers and starts the threads. Succeeds after any crash; fails only when the directory
    /// cannot be used at all (permissions, a newer format, a second process).
    /// @param disk, clock, random  must outlive the journal.
    static Result<std::unique_ptr<Journal>> open(Disk& disk, const Clock& clock, Random& random,
                                                 JournalOptions options, JournalMarks marks);
    virtual ~Journal() = default;

    [[nodiscard]] virtual const RecoveryReport& recovery() const noexcept = 0;

    /// Keys of events that came before this start. Before the first submit().
    virtual void know(KnownEvents known) { (void)known; }
    /// Every kept event in (after, through], in order, but those that cannot be read. Blocks; for start.
    virtual Result<void> visit_events(Sequence after, Sequence through, const std::function<void(const StoredEvent&)>& visit)
    {
        (void)after, (void)through, (void)visit;
        return fail(Errc::unsupported, "this journal gives lanes' work only");
    }

    /// Receives every durable batch, on the journal thread, before or right after the units'
    /// `done`. Set once before the first submit().
    virtual void set_listener(std::function<void(CommitBatchPtr)> listener) = 0;
    /// Runs `look` while every batch is either told to the listener or not yet answered (but units of Durability::memory):
    /// who looks after an answer finds what was answered. What the listener writes may be read in `look`. Any thread but
    /// the journal's, which waits meanwhile. The default is for journals of one thread.
    virtual void between_commits(const std::function<void()>& look) { look(); }
    /// Any thread. `done` may run before this returns only when the unit is refused at once.
    virtual void submit(CommitUnit unit) = 0;
    /// Units that come together, each taken or refused as by submit(). Only to be thrown away afterwards.
    virtual void submit_all(std::vector<CommitUnit>& units)
    {
        for (CommitUnit& unit : units) submit(std::move(unit));
    }
    /// Highest sequence durable to its durability; lanes read only up to here.
    [[nodiscard]] virtual Sequence synced() const noexcept = 0;
    /// Highest sequence known to have been fdatasync'ed, whatever its durability: for JournalMarks.
    [[nodiscard]] virtual Sequence disk_synced() const noexcept { return synced(); }
    /// Highest sequence given so far.
    [[nodiscard]] virtual Sequence last() const noexcept = 0;
    /// Lowest sequence that may still be readable.
    [[nodiscard]] virtual Sequence oldest() const noexcept = 0;
    /// Highest sequence that may be given without another reservation; the owner keeps it durable in
    /// the state: the journal calls `reserve` ahead of need and gives nothing above what was
    /// confirmed with reserved(). Until first confirmed it relies on JournalMarks::reserved.
    /// Without a reserver nothing is limited. Called on the journal thread.
    virtual void set_reserver(std::function<void(Sequence up_to)> reserve) = 0;
    virtual void reserved(Sequence up_to) = 0;

    /// Stores a routing version (or finds the stored one with equal content) and returns it with
    /// its number. Blocks (fsync); any thread but the journal's own.
    virtual Result<RoutingVersionPtr> store_version(const RoutingVersion& version) = 0;

    /// Reads on the reader thread and calls back there. Jumps over segments without the target's work.
    virtual void read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done) = 0;
    /// One event by sequence, e.g. for a retry. Errc::corrupt: damaged; not_found: no longer kept.
    virtual void read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done) = 0;

    /// Events whoever they go to, those without any delivery as well; reads as read_lane does.
    virtual void read_events(EventsRead request, std::function<void(Result<EventChunk>)> done)
    {
        (void)request;
        done(fail(Errc::unsupported, "this journal gives lanes' work only"));
    }

    /// How much waits for a target, beside a limit. From footers but for two or three segments. Calls back on the
    /// reader thread.
    virtual void excess(ExcessRead request, std::function<void(Result<Excess>)> done)
    {
        (void)request;
        done(fail(Errc::unsupported, "this journal does not know sizes"));
    }

    /// Deliveries by (rule, target) in (after, through]; from footers where they suffice. Blocks; for start.
    virtual Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(
        Sequence after, Sequence through) = 0;
    /// The same of these deliveries alone, as far as they are kept.
    virtual Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(
        std::vector<DeliveryKey> keys) = 0;
    /// Deliveries of a target above its position, counted from footers and one segment. Blocks; for start.
    virtual Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) = 0;

    [[nodiscard]] virtual std::vector<SegmentInfo> segments() const = 0;
    /// Tells which sealed segments nobody needs any more: unlinked or recycled in the background.
    virtual void release(std::vector<std::string> segment_names) = 0;
    /// Rewrites a sealed segment to the deliveries `keep` wants (sequences stay, gaps declared).
    virtual void rewrite(std::string segment_name,
                         std::function<bool(const StoredEvent&, std::uint32_t route)> keep,
                         std::function<void(Result<void>)> done) = 0;

    /// Every event with this id that is kept: the accepted one, and those that replays made of it. Of one that cannot be
    /// read any more, and may be it, without a body and with no more of its routes than their rules and targets.
    virtual void find(Id event, std::function<void(Result<std::vector<StoredEventPtr>>)> done)
    {
        (void)event;
        done(fail(Errc::unsupported, "this journal finds no events by id"));
    }
    /// Leaves of these events all but the bodies, durably, in files that nothing else of them is in either: the segment
    /// being written is ended if need be, and files of former segments that wait to be used again are removed. How many
    /// events had it. Segments must not be released meanwhile. What was read before may still hold the body.
    virtual void erase(Id event, std::function<void(Result<std::uint64_t>)> done)
    {
        (void)event;
        done(fail(Errc::unsupported, "this journal erases nothing"));
    }

    /// Gives every segment a second name in `directory`, which must not exist, or copies it where the file
    /// system gives none; of segments that are written to, what was committed so far. All of it is synced.
    /// Segments the caller needs must not be released meanwhile.
    virtual void copy_to(std::string directory, std::function<void(Result<JournalCopy>)> done)
    {
        (void)directory;
        done(fail(Errc::unsupported, "this journal cannot be copied"));
    }

    struct Stats {  // relaxed atomics; read any time
        std::atomic<std::uint64_t> commits{0}, events{0}, event_bytes{0}, written_bytes{0};
        std::atomic<std::uint64_t> failed_commits{0}, uncertain_events{0}, refused_no_space{0};
        std::atomic<std::uint64_t> sync_nanoseconds{0};  // total time in fdatasync
        std::atomic<std::uint64_t> queued_bytes{0}, lane_reads{0}, read_bytes{0};
        std::atomic<std::uint64_t> segments{0}, disk_bytes{0};
        std::atomic<std::uint64_t> known_keys{0}, keys_forgotten_early{0};  // see KnownEvents
        std::atomic<bool> accepting{true};               // false: no space, or failing writes
    };
    [[nodiscard]] virtual const Stats& stats() const noexcept = 0;

    /// Commits what was submitted, seals nothing, joins the threads. Called once; submit() afterwards
    /// answers Errc::cancelled.
    virtual void stop() = 0;
};

}  // namespace eventyard::router
