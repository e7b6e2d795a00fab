// router/state/state.hpp — what became of deliveries: cursors, retries, dead letters, totals.
//
// One SQLite file, one thread, one connection of ours that writes and checkpoints (see
// docs/adr/0004). Changes from all threads are applied in batches: one transaction, one fsync, so a
// retry or dead letter is durable in the transaction that moves its target's cursor past it. What
// a crash takes back is at most the last batch: duplicates, bounded, never loss.
//
// The file may also be older than the journal: its cursors are then lower, which repeats deliveries
// and loses none. A cursor above the journal's end belongs to a journal that lost its tail (lying
// disks); the router clamps it. When the file was damaged, missing or another journal's, positions
// are missing or not `trusted`: those targets restart at the oldest kept event.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/disk.hpp"
#include "core/ids.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/journal/known_events.hpp"
#include "router/journal/record.hpp"
#include "router/state/dead_letter.hpp"
#include "router/state/pending_rows.hpp"

namespace eventyard::router {

/// How a delivery ended; the ledger has one total a rule, target and ending.
enum class Ending : std::uint8_t {
    delivered, dead_lettered, discarded_operator, discarded_retention, discarded_overflow,
    expired, damaged, lost,
    moved,  // by an operator, to another target: pending there
};
[[nodiscard]] const char* text_of(Ending ending) noexcept;

/// A delivery that waits for its next attempt outside the lane.
struct RetryRow {
    std::string target;
    DeliveryKey key;
    std::string rule;
    Id event;
    std::uint32_t attempts = 0;   // made so far
    WallTime due{};               // with `delay`: after a restart the wait is clamped to [0, delay]
    Duration delay{0};
    WallTime received{};          // for max_age: the event's, or the time of the redrive
    std::int64_t letter = 0;      // redriven: the dead letter that keeps the body; 0: the journal does
    std::uint32_t earlier = 0;    // attempts before it was dead-lettered and redriven
    WallTime expires = WallTime::max();  // its rule's expire_after; then it ends without another attempt
    std::string order_key{};      // of an ordered target: those of one key are attempted one after the other
    std::string routed_to{};      // moved here: the target that its rule named, and its id is of; empty: `target`

    /// Behind an earlier delivery of its key: not due before that one has ended.
    [[nodiscard]] bool held() const noexcept { return due == held_due; }
    /// Never attempted: its rule asked for a delay.
    [[nodiscard]] bool delayed() const noexcept { return attempts == 0 && letter == 0 && delay > Duration{0} && !held(); }
    [[nodiscard]] const std::string& addressee() const noexcept { return routed_to.empty() ? target : routed_to; }
    /// Moved before its first attempt, which its rule may delay still; not when an operator made it due since.
    [[nodiscard]] bool moved_untried() const noexcept
    {
        return !routed_to.empty() && attempts == 0 && earlier == 0 && letter == 0 && due == received;
    }
    static constexpr WallTime held_due = WallTime::max();
};

// --- Changes, applied in the order submitted by one thread -------------------------------------

/// The delivery ended. Removes its retry row, if it has one. Submit it together with the
/// CursorMoved that covers it: what one submit() holds is applied in one transaction, so neither a
/// repeated delivery nor its count can slip in between. A dead letter of a delivery that has one
/// already changes nothing.
struct Ended {
    std::string target;
    DeliveryKey key;
    std::string rule;
    Ending ending = Ending::delivered;
    std::optional<DeadLetter> dead_letter;  // with Ending::dead_lettered
    std::optional<AttemptRecord> attempt;   // the last one, when it failed
    bool fresh = false;                     // never was a Retrying: spares the look for a retry row
    bool redriven = false;                  // came from a Redriven: without its retry row it changes nothing
};
/// The delivery failed and waits: inserted or updated. The first 3 and the last 20 failed attempts
/// of a delivery are kept.
struct Retrying {
    RetryRow row;
    std::optional<AttemptRecord> attempt;  // none: it is held or delayed, not failed
};
/// The delivery, until now `from`'s, goes on as this retry of another target, which counts it as moved in. Submit it as
/// Ended. Of a redriven one without a retry row it changes nothing.
struct Moved {
    std::string from;
    RetryRow row;
    bool fresh = false;                     // as of Ended
};
/// Everything of the target up to `cursor` is ended or has a retry row; `settled` lists what is so
/// above it (replaces the former list).
struct CursorMoved {
    std::string target;
    Sequence cursor = 0;
    std::vector<DeliveryKey> settled;
};
/// From now on the target's cursor is the shard's idle mark: it has no work. See IdleThrough.
struct LaneIdle {
    std::string target;
    std::uint32_t shard = 0;
};
/// The target has work again; its cursor stands at `cursor`.
struct LaneActive {
    std::string target;
    Sequence cursor = 0;
};
/// All idle targets of the shard have no work up to here: one write for all of them.
struct IdleThrough {
    std::uint32_t shard = 0;
    Sequence through = 0;
};
/// A new target, or one met again: created with this cursor unless it exists. `kind` is stored.
struct TargetKnown {
    std::string target;
    std::string kind;
    Sequence cursor = 0;
};
/// `renamed_from`: moves cursor, retries, dead letters and totals to the new name.
struct TargetRenamed {
    std::string from, to;
};
/// Paused by an operator or by a 410; survives restarts. Empty reason: resumed. Ends a TargetDraining.
struct TargetPaused {
    std::string target;
    std::string reason;
};
/// Not paused: what was accepted up to `through` is sent, and then the target is to be paused.
struct TargetDraining {
    std::string target;
    Sequence through = 0;
    std::string reason;                     // why, not empty
};
/// A key of an ordered target waits for an operator, since a delivery of it was dead-lettered; or goes on.
struct KeyHeld {
    std::string target;
    std::string order_key;
    bool held = true;
};
/// When the target's token bucket is full again. Given at a stop and taken back at the start that uses it.
struct TargetRate {
    std::string target;
    std::optional<WallTime> full;
};
/// Deliveries routed by commits up to `through`; sums since the last such change.
struct Routed {
    Sequence through = 0;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts;  // (rule, target)
};
/// Journal segments with events up to `through` may be let go from now on: what was routed by events
/// above the former mark, counted from the journal itself, for the audit.
struct JournalCounted {
    Sequence through = 0;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts;  // (rule, target)
};
/// Totals of events per bus and source since the last such change. Above 10,000 pairs new sources
/// are counted as source "*".
struct Received {
    std::string bus, source;
    std::uint64_t accepted = 0, duplicate = 0, refused = 0, matched = 0, unmatched = 0;
};
/// Marks only rise.
struct JournalMarked {
    Sequence reserved = 0;  // 0: unchanged
    Sequence synced = 0;    // 0: unchanged
};
/// The dead-letter target has taken the copy.
struct DeadLetterForwarded {
    std::int64_t id = 0;
};
/// A dead letter that has been redriven, and so is pending again, stays as it is.
struct DeadLetterDiscarded {
    std::int64_t id = 0;
    Ending ending = Ending::discarded_operator;
};
/// The dead letter `row.letter` is pending again as this retry: no longer counted as dead-lettered.
/// Its row stays, as the keeper of the body, until the delivery ends. Nothing happens when the
/// letter is gone or redriven already (two acts may meet).
struct Redriven {
    RetryRow row;
};
/// A redrive was asked for, or came further: inserted or replaced by its id.
struct RedriveNoted {
    RedriveJob job;
};

/// Keys of events that their buses take only once. Submit it with the Routed that covers the events: what is above
/// StateSnapshot::routed_through a start takes from the journal.
struct KeysKnown {
    std::vector<KnownEvent> added{};
    std::vector<ForgottenKeys> forgotten{};  // after those are added
    std::vector<std::pair<Sequence, Sequence>> gone{};  // inclusive: what the journal has lost, before all of that
};

/// Somebody had an event erased: of its dead letters the bodies go, and of all attempts what receivers answered, which may
/// repeat it. When, how often and with what status stays.
struct EventErased {
    Id event;
    std::vector<Sequence> sequences;  // all it has
};

using Change = std::variant<Ended, Retrying, CursorMoved, LaneIdle, LaneActive, IdleThrough,
                            TargetKnown, TargetRenamed, TargetPaused, TargetDraining, Moved, Routed, Received,
                            JournalMarked, DeadLetterForwarded, DeadLetterDiscarded, Redriven,
                            RedriveNoted, JournalCounted, KeyHeld, TargetRate, EventErased, KeysKnown>;

// --- What a start reads -------------------------------------------------------------------------

/// A key of an ordered target with deliveries that wait.
struct ParkedKey {
    std::string order_key;
    std::uint64_t held = 0;               // rows behind the first
    bool first = false;                   // the first has a row of its own: failed, or delayed
    bool on_hold = false;                 // see KeyHeld
};

struct TargetPosition {
    std::string target;
    std::string kind;
    Sequence cursor = 0;                  // idle marks already applied
    std::vector<DeliveryKey> settled;     // above the cursor
    std::string paused;                   // reason; empty: running
    Sequence drain_through = 0;           // see TargetDraining; 0: it is not draining
    std::string drain_reason;
    std::uint64_t retries = 0;            // rows, of every kind
    std::uint64_t held = 0, delayed = 0;  // of them
    std::vector<ParkedKey> parked;
    std::optional<WallTime> rate_full;    // see TargetRate
    std::uint64_t dead_letters = 0;
    bool trusted = true;                  // false: state was lost; restart at the oldest kept event
};

struct LedgerRow {
    std::string rule, target;
    std::uint64_t routed = 0, replayed = 0;
    std::map<Ending, std::uint64_t> ended;
    std::uint64_t counted = 0;            // of routed: see JournalCounted
    std::uint64_t moved_in = 0;           // from other targets, see Moved
};

struct EventTotals {
    std::string bus, source;
    std::uint64_t accepted = 0, duplicate = 0, refused = 0, matched = 0, unmatched = 0;
};

struct StateSnapshot {
    Id store;                             // nil: new or replaced state
    Sequence reserved = 0, synced = 0;    // marks of the journal
    Sequence routed_through = 0;          // the routed totals are exact up to here
    Sequence counted_through = 0;         // so are those of JournalCounted
    std::vector<TargetPosition> targets;
    std::vector<LedgerRow> ledger;
    std::vector<EventTotals> events;
};

/// Everything the ledger can be held against, of one moment.
struct AuditState {
    StateSnapshot snapshot;
    std::map<std::pair<std::string, std::string>, std::uint64_t> retries;  // rows by (rule, target)
};

/// What start found; logged and shown in status.
struct StateReport {
    bool created = false;                 // no state.db: first start, or it was missing
    bool set_aside = false;               // damaged or of another store: moved to `moved_to`
    std::string moved_to;
    std::string why;
    std::uint64_t salvaged_targets = 0, salvaged_retries = 0, salvaged_dead_letters = 0;
    std::uint64_t lost_dead_letters = 0;  // counted where the damaged file still tells their number
    int upgraded_from = 0;                // format of the file that was there; it was moved to `moved_to`
    /// A target that snapshot() does not list may have had a cursor: unless the journal is new as
    /// well, start it at the oldest kept event. Stays set over restarts until the first TargetKnown
    /// is durable, so submit those of all targets at once.
    bool cursors_lost = false;
};

/// Whether kept segments are still needed, from durable rows only.
struct NeededRange {
    Sequence first = 0, last = 0;
    std::uint64_t retries = 0;            // retry rows with a sequence in the range
};
struct Needed {
    Sequence counted_through = 0;         // see JournalCounted
    std::vector<std::pair<std::string, Sequence>> cursors;  // every known target, idle marks applied
    std::vector<NeededRange> ranges;      // as asked
    Sequence counted = 0;                 // the routed totals know of everything up to here
};

struct StateOptions {
    std::string path;                     // <data_dir>/state.db
    Duration batch_interval = std::chrono::milliseconds{40};
    std::size_t batch_max = 5000;         // changes
    std::uint64_t wal_max = 64ULL << 20;  // bytes
};

class State {
public:
    /// Opens, creates, or sets aside and salvages. Fails only where no file can be made or the
    /// format is newer than this binary's (Errc::unsupported) or another process holds it.
    /// @param disk, clock  must outlive the state. SQLite reaches the disk by its default VFS.
    static Result<std::unique_ptr<State>> open(Disk& disk, const Clock& clock, StateOptions options);
    virtual ~State() = default;

    [[nodiscard]] virtual const StateReport& report() const noexcept = 0;
    [[nodiscard]] virtual const StateSnapshot& snapshot() const noexcept = 0;  // as of open()
    /// Ties the file to the journal with this id. When it belonged to another one the file is set
    /// aside as by damage, snapshot() is empty and report() renewed afterwards. Blocks; before any
    /// submit().
    virtual Result<void> bind_store(const Id& store) = 0;
    /// See KeysKnown; by bus, in order of sequence. Blocks; after bind_store(), before any submit().
    virtual Result<std::vector<KnownEvent>> known_events() { return std::vector<KnownEvent>{}; }

    /// Any thread; never blocks and never drops: while the disk refuses, changes wait in memory and
    /// are retried. Producers watch stats().queued and stop above a bound of theirs. Changes of one
    /// thread keep their order; those of one call share a transaction.
    virtual void submit(std::vector<Change> changes) = 0;
    /// As submit, and calls back on the state thread after the fsync that holds them.
    virtual void submit(std::vector<Change> changes, std::function<void(Result<void>)> durable) = 0;

    /// As submit, and answers when the files hold nothing of it any more, the log included.
    virtual void erase(EventErased erased, std::function<void(Result<void>)> done)
    {
        (void)erased;
        done(fail(Errc::unsupported, "this state erases nothing"));
    }

    /// What was submitted is committed now, without waiting for more: a delivery waits for it.
    virtual void hasten() {}

    // Reads run and call back on the state thread, and see everything submitted before by the same
    // thread (not yet durable; needed() and retry_keys() wait for that). While the state is failing
    // they see the last durable batch.
    /// Rows due at or before `before`, earliest first.
    virtual void due_retries(std::string target, WallTime before, std::size_t limit,
                             std::function<void(Result<std::vector<RetryRow>>)> done) = 0;
    /// A target's rows above (due, key), in that order, without those held: the schedule's next window.
    virtual void next_retries(std::string target, WallTime after_due, DeliveryKey after_key,
                              std::size_t limit,
                              std::function<void(Result<std::vector<RetryRow>>)> done) = 0;
    /// The first row of a key, by sequence; none: the key has none.
    virtual void first_of_key(std::string target, std::string order_key,
                              std::function<void(Result<std::optional<RetryRow>>)> done) = 0;
    /// Rows of deliveries that match, of every kind.
    virtual void pending_rows(DeliveryFilter filter, RowPosition after, std::size_t limit,
                              std::function<void(Result<RowPage>)> done) = 0;
    /// The rows that these deliveries of a target have; most may have none.
    virtual void rows_of(std::string target, std::vector<DeliveryKey> keys,
                         std::function<void(Result<std::vector<RetryRow>>)> done) = 0;
    virtual void needed(std::vector<NeededRange> ranges, std::function<void(Result<Needed>)> done) = 0;
    /// Of what rules sent to this target, wherever it has been moved; of all where `target` is empty.
    virtual void retry_keys(Sequence first, Sequence last, std::string target,
                            std::function<void(Result<std::vector<DeliveryKey>>)> done) = 0;
    /// Lowest id first.
    virtual void dead_letters(DeadLetterFilter filter,
                              std::function<void(Result<DeadLetterPage>)> done) = 0;
    virtual void dead_letter(std::int64_t id,
                             std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) = 0;
    /// Dead letters whose forward_to is `target`, lowest id first, with bodies: fewer than `limit` when
    /// those exceed 8 MiB, but at least one.
    virtual void forwards(std::string target, std::int64_t after_id, std::size_t limit,
                          std::function<void(Result<std::vector<DeadLetter>>)> done) = 0;
    virtual void ledger(std::function<void(Result<std::vector<LedgerRow>>, std::vector<EventTotals>)> done) = 0;
    /// The rows of these targets alone.
    virtual void ledger_of(std::vector<std::string> targets, std::function<void(Result<std::vector<LedgerRow>>)> done) = 0;
    /// Most letters first; empty: of all targets.
    virtual void dead_letter_groups(std::string target,
                                    std::function<void(Result<std::vector<DeadLetterGroup>>)> done) = 0;
    virtual void audit(std::function<void(Result<AuditState>)> done) = 0;
    /// Every redrive that is kept, lowest id first.
    virtual void redrives(std::function<void(Result<std::vector<RedriveJob>>)> done) = 0;
    /// What has become of a trial, in the order asked.
    virtual void trial(std::vector<TrialKey> keys, std::function<void(Result<std::vector<TrialResult>>)> done) = 0;
    /// A consistent copy (backup API) for people to open, made in steps between batches. `path` must
    /// not exist.
    virtual void export_copy(std::string path, std::function<void(Result<void>)> done) = 0;

    struct Stats {
        std::atomic<std::uint64_t> batches{0}, changes{0}, queued{0}, wal_bytes{0};
        std::atomic<std::uint64_t> settled_unsynced{0};  // deliveries settled since the last durable batch
        std::atomic<bool> failing{false};      // changes cannot be made durable; retrying
        std::atomic<bool> damaged{false};      // a page was met that cannot be read any more: a start saves what is intact
        std::atomic<bool> wal_over{false};     // WAL above wal_max: something holds a reader open
    };
    [[nodiscard]] virtual const Stats& stats() const noexcept = 0;

    /// Applies what was submitted, checkpoints, joins the thread.
    virtual void stop() = 0;
};

/// For people, while it is failing or damaged.
[[nodiscard]] inline const char* why_failing(const State::Stats& stats) noexcept
{
    return stats.damaged ? "state.db is damaged: restart, and the start saves what is intact"
                         : "state.db cannot be written now; see the log";
}

}  // namespace eventyard::router
