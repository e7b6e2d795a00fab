#include "router/state/desk.hpp"

#include <algorithm>

#include "core/log.hpp"
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

const Error stopped = fail(Errc::cancelled, "the state is stopping");
const Error closed = fail(Errc::unavailable, "the state file could not be replaced");

}  // namespace

StateDesk::StateDesk(Disk& disk, const Clock& clock, StateOptions options, OpenedStore opened)
    : disk_(disk),
      clock_(clock),
      options_(std::move(options)),
      store_(std::move(opened.store)),
      report_(std::move(opened.report)),
      snapshot_(std::move(opened.snapshot))
{
}

void StateDesk::submit(std::vector<Change> changes, std::function<void(Result<void>)> durable)
{
    Submission submission{std::move(changes), std::move(durable), 0};
    for (const Change& change : submission.changes)
        submission.endings += std::holds_alternative<Ended>(change) || std::holds_alternative<Moved>(change) ? 1 : 0;
    const std::size_t count = submission.changes.size();
    const std::uint64_t endings = submission.endings;
    stats_.queued += count;
    stats_.settled_unsynced += endings;
    Item item{std::move(submission)};
    if (put(item)) return;
    stats_.queued -= count;
    stats_.settled_unsynced -= endings;
    if (auto& refused = std::get<Submission>(item); refused.durable) refused.durable(stopped);
}

void StateDesk::erase(EventErased erased, std::function<void(Result<void>)> done)
{
    submit({std::move(erased)}, [this, done = std::move(done)](const Result<void>& durable) {
        if (!durable.has_value()) return done(durable);
        // The log still has the former pages.
        ask(Request::Needs::durable, done, [](Store& store) -> Result<void> {
            EVENTYARD_TRY(whole, store.checkpoint(true));
            if (!whole) return fail(Errc::unavailable, "somebody reads state.db; try again");
            return {};
        });
    });
}

void StateDesk::push(Request request)
{
    Item item{std::move(request)};
    if (!put(item)) std::get<Request>(item).run(&stopped);
}

void StateDesk::turn(std::deque<Item> items, bool waited)
{
    const bool idle = items.empty() && !pending();
    take(std::move(items));
    const bool full =
        backoff_ == Duration{0} && gathered_changes_ + applied_changes_ >= options_.batch_max;
    if (pending() && (waited || full || clock_.steady() >= deadline_)) commit_all();
    step_export();
    maintain(idle);
}

Duration StateDesk::wait_time() const
{
    if (!exports_.empty() && backoff_ == Duration{0}) return Duration{0};
    if (pending()) return std::max(Duration{0}, deadline_ - clock_.steady());
    return store_ != nullptr && store_->wal_bytes() > 0 ? idle_checkpoint : Duration{1h};
}

void StateDesk::take(std::deque<Item> items)
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

void StateDesk::serve(Request& request)
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
    if (store_ != nullptr && store_->in_transaction())
        if (const auto open = store_->check_open(); !open.has_value()) failed(open.error());
}

Result<void> StateDesk::apply_gathered()
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

Result<void> StateDesk::commit()
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

void StateDesk::commit_all()
{
    if (store_ == nullptr) return failed(closed);
    auto done = apply_gathered();
    if (done.has_value() && store_->in_transaction()) done = commit();
    if (!done.has_value()) failed(done.error());
}

void StateDesk::failed(const Error& error)
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
    notice(error);
}

/// Damage does not go away: what needs the page waits, be it to be read or to be written.
void StateDesk::notice(const Error& error)
{
    if (error.code == Errc::corrupt && !stats_.damaged.exchange(true))
        log::error("state", "state.db is damaged: restart, and the start saves what is intact; until then what needs the damaged "
                            "part is not sent, or not remembered", {{"error", error.what}});
}

void StateDesk::maintain(bool idle)
{
    if (store_ == nullptr || store_->in_transaction()) return;
    const std::uint64_t bytes = store_->wal_bytes();
    // A full disk: what is merged leaves its place in the log to the batch that found none.
    const bool needed = idle || backoff_ != Duration{0};
    if (bytes >= std::min(checkpoint_at, options_.wal_max) || (needed && bytes > 0)) checkpoint();
    stats_.wal_bytes = store_->wal_bytes();
}

void StateDesk::checkpoint()
{
    auto done = store_->checkpoint(false);
    if (done.has_value() && !*done && store_->wal_bytes() > options_.wal_max)
        done = store_->checkpoint(true);
    if (!done.has_value()) notice(done.error());
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

void StateDesk::step_export()
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
    done(stepped.has_value() ? Result<void>{} : stepped.error());
}

void StateDesk::close(std::deque<Item> items)
{
    take(std::move(items));
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

void StateDesk::dead_letter(
    std::int64_t id, std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done)
{
    push(Request{Request::Needs::applied, [this, id, done = std::move(done)](const Error* refused) {
                     if (refused != nullptr) return done(*refused, {});
                     auto dead = store_->dead_letter(id);
                     std::vector<AttemptRecord> attempts;
                     if (dead.has_value()) {
                         auto found = store_->attempts(*dead);
                         if (found.has_value()) attempts = std::move(*found);
                         else dead = found.error();
                     }
                     if (!dead.has_value()) notice(dead.error());
                     done(std::move(dead), std::move(attempts));
                 }});
}

void StateDesk::ledger(
    std::function<void(Result<std::vector<LedgerRow>>, std::vector<EventTotals>)> done)
{
    push(Request{Request::Needs::applied, [this, done = std::move(done)](const Error* refused) {
                     if (refused != nullptr) return done(*refused, {});
                     auto rows = store_->ledger();
                     auto totals = store_->event_totals();
                     if (!totals.has_value()) rows = totals.error();
                     if (!rows.has_value()) notice(rows.error());
                     done(std::move(rows), totals.has_value() ? std::move(*totals) : std::vector<EventTotals>{});
                 }});
}

void StateDesk::export_copy(std::string path, std::function<void(Result<void>)> done)
{
    push(Request{Request::Needs::durable,
                 [this, path = std::move(path), done = std::move(done)](const Error* refused) {
                     if (refused != nullptr)
                         done(*refused);
                     else
                         exports_.push_back({path, done, nullptr});
                 }});
}

Result<void> StateDesk::bind(const Id& store)
{
    if (snapshot_.store == store) return {};
    if (!snapshot_.store.is_nil()) {
        EVENTYARD_TRY(opened, start_over(disk_, options_.path, clock_.wall(), std::move(store_),
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
        case Ending::moved:
            return "moved";
    }
    return "unknown";
}

}  // namespace eventyard::router
