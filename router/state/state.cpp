// The state's thread: gathers changes into transactions, serves reads between them, checkpoints.

#include "router/state/state.hpp"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "core/log.hpp"
#include "router/state/export.hpp"
#include "router/state/salvage.hpp"
#include "router/state/schema.hpp"
#include "router/state/store.hpp"

namespace eventyard::router {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t checkpoint_at = 4ULL << 20;  // bytes of WAL
constexpr Duration idle_checkpoint = 1s;             // without work: leave nothing to a restart
constexpr Duration backoff_min = 100ms, backoff_max = 5s;
constexpr Duration failing_log_interval = 60s;
constexpr int export_pages = 64;  // 1 MiB a step

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

struct PendingExport {
    std::string path;
    std::function<void(Result<void>)> done;
    std::unique_ptr<Export> work;
};

class SqliteState final : public State {
public:
    SqliteState(const Clock& clock, StateOptions options, OpenedStore opened,
                StateSnapshot snapshot)
        : clock_(clock),
          options_(std::move(options)),
          store_(std::move(opened.store)),
          report_(std::move(opened.report)),
          snapshot_(std::move(snapshot))
    {
        thread_ = std::thread([this] { run(); });
        pthread_setname_np(thread_.native_handle(), "state");
    }
    SqliteState(const SqliteState&) = delete;
    SqliteState& operator=(const SqliteState&) = delete;
    ~SqliteState() override { stop(); }

    [[nodiscard]] const StateReport& report() const noexcept override { return report_; }
    [[nodiscard]] const StateSnapshot& snapshot() const noexcept override { return snapshot_; }
    [[nodiscard]] const Stats& stats() const noexcept override { return stats_; }

    Result<void> bind_store(const Id& store) override;
    void submit(std::vector<Change> changes) override { submit(std::move(changes), nullptr); }
    void submit(std::vector<Change> changes, std::function<void(Result<void>)> durable) override;

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
    void stop() override;

private:
    /// Queues `work` on the store and hands its result to `done`.
    template <class Done, class Work>
    void ask(Request::Needs needs, Done done, Work work)
    {
        push(Request{needs,
                     [this, done = std::move(done), work = std::move(work)](const Error* refused) {
                         if (refused != nullptr)
                             done(*refused);
                         else
                             done(work(*store_));
                     }});
    }
    void push(Request request);

    // On the thread.
    void run();
    [[nodiscard]] bool pending() const noexcept { return !gathered_.empty() || !applied_.empty(); }
    [[nodiscard]] Duration wait_time() const;
    void take(std::deque<Item> items);
    void serve(Request& request);
    Result<void> apply_gathered();
    Result<void> commit();
    void commit_all();
    void failed(const Error& error);
    void maintain(bool idle);
    void checkpoint();
    void step_export();
    void close();

    const Clock& clock_;
    const StateOptions options_;
    std::unique_ptr<Store> store_;
    StateReport report_;
    StateSnapshot snapshot_;
    Stats stats_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Item> inbox_;         // mutex_
    std::size_t inbox_changes_ = 0;  // mutex_
    bool urgent_ = false;            // mutex_: a request waits
    bool waiting_ = false;           // mutex_: the thread has nothing to do
    bool stopping_ = false;          // mutex_

    std::deque<Submission> gathered_;  // not applied yet
    std::deque<Submission> applied_;   // in the open transaction
    std::size_t gathered_changes_ = 0, applied_changes_ = 0;
    SteadyTime deadline_{};  // of the commit; while failing, of the next try
    Duration backoff_{0};    // not 0: failing
    std::uint64_t failures_ = 0;
    SteadyTime failure_logged_{};
    bool checkpoint_failing_ = false;
    std::deque<PendingExport> exports_;

    std::mutex stop_mutex_;
    std::thread thread_;
};

const Error stopped = fail(Errc::cancelled, "the state is stopping");
const Error closed = fail(Errc::unavailable, "the state file could not be replaced");

void SqliteState::submit(std::vector<Change> changes, std::function<void(Result<void>)> durable)
{
    Submission submission{std::move(changes), std::move(durable), 0};
    for (const Change& change : submission.changes)
        submission.endings += std::holds_alternative<Ended>(change) ? 1 : 0;
    const std::size_t count = submission.changes.size();
    bool notify = false, refused = true;
    {
        const std::lock_guard lock{mutex_};
        if (!stopping_) {
            refused = false;
            stats_.queued += count;
            stats_.settled_unsynced += submission.endings;
            inbox_changes_ += count;
            inbox_.emplace_back(std::move(submission));
            notify = waiting_ || inbox_changes_ >= options_.batch_max;
            waiting_ = false;
        }
    }
    if (notify) wake_.notify_one();
    if (refused && submission.durable) submission.durable(stopped);
}

void SqliteState::push(Request request)
{
    bool refused = true;
    {
        const std::lock_guard lock{mutex_};
        if (!stopping_) {
            refused = false;
            inbox_.emplace_back(std::move(request));
            urgent_ = true;
        }
    }
    if (refused)
        request.run(&stopped);
    else
        wake_.notify_one();
}

Duration SqliteState::wait_time() const
{
    if (!exports_.empty() && backoff_ == Duration{0}) return Duration{0};
    if (pending()) return std::max(Duration{0}, deadline_ - clock_.steady());
    return store_ != nullptr && store_->wal_bytes() > 0 ? idle_checkpoint : Duration{1h};
}

void SqliteState::run()
{
    for (;;) {
        std::deque<Item> items;
        bool stopping = false, waited = false;
        {
            std::unique_lock lock{mutex_};
            const bool busy = pending() || !exports_.empty();
            const auto ready = [&] {
                return stopping_ || urgent_ || (!busy && !inbox_.empty()) ||
                       (backoff_ == Duration{0} && inbox_changes_ >= options_.batch_max);
            };
            waiting_ = !busy && inbox_.empty();
            waited = !wake_.wait_for(lock, wait_time(), ready);
            waiting_ = false;
            items.swap(inbox_);
            inbox_changes_ = 0;
            urgent_ = false;
            stopping = stopping_;
        }
        const bool idle = items.empty() && !pending();
        take(std::move(items));
        if (stopping) break;
        const bool full =
            backoff_ == Duration{0} && gathered_changes_ + applied_changes_ >= options_.batch_max;
        if (pending() && (waited || full || clock_.steady() >= deadline_)) commit_all();
        step_export();
        maintain(idle);
    }
    close();
}

void SqliteState::take(std::deque<Item> items)
{
    for (Item& item : items) {
        if (auto* submission = std::get_if<Submission>(&item)) {
            if (!pending()) deadline_ = clock_.steady() + options_.batch_interval;
            gathered_changes_ += submission->changes.size();
            gathered_.push_back(std::move(*submission));
        } else {
            serve(std::get<Request>(item));
        }
    }
}

void SqliteState::serve(Request& request)
{
    if (store_ == nullptr) return request.run(&closed);
    if (backoff_ == Duration{0} && pending()) {
        auto done = apply_gathered();
        if (done.has_value() && request.needs == Request::Needs::durable &&
            store_->in_transaction())
            done = commit();
        if (!done.has_value()) failed(done.error());
    }
    request.run(nullptr);
}

Result<void> SqliteState::apply_gathered()
{
    while (!gathered_.empty()) {
        if (!store_->in_transaction()) EVENTYARD_CHECK(store_->begin());
        // What is being applied belongs to the transaction, should it have to be taken back.
        applied_.push_back(std::move(gathered_.front()));
        gathered_.pop_front();
        const Submission& submission = applied_.back();
        gathered_changes_ -= submission.changes.size();
        applied_changes_ += submission.changes.size();
        for (const Change& change : submission.changes) EVENTYARD_CHECK(store_->apply(change));
        if (applied_changes_ >= options_.batch_max) EVENTYARD_CHECK(commit());
    }
    return {};
}

Result<void> SqliteState::commit()
{
    EVENTYARD_CHECK(store_->commit());
    if (backoff_ != Duration{0})
        log::info("state", "changes are durable again", {{"failed_tries", failures_}});
    backoff_ = Duration{0};
    failures_ = 0;
    stats_.failing = false;
    std::deque<Submission> done;
    done.swap(applied_);
    std::uint64_t endings = 0;
    for (const Submission& submission : done) endings += submission.endings;
    stats_.queued -= applied_changes_;
    stats_.settled_unsynced -= endings;
    stats_.changes += applied_changes_;
    ++stats_.batches;
    applied_changes_ = 0;
    deadline_ = clock_.steady() + options_.batch_interval;
    for (const Submission& submission : done)
        if (submission.durable) submission.durable(Result<void>{});
    return {};
}

void SqliteState::commit_all()
{
    if (store_ == nullptr) return failed(closed);
    auto done = apply_gathered();
    if (done.has_value() && store_->in_transaction()) done = commit();
    if (!done.has_value()) failed(done.error());
}

void SqliteState::failed(const Error& error)
{
    if (store_ != nullptr && store_->in_transaction()) store_->rollback();
    while (!applied_.empty()) {
        gathered_changes_ += applied_.back().changes.size();
        gathered_.push_front(std::move(applied_.back()));
        applied_.pop_back();
    }
    applied_changes_ = 0;
    const SteadyTime now = clock_.steady();
    if (failures_++ == 0 || now - failure_logged_ >= failing_log_interval) {
        failure_logged_ = now;
        log::error("state", "changes cannot be made durable; trying again",
                   {{"error", error.what},
                    {"waiting_changes", stats_.queued.load()},
                    {"tries", failures_}});
    }
    backoff_ = backoff_ == Duration{0} ? backoff_min : std::min(backoff_ * 2, backoff_max);
    deadline_ = now + backoff_;
    stats_.failing = true;
}

void SqliteState::maintain(bool idle)
{
    if (store_ == nullptr || store_->in_transaction()) return;
    const std::uint64_t bytes = store_->wal_bytes();
    // A full disk: what is merged leaves its place in the log to the batch that found none.
    const bool needed = idle || backoff_ != Duration{0};
    if (bytes >= std::min(checkpoint_at, options_.wal_max) || (needed && bytes > 0)) checkpoint();
    stats_.wal_bytes = store_->wal_bytes();
}

void SqliteState::checkpoint()
{
    auto done = store_->checkpoint(false);
    if (done.has_value() && !*done && store_->wal_bytes() > options_.wal_max)
        done = store_->checkpoint(true);
    if (!done.has_value() && !checkpoint_failing_)
        log::warn("state", "the log cannot be merged into the file; trying again",
                  {{"error", done.error().what}});
    checkpoint_failing_ = !done.has_value();
    const bool over = store_->wal_bytes() > options_.wal_max;
    if (over && !stats_.wal_over)
        log::warn("state", "the log exceeds its bound; does another program hold state.db open?",
                  {{"bytes", store_->wal_bytes()}, {"bound", options_.wal_max}});
    stats_.wal_over = over;
}

void SqliteState::step_export()
{
    if (exports_.empty() || backoff_ != Duration{0}) return;
    if (pending()) commit_all();
    if (store_ == nullptr || store_->in_transaction() || exports_.empty()) return;
    PendingExport& current = exports_.front();
    Result<bool> stepped = false;
    if (current.work == nullptr) {
        auto work = Export::start(store_->database(), current.path);
        if (work.has_value())
            current.work = std::move(*work);
        else
            stepped = work.error();
    }
    if (current.work != nullptr) stepped = current.work->step(export_pages);
    if (stepped.has_value() && !*stepped) return;
    const auto done = std::move(current.done);
    exports_.pop_front();
    if (stepped.has_value())
        done(Result<void>{});
    else
        done(stepped.error());
}

void SqliteState::close()
{
    backoff_ = Duration{0};
    if (pending()) commit_all();
    std::deque<Submission> lost;
    lost.swap(gathered_);
    if (!lost.empty())
        log::error("state",
                   "stopped without making the last changes durable; their deliveries repeat",
                   {{"changes", stats_.queued.load()}});
    for (const Submission& submission : lost)
        if (submission.durable) submission.durable(stopped);
    for (PendingExport& one : exports_) one.done(stopped);
    exports_.clear();
    if (store_ == nullptr) return;
    if (auto merged = store_->checkpoint(true); !merged.has_value())
        log::warn("state", "the log stays beside the file", {{"error", merged.error().what}});
    stats_.wal_bytes = store_->wal_bytes();
    store_.reset();
}

void SqliteState::stop()
{
    const std::lock_guard once{stop_mutex_};
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void SqliteState::dead_letter(
    std::int64_t id, std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done)
{
    push(Request{Request::Needs::applied, [this, id, done = std::move(done)](const Error* refused) {
                     if (refused != nullptr) return done(*refused, {});
                     auto dead = store_->dead_letter(id);
                     std::vector<AttemptRecord> attempts;
                     if (dead.has_value()) {
                         auto found = store_->attempts(*dead);
                         if (!found.has_value()) return done(found.error(), {});
                         attempts = std::move(*found);
                     }
                     done(std::move(dead), std::move(attempts));
                 }});
}

void SqliteState::ledger(
    std::function<void(Result<std::vector<LedgerRow>>, std::vector<EventTotals>)> done)
{
    push(Request{Request::Needs::applied, [this, done = std::move(done)](const Error* refused) {
                     if (refused != nullptr) return done(*refused, {});
                     auto rows = store_->ledger();
                     auto totals = store_->event_totals();
                     if (!totals.has_value()) return done(totals.error(), {});
                     done(std::move(rows), std::move(*totals));
                 }});
}

void SqliteState::export_copy(std::string path, std::function<void(Result<void>)> done)
{
    push(Request{Request::Needs::durable,
                 [this, path = std::move(path), done = std::move(done)](const Error* refused) {
                     if (refused != nullptr)
                         done(*refused);
                     else
                         exports_.push_back({path, done, nullptr});
                 }});
}

void log_report(const StateReport& report)
{
    if (report.created) log::info("state", "made a new state.db");
    if (report.upgraded_from != 0)
        log::info("state", "state.db was brought to the present format",
                  {{"from", report.upgraded_from}, {"to", state_format}, {"former", report.moved_to}});
    if (report.set_aside)
        log::error("state", "state.db was set aside",
                   {{"why", report.why},
                    {"moved_to", report.moved_to},
                    {"targets", report.salvaged_targets},
                    {"retries", report.salvaged_retries},
                    {"dead_letters", report.salvaged_dead_letters},
                    {"lost_dead_letters", report.lost_dead_letters}});
}

Result<void> SqliteState::bind_store(const Id& store)
{
    std::promise<Result<void>> answer;
    const auto bind = [&]() -> Result<void> {
        if (snapshot_.store == store) return {};
        if (!snapshot_.store.is_nil()) {
            EVENTYARD_TRY(opened, start_over(options_.path, clock_.wall(), std::move(store_),
                                             "it belongs to journal " + snapshot_.store.text() +
                                                 ", and this one is " + store.text()));
            store_ = std::move(opened.store);
            report_ = std::move(opened.report);
            log_report(report_);
        }
        EVENTYARD_CHECK(store_->set_store(store));
        EVENTYARD_TRY(now, store_->snapshot());
        snapshot_ = std::move(now);
        return {};
    };
    push(Request{Request::Needs::durable, [&](const Error* refused) {
                     if (refused != nullptr)
                         answer.set_value(*refused);
                     else
                         answer.set_value(bind());
                 }});
    return answer.get_future().get();
}

}  // namespace

const char* text_of(Ending ending) noexcept
{
    switch (ending) {
        case Ending::delivered:
            return "delivered";
        case Ending::dead_lettered:
            return "dead_lettered";
        case Ending::discarded_operator:
            return "discarded_operator";
        case Ending::discarded_retention:
            return "discarded_retention";
        case Ending::discarded_overflow:
            return "discarded_overflow";
        case Ending::expired:
            return "expired";
        case Ending::damaged:
            return "damaged";
        case Ending::lost:
            return "lost";
    }
    return "unknown";
}

Result<std::unique_ptr<State>> State::open(const Clock& clock, StateOptions options)
{
    EVENTYARD_TRY(opened, open_or_salvage(options.path, clock.wall()));
    EVENTYARD_TRY(snapshot, opened.store->snapshot());
    log_report(opened.report);
    return std::unique_ptr<State>(std::make_unique<SqliteState>(
        clock, std::move(options), std::move(opened), std::move(snapshot)));
}

}  // namespace eventyard::router
