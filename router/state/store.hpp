// router/state/store.hpp — the state file behind its thread: apply changes, read rows.
//
// No thread, queue or clock: state.cpp owns those. One transaction at a time:
// begin(), apply()..., commit() or rollback(). Target positions are kept in memory as well (one
// entry a target) and written once a transaction; rollback() restores them. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "router/state/sqlite.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class Store {
public:
    /// Opens a file that create_state_file() made. Merges its WAL, verifies every page, reads the
    /// positions. Errc::corrupt or io: damaged, see salvage.hpp; unsupported: a newer format;
    /// conflict: another process holds it.
    static Result<std::unique_ptr<Store>> open(Disk& disk, const std::string& path);

    Result<StateSnapshot> snapshot();
    [[nodiscard]] bool unsure() const noexcept { return meta_.unsure; }
    /// In a transaction of its own.
    Result<void> set_store(const Id& store);

    Result<void> begin();
    /// After an error: rollback().
    Result<void> apply(const Change& change);
    /// Durable on success; on an error everything since begin() is undone.
    Result<void> commit();
    void rollback() noexcept;
    [[nodiscard]] bool in_transaction() const noexcept { return open_; }
    /// In a transaction: an error when SQLite has taken it back, as it does when the disk fails a read.
    [[nodiscard]] Result<void> check_open() const;

    /// Moves the WAL into the file. Not in a transaction. True: all of it, so it starts over.
    Result<bool> checkpoint(bool truncate);
    /// Bytes in the WAL that a checkpoint has not let go yet.
    [[nodiscard]] std::uint64_t wal_bytes() const noexcept;

    Result<std::vector<RetryRow>> due_retries(const std::string& target, WallTime before,
                                              std::size_t limit);
    Result<std::vector<RetryRow>> next_retries(const std::string& target, WallTime after_due,
                                               DeliveryKey after, std::size_t limit);
    Result<std::optional<RetryRow>> first_of_key(const std::string& target, const std::string& order_key);
    Result<RowPage> pending_rows(const DeliveryFilter& filter, const RowPosition& after, std::size_t limit);
    Result<std::vector<RetryRow>> rows_of(const std::string& target, const std::vector<DeliveryKey>& keys);
    Result<Needed> needed(std::vector<NeededRange> ranges);
    Result<std::vector<DeliveryKey>> retry_keys(Sequence first, Sequence last,
                                                const std::string& target);
    Result<DeadLetterPage> dead_letters(const DeadLetterFilter& filter);
    Result<std::vector<DeadLetterGroup>> dead_letter_groups(const std::string& target);
    Result<AuditState> audit();
    Result<std::vector<RedriveJob>> redrives();
    Result<std::vector<KnownEvent>> known_events();
    Result<std::vector<TrialResult>> trial(const std::vector<TrialKey>& keys);
    Result<DeadLetter> dead_letter(std::int64_t id);
    Result<std::vector<AttemptRecord>> attempts(const DeadLetter& dead);
    Result<std::vector<DeadLetter>> forwards(const std::string& target, std::int64_t after_id,
                                             std::size_t limit);
    Result<std::vector<LedgerRow>> ledger();
    Result<std::vector<LedgerRow>> ledger_of(const std::vector<std::string>& targets);
    Result<std::vector<EventTotals>> event_totals();

    [[nodiscard]] Database& database() noexcept { return database_; }

private:
    struct Meta {
        Id store;
        Sequence reserved = 0, synced = 0, routed_through = 0, counted_through = 0;
        std::int64_t next_dead_letter = 1;
        bool unsure = true;
        bool operator==(const Meta&) const = default;
    };
    struct Target {
        std::int64_t id = 0;
        std::string kind;
        Sequence cursor = 0;
        std::optional<std::uint32_t> shard;  // idle
        std::int64_t retries = 0, held = 0, delayed = 0, dead_letters = 0;
        bool trusted = true;
        std::optional<WallTime> rate_full;
        std::string paused;
        Sequence drain = 0;
        std::string settled;  // encoded, unless `listed` is newer: a long list comes more often than it is written
        std::shared_ptr<const std::vector<DeliveryKey>> listed;
        bool dirty = false;

        void list(std::vector<DeliveryKey> keys) { listed = std::make_shared<const std::vector<DeliveryKey>>(std::move(keys)); }
        const std::string& encoded();
    };
    struct LedgerKey {
        std::string target, rule;
        int what = 0;
        bool operator==(const LedgerKey&) const = default;
    };
    struct LedgerHash {
        std::size_t operator()(const LedgerKey& key) const noexcept;
    };
    struct Statements;

    Store() = default;
    Result<void> load();
    /// Shards are a matter of one run, the next may have another number of threads: gives idle
    /// targets their mark as cursor, in memory; the first commit writes that before anything else.
    void resolve_idle();

    Result<void> on(const Ended& change);
    Result<void> on(const Retrying& change);
    Result<void> on(const CursorMoved& change);
    Result<void> on(const LaneIdle& change);
    Result<void> on(const LaneActive& change);
    Result<void> on(const IdleThrough& change);
    Result<void> on(const TargetKnown& change);
    Result<void> on(const TargetRenamed& change);
    Result<void> on(const TargetPaused& change);
    Result<void> on(const TargetDraining& change);
    Result<void> on(const Moved& change);
    Result<void> on(const Routed& change);
    Result<void> on(const Received& change);
    Result<void> on(const JournalMarked& change);
    Result<void> on(const DeadLetterForwarded& change);
    Result<void> on(const DeadLetterDiscarded& change);
    Result<void> on(const Redriven& change);
    Result<void> on(const RedriveNoted& change);
    Result<void> on(const JournalCounted& change);
    Result<void> on(const KeyHeld& change);
    Result<void> on(const TargetRate& change);
    Result<void> on(const EventErased& change);
    Result<void> on(const KeysKnown& change);

    /// The target's entry, made if missing, about to be changed.
    Target& touch(const std::string& name);
    [[nodiscard]] const Target* find(const std::string& name) const;
    [[nodiscard]] Sequence effective(const Target& target) const;
    void remember(const std::string& name);  // for rollback
    Result<void> write(const std::string& name, Target& target);
    Result<void> merge(const std::string& from, const std::string& to);
    void count(std::string_view target, std::string_view rule, int what, std::int64_t n);
    /// A letter that can be acted on: it is there and dead, not redriven.
    struct Standing {
        DeliveryKey key;
        std::string rule, target;
        std::int64_t group = 0, bytes = 0;
        std::uint32_t attempts = 0;
    };
    Result<DeadLetterPage> dead_letters_by_id(const DeadLetterFilter& filter);
    Result<void> take(const DeadLetterFilter& filter, DeadLetter letter, DeadLetterPage& page);
    Result<std::optional<Standing>> standing(std::int64_t letter);
    Result<void> leave_group(const Standing& letter);
    Result<void> erase_letter(std::int64_t letter);
    Result<std::int64_t> group_of(std::int64_t target, const DeadLetter& dead);
    Result<void> regroup(std::int64_t from, std::int64_t to);
    /// Instead of the row it may have already.
    Result<void> add_retry(const RetryRow& row, std::int64_t target);
    Result<void> count_parked(std::int64_t target, const RetryRow& row, int by);
    void count_row(Target& target, const RetryRow& row, std::int64_t by);
    /// Counts anew what `target` has in retry, after rows came to it from another.
    Result<void> recount_rows(Target& target);
    /// Removes the row; the letter that kept its body, 0: none; nothing: there was no row.
    Result<std::optional<std::int64_t>> drop_retry(DeliveryKey key, const std::string& target);
    Result<void> add_dead_letter(const DeadLetter& dead, const std::string& target,
                                 std::uint32_t redrives, bool& added);
    Result<void> add_attempt(DeliveryKey key, std::int64_t target, std::uint32_t n,
                             const AttemptRecord& attempt);
    Result<void> drop_attempts(DeliveryKey key, std::int64_t target);
    Result<void> flush_ledger();
    Result<void> flush_targets();
    Result<void> flush();

    Database database_;
    std::shared_ptr<Statements> sql_;  // after database_: finalized before it closes
    Meta meta_, meta_stored_;
    std::unordered_map<std::string, Target> targets_;
    std::map<std::uint32_t, Sequence> marks_, marks_before_;
    std::int64_t next_target_ = 1;
    std::unordered_set<std::string> sources_;  // pairs of bus and source that have a row
    std::uint64_t wal_frames_ = 0;
    bool open_ = false;
    bool resolve_first_ = false;
    std::vector<std::string> resolved_;

    // Since begin().
    std::vector<std::pair<std::string, std::optional<Target>>> before_;
    std::vector<std::string> new_sources_;
    std::unordered_map<LedgerKey, std::int64_t, LedgerHash> counts_;
};

}  // namespace eventyard::router
