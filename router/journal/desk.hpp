// router/journal/desk.hpp — the journal without its threads: what is written when, and who is told.
//
// Whoever derives from it lets the writer take its turns and runs the jobs of reader and keeper:
// journal.cpp on threads, tests/sim whenever its seed says so. submit() and reserved() may be called
// from anywhere; turns of the writer, jobs of the reader and jobs of the keeper may run beside one
// another, but two of one kind may not.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "router/journal/journal.hpp"
#include "router/journal/known_events.hpp"
#include "router/journal/log.hpp"

namespace eventyard::router {

class JournalDesk : public Journal {
public:
    const RecoveryReport& recovery() const noexcept override { return log_->recovery(); }
    void set_listener(std::function<void(CommitBatchPtr)> listener) override
    {
        const std::lock_guard lock{mutex_};
        listener_ = std::move(listener);
    }
    void between_commits(const std::function<void()>& look) override
    {
        const std::lock_guard lock{telling_};
        look();
    }
    Sequence synced() const noexcept override { return synced_.load(std::memory_order_acquire); }
    Sequence disk_synced() const noexcept override { return disk_synced_.load(); }
    Sequence last() const noexcept override { return last_.load(); }
    Sequence oldest() const noexcept override { return log_->segments().oldest(last_.load() + 1); }

    void set_reserver(std::function<void(Sequence)> reserve) override
    {
        {
            const std::lock_guard lock{mutex_};
            reserver_ = std::move(reserve);
        }
        wake_writer();
    }
    void reserved(Sequence up_to) override
    {
        {
            const std::lock_guard lock{mutex_};
            reserved_ = std::max(reserved_, up_to);
            unreserved_ = false;
        }
        wake_writer();
    }

    void know(KnownEvents known) override
    {
        known_ = std::move(known);
        stats_.known_keys = known_.size();
    }
    Result<RoutingVersionPtr> store_version(const RoutingVersion& version) override
    {
        return log_->versions().store_version(version);
    }
    void read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done) override;
    void excess(ExcessRead request, std::function<void(Result<Excess>)> done) override;
    void read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done) override;
    void read_events(EventsRead request, std::function<void(Result<EventChunk>)> done) override;
    void submit(CommitUnit unit) override;
    void submit_all(std::vector<CommitUnit>& units) override;
    std::vector<SegmentInfo> segments() const override { return log_->segments().infos(); }
    void release(std::vector<std::string> names) override;
    void rewrite(std::string name, std::function<bool(const StoredEvent&, std::uint32_t)> keep,
                 std::function<void(Result<void>)> done) override;
    void find(Id event, std::function<void(Result<std::vector<StoredEventPtr>>)> done) override;
    void erase(Id event, std::function<void(Result<std::uint64_t>)> done) override;
    void copy_to(std::string directory, std::function<void(Result<JournalCopy>)> done) override;
    const Stats& stats() const noexcept override { return stats_; }

protected:
    using Job = std::function<void()>;

    JournalDesk(std::unique_ptr<Log> log, const Clock& clock, JournalOptions options, Sequence reserved);

    /// Runs the job in order, soon. False: the journal stops, it never will.
    virtual bool post_reader(Job job) = 0;
    virtual bool post_keeper(Job job) = 0;
    /// There may be something to do in write_turn().
    virtual void wake_writer() = 0;

    /// One commit, if there is one to make. False: nothing to do before wake_writer() or, if it has
    /// a value, write_at(); then call write_late() first.
    bool write_turn();
    [[nodiscard]] std::optional<SteadyTime> write_at() const;
    void write_late();
    /// Refuses everything from now on; write_turn() still commits what was taken.
    /// False: it was so already.
    bool begin_stop();
    [[nodiscard]] bool stopping() const;
    /// The writer's last turn, after begin_stop() and once write_turn() has nothing more to do.
    void end_writing();
    /// The keeper's: to be done at intervals and when the appender asks for it.
    void chores();
    [[nodiscard]] Log& log() noexcept { return *log_; }
    [[nodiscard]] const Log& log() const noexcept { return *log_; }

private:
    std::optional<Error> enqueue(CommitUnit& unit, bool sound, std::size_t bytes);
    bool run_between();
    void erase_sealed(const Id& event, const std::function<void(Result<std::uint64_t>)>& done);
    bool take_batch(std::vector<CommitUnit>& batch);
    void ask_for_reservation();
    void commit(std::vector<CommitUnit>& batch);
    /// What a batch holds of events that came before.
    struct Repetitions {
        std::vector<CommitUnit> units;  // without anything new: answered with the batch
        std::vector<std::pair<Repeated*, std::shared_ptr<StoredEvent>>> of_batch;  // of an event that the batch holds itself
    };
    Repetitions take_repetitions(std::vector<CommitUnit>& batch);
    void remember(CommitBatch& batch);
    void refuse(std::vector<CommitUnit>& batch, const Error& error);
    void mend();
    void refuse_unnumbered();
    void look_for_space();
    void count_segments();
    void set_failing(bool failing);

    std::unique_ptr<Log> log_;
    const Clock& clock_;
    const JournalOptions options_;
    Stats stats_;

    mutable std::mutex mutex_;  // guards what follows, up to the blank line
    std::deque<CommitUnit> queue_;
    std::size_t queued_bytes_ = 0;
    std::deque<Job> between_;  // what the writer does between two commits
    bool stopping_ = false;
    std::function<void(CommitBatchPtr)> listener_;
    std::function<void(Sequence)> reserver_;
    Sequence reserved_ = 0;
    Sequence asked_ = 0;
    bool unreserved_ = false;  // waited for numbers in vain: refuse until there are some
    std::optional<SteadyTime> numbers_by_;  // the queue waits for numbers until then

    std::mutex telling_;  // held from the first answer to a batch until the listener has it; before mutex_

    std::atomic<Sequence> last_{0}, synced_{0}, disk_synced_{0};
    std::atomic<bool> no_space_{false};
    std::atomic<bool> failing_{false};
    // The writer's.
    KnownEvents known_;
    Sequence former_ = 0;     // given before this start: what is known of those is on disk, or was, and has been let go since
    SteadyTime mend_at_{};    // no commit opens a file before
    SteadyTime mend_next_{};  // while failing: try then without a commit
};

}  // namespace eventyard::router
