// router/state/desk.hpp — the state without its thread: what it does with changes and requests.
//
// Gathers changes into transactions, serves reads between them, checkpoints. Whoever derives from it
// brings what was put to turn(), one turn at a time: state.cpp from a thread of its own, tests/sim
// whenever its seed says so. Changes of a put stay in one transaction; requests see what was put before.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/state/export.hpp"
#include "router/state/salvage.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class StateDesk : public State {
public:
    [[nodiscard]] const StateReport& report() const noexcept override { return report_; }
    [[nodiscard]] const StateSnapshot& snapshot() const noexcept override { return snapshot_; }
    [[nodiscard]] const Stats& stats() const noexcept override { return stats_; }

    void submit(std::vector<Change> changes) override { submit(std::move(changes), nullptr); }
    void submit(std::vector<Change> changes, std::function<void(Result<void>)> durable) override;
    void erase(EventErased erased, std::function<void(Result<void>)> done) override;

    void due_retries(std::string target, WallTime before, std::size_t limit,
                     std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [=, target = std::move(target)](Store& store) {
                return store.due_retries(target, before, limit);
            });
    }
    void next_retries(std::string target, WallTime after_due, DeliveryKey after_key,
                      std::size_t limit,
                      std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [=, target = std::move(target)](Store& store) {
                return store.next_retries(target, after_due, after_key, limit);
            });
    }
    void first_of_key(std::string target, std::string order_key,
                      std::function<void(Result<std::optional<RetryRow>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [target = std::move(target), order_key = std::move(order_key)](Store& store) {
                return store.first_of_key(target, order_key);
            });
    }
    void pending_rows(DeliveryFilter filter, RowPosition after, std::size_t limit,
                      std::function<void(Result<RowPage>)> done) override
    {
        ask(Request::Needs::applied, std::move(done), [=, filter = std::move(filter)](Store& store) {
            return store.pending_rows(filter, after, limit);
        });
    }
    void rows_of(std::string target, std::vector<DeliveryKey> keys,
                 std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [target = std::move(target), keys = std::move(keys)](Store& store) { return store.rows_of(target, keys); });
    }
    void needed(std::vector<NeededRange> ranges, std::function<void(Result<Needed>)> done) override
    {
        ask(Request::Needs::durable, std::move(done),
            [ranges = std::move(ranges)](Store& store) { return store.needed(ranges); });
    }
    void retry_keys(Sequence first, Sequence last, std::string target,
                    std::function<void(Result<std::vector<DeliveryKey>>)> done) override
    {
        ask(Request::Needs::durable, std::move(done),
            [=, target = std::move(target)](Store& store) {
                return store.retry_keys(first, last, target);
            });
    }
    void dead_letters(DeadLetterFilter filter,
                      std::function<void(Result<DeadLetterPage>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [filter = std::move(filter)](Store& store) { return store.dead_letters(filter); });
    }
    void dead_letter_groups(std::string target,
                            std::function<void(Result<std::vector<DeadLetterGroup>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done), [target = std::move(target)](Store& store) {
            return store.dead_letter_groups(target);
        });
    }
    void ledger_of(std::vector<std::string> targets, std::function<void(Result<std::vector<LedgerRow>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [targets = std::move(targets)](Store& store) { return store.ledger_of(targets); });
    }
    void audit(std::function<void(Result<AuditState>)> done) override
    {
        ask(Request::Needs::applied, std::move(done), [](Store& store) { return store.audit(); });
    }
    void redrives(std::function<void(Result<std::vector<RedriveJob>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done), [](Store& store) { return store.redrives(); });
    }
    void trial(std::vector<TrialKey> keys,
               std::function<void(Result<std::vector<TrialResult>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [keys = std::move(keys)](Store& store) { return store.trial(keys); });
    }
    void forwards(std::string target, std::int64_t after_id, std::size_t limit,
                  std::function<void(Result<std::vector<DeadLetter>>)> done) override
    {
        ask(Request::Needs::applied, std::move(done),
            [=, target = std::move(target)](Store& store) {
                return store.forwards(target, after_id, limit);
            });
    }
    void dead_letter(
        std::int64_t id,
        std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) override;
    void ledger(std::function<void(Result<std::vector<LedgerRow>>, std::vector<EventTotals>)> done)
        override;
    void export_copy(std::string path, std::function<void(Result<void>)> done) override;

protected:
    struct Submission {
        std::vector<Change> changes;
        std::function<void(Result<void>)> durable;
        std::uint64_t endings = 0;
    };
    /// A read, or another thing to be done between batches.
    struct Request {
        enum class Needs : std::uint8_t { applied, durable } needs = Needs::applied;
        /// @param refused  not null: answer with this error instead
        std::function<void(const Error* refused)> run;
    };
    using Item = std::variant<Submission, Request>;

    StateDesk(Disk& disk, const Clock& clock, StateOptions options, OpenedStore opened);

    /// Brings the item to a later turn(), in order. Any thread. False: it stops; the item is untouched.
    virtual bool put(Item& item) = 0;

    // One caller at a time.
    /// How long turn() is not needed while nothing is put.
    [[nodiscard]] Duration wait_time() const;
    /// Changes or an export wait for a later turn.
    [[nodiscard]] bool busy() const noexcept { return pending() || !exports_.empty(); }
    [[nodiscard]] bool failing() const noexcept { return backoff_ != Duration{0}; }
    [[nodiscard]] std::size_t batch_max() const noexcept { return options_.batch_max; }
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
    /// @param waited  wait_time() has passed
    void turn(std::deque<Item> items, bool waited);
    /// The last turn: applies what was put, merges the log, closes the file.
    void close(std::deque<Item> items);
    Result<void> bind(const Id& store);
    Result<std::vector<KnownEvent>> read_known()
    {
        auto known = store_->known_events();
        if (!known.has_value()) notice(known.error());
        return known;
    }

    /// Queues `work` on the store and hands its result to `done`.
    template <class Done, class Work>
    void ask(Request::Needs needs, Done done, Work work)
    {
        push(Request{needs,
                     [this, done = std::move(done), work = std::move(work)](const Error* refused) {
                         if (refused != nullptr) return done(*refused);
                         auto found = work(*store_);
                         if (!found.has_value()) notice(found.error());
                         done(std::move(found));
                     }});
    }
    void push(Request request);

private:
    struct PendingExport {
        std::string path;
        std::function<void(Result<void>)> done;
        std::unique_ptr<Export> work;
    };

    [[nodiscard]] bool pending() const noexcept { return !gathered_.empty() || !applied_.empty(); }
    void take(std::deque<Item> items);
    void serve(Request& request);
    Result<void> apply_gathered();
    Result<void> commit();
    void commit_all();
    void failed(const Error& error);
    void notice(const Error& error);
    void maintain(bool idle);
    void checkpoint();
    void step_export();

    Disk& disk_;
    const Clock& clock_;
    const StateOptions options_;
    std::unique_ptr<Store> store_;
    StateReport report_;
    StateSnapshot snapshot_;
    Stats stats_;

    std::deque<Submission> gathered_;  // not applied yet
    std::deque<Submission> applied_;   // in the open transaction
    std::size_t gathered_changes_ = 0, applied_changes_ = 0;
    SteadyTime deadline_{};  // of the commit; while failing, of the next try
    Duration backoff_{0};    // not 0: failing
    std::uint64_t failures_ = 0;
    SteadyTime failure_logged_{};
    bool checkpoint_failing_ = false;
    std::deque<PendingExport> exports_;
};

/// A line a finding.
void log_report(const StateReport& report);

}  // namespace eventyard::router
