// The journal's threads: this file's writer groups what was submitted into commits; keeper and
// reader are workers that run jobs on the parts of Log.
#include "router/journal/journal.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <iterator>
#include <mutex>
#include <thread>

#include "core/log.hpp"
#include "router/journal/log.hpp"
#include "router/journal/worker.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint64_t batch_bytes_max = 8U << 20;
constexpr Sequence reserve_stride = 1U << 16;
constexpr std::chrono::seconds mend_interval{1};

const Error no_numbers = fail(Errc::unavailable, "no sequence numbers can be reserved: state.db cannot be written");

std::size_t bytes_of(const CommitUnit& unit) noexcept
{
    std::size_t sum = 0;
    for (const auto& event : unit.events) sum += static_cast<std::size_t>(frame_size_max(*event));
    return sum;
}

class ThreadedJournal final : public Journal {
public:
    ThreadedJournal(std::unique_ptr<Log> log, const Clock& clock, JournalOptions options,
                    Sequence reserved)
        : log_(std::move(log)),
          clock_(clock),
          options_(std::move(options)),
          reserved_(reserved),
          keeper_([this] { chores(); }, std::chrono::seconds{1})
    {
        const Appender& appender = log_->appender();
        last_ = appender.last();
        synced_ = appender.last();
        disk_synced_ = appender.synced();
        look_for_space();
        count_segments();
        log_->on_chores([this] { keeper_.wake(); });
        keeper_.wake();
        writer_ = std::thread{[this] { write(); }};
    }

    ~ThreadedJournal() override { stop(); }

    const RecoveryReport& recovery() const noexcept override { return log_->recovery(); }
    void set_listener(std::function<void(CommitBatchPtr)> listener) override
    {
        const std::lock_guard lock{mutex_};
        listener_ = std::move(listener);
    }
    void submit(CommitUnit unit) override;
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
        changed_.notify_one();
    }
    void reserved(Sequence up_to) override
    {
        {
            const std::lock_guard lock{mutex_};
            reserved_ = std::max(reserved_, up_to);
            unreserved_ = false;
        }
        changed_.notify_one();
    }

    Result<RoutingVersionPtr> store_version(const RoutingVersion& version) override
    {
        return log_->versions().store_version(version);
    }
    void read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done) override;
    void read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done) override;
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(
        Sequence after, Sequence through) override
    {
        return on_reader<Reader::Tally>([=](Reader& reader) { return reader.tally(after, through); });
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(
        std::vector<DeliveryKey> keys) override
    {
        return on_reader<Reader::Tally>([&](Reader& reader) { return reader.tally_of(keys); });
    }
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) override
    {
        return on_reader<std::uint64_t>(
            [=](Reader& reader) { return reader.count_after(target, after); });
    }
    std::vector<SegmentInfo> segments() const override { return log_->segments().infos(); }
    void release(std::vector<std::string> names) override
    {
        (void)keeper_.post([this, held = std::move(names)] {
            log_->keeper().release(held);
            count_segments();
        });
    }
    void rewrite(std::string name, std::function<bool(const StoredEvent&, std::uint32_t)> keep,
                 std::function<void(Result<void>)> done) override;
    const Stats& stats() const noexcept override { return stats_; }
    void stop() override;

private:
    template <class T, class Job>
    Result<T> on_reader(Job job);
    void write();
    bool take_batch(std::unique_lock<std::mutex>& lock, std::vector<CommitUnit>& batch);
    void ask_for_reservation(std::unique_lock<std::mutex>& lock);
    void wait_for_numbers(std::unique_lock<std::mutex>& lock);
    void commit(std::vector<CommitUnit>& batch);
    void refuse(std::vector<CommitUnit>& batch, const Error& error);
    void mend();
    void chores();
    void look_for_space();
    void count_segments();
    void set_failing(bool failing);

    std::unique_ptr<Log> log_;
    const Clock& clock_;
    const JournalOptions options_;
    Stats stats_;

    std::mutex mutex_;  // guards what follows, up to the threads
    std::condition_variable changed_;
    std::deque<CommitUnit> queue_;
    std::size_t queued_bytes_ = 0;
    bool stopping_ = false;
    std::function<void(CommitBatchPtr)> listener_;
    std::function<void(Sequence)> reserver_;
    Sequence reserved_ = 0;
    Sequence asked_ = 0;
    bool unreserved_ = false;  // waited for numbers in vain: refuse until there are some

    std::atomic<Sequence> last_{0}, synced_{0}, disk_synced_{0};
    std::atomic<bool> no_space_{false};
    std::atomic<bool> failing_{false};
    SteadyTime mend_at_{};  // writer's

    Worker keeper_;
    Worker reader_;
    std::thread writer_;
};

void ThreadedJournal::submit(CommitUnit unit)
{
    const std::size_t bytes = bytes_of(unit);
    const bool sound = !unit.events.empty() &&
                       std::all_of(unit.events.begin(), unit.events.end(), [](const auto& event) {
                           return event && event->version && event->version->number != 0;
                       });
    Error refused;
    {
        const std::lock_guard lock{mutex_};
        if (!sound) {
            refused = fail(Errc::invalid, "a unit needs events of a stored routing version");
        } else if (stopping_) {
            refused = fail(Errc::cancelled, "the journal is stopping");
        } else if (no_space_) {
            stats_.refused_no_space += unit.events.size();
            refused = fail(Errc::no_space, "less space is free than journal.min_free");
        } else if (unreserved_) {
            refused = no_numbers;
        } else if (queued_bytes_ > 0 && queued_bytes_ + bytes > options_.max_queued_bytes) {
            // A unit above the limit is taken when it is alone: else it would be refused for ever.
            refused = fail(Errc::unavailable, "the journal's queue is full");
        } else {
            queued_bytes_ += bytes;
            stats_.queued_bytes = queued_bytes_;
            queue_.push_back(std::move(unit));
            changed_.notify_one();
            return;
        }
    }
    if (unit.done) unit.done(Result<CommitResult>{std::move(refused)});
}

/// Moves units into the batch, as far as size and reservation allow. Returns false when there is
/// nothing to do now.
bool ThreadedJournal::take_batch(std::unique_lock<std::mutex>&, std::vector<CommitUnit>& batch)
{
    std::uint64_t bytes = 0;
    Sequence last = log_->appender().last();
    while (!queue_.empty()) {
        const CommitUnit& unit = queue_.front();
        const std::uint64_t size = bytes_of(unit);
        if (!batch.empty() && bytes + size > batch_bytes_max) break;
        if (reserver_ && last + unit.events.size() > reserved_) break;
        bytes += size;
        last += unit.events.size();
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
        queued_bytes_ -= static_cast<std::size_t>(size);
    }
    stats_.queued_bytes = queued_bytes_;
    log_->appender().set_reserved(reserved_);
    return !batch.empty();
}

void ThreadedJournal::ask_for_reservation(std::unique_lock<std::mutex>& lock)
{
    if (!reserver_ || stopping_) return;
    const Sequence last = log_->appender().last();
    const Sequence first_unit = queue_.empty() ? 0 : queue_.front().events.size();
    const Sequence wanted = last + std::max(reserve_stride, 2 * first_unit);
    if (reserved_ >= last + reserve_stride / 2 && reserved_ >= last + first_unit) return;
    if (asked_ > reserved_ && asked_ >= last + first_unit) return;  // the answer is on its way
    asked_ = wanted;
    const auto reserver = reserver_;
    lock.unlock();
    reserver(wanted);
    lock.lock();
}

void ThreadedJournal::write()
{
    std::vector<CommitUnit> batch;
    std::unique_lock lock{mutex_};
    for (;;) {
        ask_for_reservation(lock);
        batch.clear();
        if (!take_batch(lock, batch)) {
            if (stopping_) break;  // what is still queued waits for a reservation in vain
            if (failing_) {
                if (changed_.wait_for(lock, mend_interval) == std::cv_status::timeout) {
                    lock.unlock();
                    mend();
                    lock.lock();
                }
            } else if (queue_.empty()) {
                changed_.wait(lock);
            } else {
                wait_for_numbers(lock);
            }
            continue;
        }
        lock.unlock();
        commit(batch);
        batch.clear();
        lock.lock();
    }
    while (!queue_.empty()) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    lock.unlock();
    refuse(batch, fail(Errc::cancelled, "the journal stopped before numbers were reserved"));
    (void)log_->appender().sync();
    disk_synced_ = log_->appender().synced();
}

/// While the state cannot write there are no further numbers: what waits for them is answered in the
/// end, and what comes then is at once.
void ThreadedJournal::wait_for_numbers(std::unique_lock<std::mutex>& lock)
{
    const auto ready = [this] {
        return stopping_ || log_->appender().last() + queue_.front().events.size() <= reserved_;
    };
    if (changed_.wait_for(lock, options_.reserve_patience, ready)) return;
    unreserved_ = true;
    std::vector<CommitUnit> late{std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end())};
    queue_.clear();
    queued_bytes_ = 0;
    stats_.queued_bytes = 0;
    lock.unlock();
    log::error("journal", "no sequence numbers can be reserved: events are refused until state.db can be written",
               {{"refused", late.size()}});
    refuse(late, no_numbers);
    lock.lock();
}

void ThreadedJournal::set_failing(bool failing)
{
    failing_ = failing;
    stats_.accepting = !failing && !no_space_;
}

void ThreadedJournal::refuse(std::vector<CommitUnit>& batch, const Error& error)
{
    for (CommitUnit& unit : batch)
        if (unit.done) unit.done(Result<CommitResult>{error});
}

void ThreadedJournal::mend()
{
    mend_at_ = clock_.steady() + mend_interval;
    // A full segment that found no successor has to roll before it can take anything.
    Appender& appender = log_->appender();
    if (appender.ready(appender.broken() ? 0 : options_.segment_size).has_value()) {
        log::info("journal", "the journal takes events again");
        set_failing(false);
    }
}

void ThreadedJournal::commit(std::vector<CommitUnit>& batch)
{
    Appender& appender = log_->appender();
    std::uint64_t events = 0;
    std::uint64_t event_bytes = 0;
    bool sync = false;
    for (const CommitUnit& unit : batch) {
        events += unit.events.size();
        sync = sync || unit.durability == Durability::fsync;
        for (const auto& event : unit.events) event_bytes += event->event.body.size();
    }
    if (appender.broken() && clock_.steady() < mend_at_)
        return refuse(batch, fail(Errc::unavailable, "the journal's disk fails; it is tried again soon"));
    if (auto ready = appender.ready(block_size_max(batch)); !ready.has_value()) {
        mend_at_ = clock_.steady() + mend_interval;
        if (!failing_)
            log::error("journal", "no segment can be opened", {{"error", ready.error().what}});
        set_failing(true);
        const bool full = ready.error().code == Errc::no_space;
        if (full) stats_.refused_no_space += events;
        return refuse(batch, fail(full ? Errc::no_space : Errc::unavailable, ready.error().what));
    }
    appender.number(batch);
    last_ = appender.last();
    for (CommitUnit& unit : batch)
        if (unit.durability == Durability::memory && unit.done)
            unit.done(Result<CommitResult>{
                CommitResult{unit.events.front()->sequence, Durability::memory}});

    const auto written = appender.write(batch, sync);
    stats_.sync_nanoseconds = appender.sync_nanoseconds();
    stats_.written_bytes = appender.written_bytes();
    disk_synced_ = appender.synced();
    if (!written.has_value()) {
        ++stats_.failed_commits;
        stats_.uncertain_events += events;
        mend_at_ = {};
        set_failing(true);
        log::error("journal", "a commit failed, its outcome is unknown",
                   {{"events", events}, {"error", written.error().what}});
        std::erase_if(batch, [](const CommitUnit& unit) {
            return unit.durability == Durability::memory;
        });
        return refuse(batch, written.error());
    }
    if (failing_) set_failing(false);
    ++stats_.commits;
    stats_.events += events;
    stats_.event_bytes += event_bytes;

    auto published = std::make_shared<CommitBatch>();
    published->first = batch.front().events.front()->sequence;
    published->last = appender.last();
    published->events.reserve(events);
    for (const CommitUnit& unit : batch)
        published->events.insert(published->events.end(), unit.events.begin(), unit.events.end());
    synced_.store(appender.last(), std::memory_order_release);
    for (CommitUnit& unit : batch)
        if (unit.durability != Durability::memory && unit.done)
            unit.done(Result<CommitResult>{
                CommitResult{unit.events.front()->sequence, unit.durability}});
    std::function<void(CommitBatchPtr)> listener;
    {
        const std::lock_guard lock{mutex_};
        listener = listener_;
    }
    if (listener) listener(std::move(published));
}

void ThreadedJournal::read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done)
{
    request.through = std::min(request.through, synced());
    const bool posted = reader_.post([this, request = std::move(request), done] {
        auto chunk = log_->reader().read_lane(request);
        ++stats_.lane_reads;
        stats_.read_bytes = log_->reader().read_bytes();
        done(std::move(chunk));
    });
    if (!posted) done(Result<LaneChunk>{fail(Errc::cancelled, "the journal is stopping")});
}

void ThreadedJournal::read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done)
{
    const bool posted = reader_.post([this, sequence, done] {
        auto event = sequence <= synced()
                         ? log_->reader().read_event(sequence)
                         : Result<StoredEventPtr>{fail(Errc::not_found, "not committed yet")};
        stats_.read_bytes = log_->reader().read_bytes();
        done(std::move(event));
    });
    if (!posted) done(Result<StoredEventPtr>{fail(Errc::cancelled, "the journal is stopping")});
}

template <class T, class Job>
Result<T> ThreadedJournal::on_reader(Job job)
{
    std::promise<Result<T>> answer;
    auto future = answer.get_future();
    const bool posted = reader_.post([&] { answer.set_value(job(log_->reader())); });
    if (!posted) return fail(Errc::cancelled, "the journal is stopping");
    return future.get();
}

void ThreadedJournal::rewrite(std::string name,
                              std::function<bool(const StoredEvent&, std::uint32_t)> keep,
                              std::function<void(Result<void>)> done)
{
    const bool posted = keeper_.post([this, name = std::move(name), keep = std::move(keep), done] {
        auto result = log_->keeper().rewrite(name, keep);
        count_segments();
        if (done) done(std::move(result));
    });
    if (!posted && done) done(Result<void>{fail(Errc::cancelled, "the journal is stopping")});
}

void ThreadedJournal::chores()
{
    look_for_space();
    log_->chores(log_->room());
    count_segments();
}

void ThreadedJournal::look_for_space()
{
    const bool full = log_->room() == 0;
    if (full != no_space_.exchange(full)) {
        if (full)
            log::warn("journal", "the disk is nearly full: no events are taken (journal.min_free)");
        else
            log::info("journal", "there is space again: events are taken");
    }
    stats_.accepting = !full && !failing_;
}

void ThreadedJournal::count_segments()
{
    stats_.segments = log_->segments().all().size();
    stats_.disk_bytes = log_->segments().bytes() + log_->spares().bytes();
}

void ThreadedJournal::stop()
{
    {
        const std::lock_guard lock{mutex_};
        if (stopping_) return;
        stopping_ = true;
    }
    changed_.notify_all();
    if (writer_.joinable()) writer_.join();
    reader_.stop();
    keeper_.stop();
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const Clock& clock, Random& random,
                                               JournalOptions options, JournalMarks marks)
{
    EVENTYARD_TRY(log, Log::open(disk, clock, random, options, marks));
    const Sequence reserved = log->recovery().store_mismatch ? 0 : marks.reserved;
    return std::unique_ptr<Journal>(
        std::make_unique<ThreadedJournal>(std::move(log), clock, std::move(options), reserved));
}

}  // namespace eventyard::router
