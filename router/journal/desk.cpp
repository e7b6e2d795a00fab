#include "router/journal/desk.hpp"

#include <algorithm>
#include <iterator>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint64_t batch_bytes_max = 8U << 20;
constexpr Sequence reserve_stride = 1U << 16;
constexpr std::chrono::seconds mend_interval{1};

const Error no_numbers = fail(Errc::unavailable, "no sequence numbers can be reserved: state.db cannot be written");

bool any_once(const CommitUnit& unit) noexcept
{
    return std::any_of(unit.events.begin(), unit.events.end(), [](const auto& event) { return event->once.has_value(); });
}

/// The answer to a unit that is taken, or repeats what was.
Result<CommitResult> accepted(CommitUnit& unit)
{
    return CommitResult{unit.events.empty() ? 0 : unit.events.front()->sequence, unit.durability, std::move(unit.repeated)};
}

std::size_t bytes_of(const CommitUnit& unit) noexcept
{
    std::size_t sum = 0;
    for (const auto& event : unit.events) sum += static_cast<std::size_t>(frame_size_max(*event));
    return sum;
}

bool is_sound(const CommitUnit& unit) noexcept
{
    return !unit.events.empty() && std::all_of(unit.events.begin(), unit.events.end(), [](const auto& event) {
        return event && event->version && event->version->number != 0;
    });
}

}  // namespace

JournalDesk::JournalDesk(std::unique_ptr<Log> log, const Clock& clock, JournalOptions options,
                         Sequence reserved)
    : log_(std::move(log)), clock_(clock), options_(std::move(options)), reserved_(reserved)
{
    const Appender& appender = log_->appender();
    last_ = appender.last();
    former_ = appender.last();
    synced_ = log_->decided();
    disk_synced_ = appender.synced();
    look_for_space();
    count_segments();
}

void JournalDesk::submit(CommitUnit unit)
{
    const std::size_t bytes = bytes_of(unit);
    const bool sound = is_sound(unit);
    std::optional<Error> refused;
    {
        const std::lock_guard lock{mutex_};
        refused = enqueue(unit, sound, bytes);
    }
    if (!refused) wake_writer();
    else if (unit.done) unit.done(Result<CommitResult>{std::move(*refused)});
}

void JournalDesk::submit_all(std::vector<CommitUnit>& units)
{
    struct Look {
        std::size_t bytes;
        bool sound;
    };
    std::vector<Look> looks;  // before the lock: the writer and other threads want it
    looks.reserve(units.size());
    for (const CommitUnit& unit : units) looks.push_back({bytes_of(unit), is_sound(unit)});
    std::vector<std::pair<CommitUnit*, Error>> refused;
    {
        const std::lock_guard lock{mutex_};
        for (std::size_t i = 0; i < units.size(); ++i)
            if (auto error = enqueue(units[i], looks[i].sound, looks[i].bytes)) refused.emplace_back(&units[i], std::move(*error));
    }
    if (refused.size() < units.size()) wake_writer();
    for (auto& [unit, error] : refused)
        if (unit->done) unit->done(Result<CommitResult>{std::move(error)});
}

/// Under the mutex: takes the unit, or says why not and leaves it.
std::optional<Error> JournalDesk::enqueue(CommitUnit& unit, bool sound, std::size_t bytes)
{
    if (!sound) return fail(Errc::invalid, "a unit needs events of a stored routing version");
    if (stopping_) return fail(Errc::cancelled, "the journal is stopping");
    if (no_space_) {
        stats_.refused_no_space += unit.events.size();
        return fail(Errc::no_space, "less space is free than journal.min_free");
    }
    if (unreserved_) return no_numbers;
    // A unit above the limit is taken when it is alone: else it would be refused for ever.
    if (queued_bytes_ > 0 && queued_bytes_ + bytes > options_.max_queued_bytes)
        return fail(Errc::unavailable, "the journal's queue is full");
    queued_bytes_ += bytes;
    stats_.queued_bytes = queued_bytes_;
    queue_.push_back(std::move(unit));
    return std::nullopt;
}

/// Moves units into the batch, as far as size and reservation allow. False: there is nothing to do now.
bool JournalDesk::take_batch(std::vector<CommitUnit>& batch)
{
    const std::lock_guard lock{mutex_};
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
    if (!batch.empty() || queue_.empty() || stopping_)
        numbers_by_.reset();
    else if (!numbers_by_)
        numbers_by_ = clock_.steady() + options_.reserve_patience;
    return !batch.empty();
}

void JournalDesk::ask_for_reservation()
{
    std::function<void(Sequence)> reserver;
    Sequence wanted = 0;
    {
        const std::lock_guard lock{mutex_};
        if (!reserver_ || stopping_) return;
        const Sequence last = log_->appender().last();
        const Sequence first_unit = queue_.empty() ? 0 : queue_.front().events.size();
        wanted = last + std::max(reserve_stride, 2 * first_unit);
        if (reserved_ >= last + reserve_stride / 2 && reserved_ >= last + first_unit) return;
        if (asked_ > reserved_ && asked_ >= last + first_unit) return;  // the answer is on its way
        asked_ = wanted;
        reserver = reserver_;
    }
    reserver(wanted);
}

/// False: there was nothing to do.
bool JournalDesk::run_between()
{
    std::deque<Job> jobs;
    {
        const std::lock_guard lock{mutex_};
        jobs.swap(between_);
    }
    for (const Job& job : jobs) job();
    return !jobs.empty();
}

bool JournalDesk::write_turn()
{
    if (run_between()) return true;
    ask_for_reservation();
    std::vector<CommitUnit> batch;
    if (!take_batch(batch)) return false;
    commit(batch);
    return true;
}

std::optional<SteadyTime> JournalDesk::write_at() const
{
    if (failing_) return mend_next_;
    const std::lock_guard lock{mutex_};
    return numbers_by_;
}

void JournalDesk::write_late()
{
    if (failing_) mend();
    else refuse_unnumbered();
}

/// While the state cannot write there are no further numbers: what waits for them is answered in the
/// end, and what comes then is at once.
void JournalDesk::refuse_unnumbered()
{
    std::vector<CommitUnit> late;
    {
        const std::lock_guard lock{mutex_};
        if (queue_.empty() || log_->appender().last() + queue_.front().events.size() <= reserved_) return;
        unreserved_ = true;
        numbers_by_.reset();
        late.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
        queue_.clear();
        queued_bytes_ = 0;
        stats_.queued_bytes = 0;
    }
    log::error("journal", "no sequence numbers can be reserved: events are refused until state.db can be written",
               {{"refused", late.size()}});
    refuse(late, no_numbers);
}

bool JournalDesk::begin_stop()
{
    {
        const std::lock_guard lock{mutex_};
        if (std::exchange(stopping_, true)) return false;
    }
    wake_writer();
    return true;
}

bool JournalDesk::stopping() const
{
    const std::lock_guard lock{mutex_};
    return stopping_;
}

void JournalDesk::end_writing()
{
    std::vector<CommitUnit> rest;
    {
        const std::lock_guard lock{mutex_};
        rest.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
        queue_.clear();
    }
    refuse(rest, fail(Errc::cancelled, "the journal stopped before numbers were reserved"));
    (void)run_between();
    (void)log_->appender().sync();
    disk_synced_ = log_->appender().synced();
}

void JournalDesk::set_failing(bool failing)
{
    failing_ = failing;
    mend_next_ = clock_.steady() + mend_interval;
    stats_.accepting = !failing && !no_space_;
}

void JournalDesk::refuse(std::vector<CommitUnit>& batch, const Error& error)
{
    for (CommitUnit& unit : batch)
        if (unit.done) unit.done(Result<CommitResult>{error});
}

void JournalDesk::mend()
{
    mend_next_ = mend_at_ = clock_.steady() + mend_interval;
    // A full segment that found no successor has to roll before it can take anything.
    Appender& appender = log_->appender();
    if (appender.ready(appender.broken() ? 0 : options_.segment_size).has_value()) {
        log::info("journal", "the journal takes events again");
        set_failing(false);
    }
}

/// Leaves in the batch what is to be stored. A unit that holds nothing else than repetitions of what is known is
/// answered at once: what was promised needs no write to be promised again.
JournalDesk::Repetitions JournalDesk::take_repetitions(std::vector<CommitUnit>& batch)
{
    Repetitions out;
    if (std::none_of(batch.begin(), batch.end(), any_once)) return out;
    const WallTime now = clock_.wall();
    std::map<EventKey, std::shared_ptr<StoredEvent>> here;
    for (CommitUnit& unit : batch) {
        if (!any_once(unit)) continue;
        std::vector<std::shared_ptr<StoredEvent>> fresh;
        unit.repeated.reserve(unit.events.size());  // of_batch points there
        bool waits = false;
        for (std::uint32_t place = 0; place < unit.events.size(); ++place) {
            auto& event = unit.events[place];
            if (event->once) {
                const auto* const known = known_.find(event->once->key, now);
                // What was promised less then is no answer to who is promised a sync.
                if (known != nullptr && (unit.durability != Durability::fsync || known->sequence <= std::max<Sequence>(disk_synced_, former_))) {
                    unit.repeated.push_back({place, known->event, known->sequence});
                    continue;
                }
                const auto [first, added] = here.try_emplace(event->once->key, event);
                if (!added && now >= first->second->once->until) {
                    first->second = event;
                } else if (!added) {
                    unit.repeated.push_back({place, first->second->event.id, 0});
                    out.of_batch.emplace_back(&unit.repeated.back(), first->second);
                    waits = true;
                    continue;
                }
            }
            fresh.push_back(std::move(event));
        }
        unit.events = std::move(fresh);
        if (!unit.events.empty()) continue;
        if (waits) out.units.push_back(std::move(unit));
        else if (unit.done) unit.done(accepted(unit));
    }
    std::erase_if(batch, [](const CommitUnit& unit) { return unit.events.empty(); });
    return out;
}

void JournalDesk::remember(CommitBatch& batch)
{
    const WallTime now = clock_.wall();
    bool any = false;
    for (const StoredEventPtr& event : batch.events) {
        if (!event->once) continue;
        any = true;
        known_.add(known_event(*event, *event->once), event->once->keys_max, now);
    }
    if (!any) return;
    batch.forgotten = known_.take_forgotten();
    stats_.known_keys = known_.size();
    stats_.keys_forgotten_early = known_.early();
}

void JournalDesk::commit(std::vector<CommitUnit>& batch)
{
    Repetitions repetitions = take_repetitions(batch);
    if (batch.empty()) return;
    const auto refuse_all = [&](const Error& error) {
        refuse(batch, error);
        refuse(repetitions.units, error);
    };
    Appender& appender = log_->appender();
    std::uint64_t events = 0;
    std::uint64_t event_bytes = 0;
    const auto wants_sync = [](const CommitUnit& unit) { return unit.durability == Durability::fsync; };
    const bool sync = std::any_of(batch.begin(), batch.end(), wants_sync) ||
                      std::any_of(repetitions.units.begin(), repetitions.units.end(), wants_sync);
    for (const CommitUnit& unit : batch) {
        events += unit.events.size();
        for (const auto& event : unit.events) event_bytes += event->event.body.size();
    }
    if (appender.broken() && clock_.steady() < mend_at_)
        return refuse_all(fail(Errc::unavailable, "the journal's disk fails; it is tried again soon"));
    if (auto ready = appender.ready(block_size_max(batch)); !ready.has_value()) {
        mend_at_ = clock_.steady() + mend_interval;
        if (!failing_)
            log::error("journal", "no segment can be opened", {{"error", ready.error().what}});
        set_failing(true);
        const bool full = ready.error().code == Errc::no_space;
        if (full) stats_.refused_no_space += events;
        return refuse_all(fail(full ? Errc::no_space : Errc::unavailable, ready.error().what));
    }
    appender.number(batch);
    last_ = appender.last();
    for (auto& [repeated, first] : repetitions.of_batch) repeated->sequence = first->sequence;
    for (CommitUnit& unit : batch)
        if (unit.durability == Durability::memory && unit.done) unit.done(accepted(unit));

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
        return refuse_all(written.error());
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
    remember(*published);
    synced_.store(appender.last(), std::memory_order_release);
    const std::lock_guard telling{telling_};
    for (CommitUnit& unit : batch)
        if (unit.durability != Durability::memory && unit.done) unit.done(accepted(unit));
    for (CommitUnit& unit : repetitions.units)
        if (unit.done) unit.done(accepted(unit));
    std::function<void(CommitBatchPtr)> listener;
    {
        const std::lock_guard lock{mutex_};
        listener = listener_;
    }
    if (listener) listener(std::move(published));
}

void JournalDesk::read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done)
{
    request.through = std::min(request.through, synced());
    const bool posted = post_reader([this, request = std::move(request), done] {
        auto chunk = log_->reader().read_lane(request);
        ++stats_.lane_reads;
        stats_.read_bytes = log_->reader().read_bytes();
        done(std::move(chunk));
    });
    if (!posted) done(Result<LaneChunk>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::excess(ExcessRead request, std::function<void(Result<Excess>)> done)
{
    const bool posted = post_reader([this, request = std::move(request), done] { done(log_->reader().excess(request)); });
    if (!posted) done(Result<Excess>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done)
{
    const bool posted = post_reader([this, sequence, done] {
        auto event = sequence <= synced()
                         ? log_->reader().read_event(sequence)
                         : Result<StoredEventPtr>{fail(Errc::not_found, "not committed yet")};
        stats_.read_bytes = log_->reader().read_bytes();
        done(std::move(event));
    });
    if (!posted) done(Result<StoredEventPtr>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::read_events(EventsRead request, std::function<void(Result<EventChunk>)> done)
{
    request.through = std::min(request.through, synced());
    const bool posted = post_reader([this, request, done] {
        auto chunk = log_->reader().read_events(request);
        stats_.read_bytes = log_->reader().read_bytes();
        done(std::move(chunk));
    });
    if (!posted) done(Result<EventChunk>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::release(std::vector<std::string> names)
{
    (void)post_keeper([this, held = std::move(names)] {
        chores();  // what failed unused is told of by those behind it
        log_->keeper().release(held);
        count_segments();
    });
}

void JournalDesk::rewrite(std::string name,
                              std::function<bool(const StoredEvent&, std::uint32_t)> keep,
                              std::function<void(Result<void>)> done)
{
    const bool posted = post_keeper([this, name = std::move(name), keep = std::move(keep), done] {
        auto result = log_->keeper().rewrite(name, keep);
        count_segments();
        if (done) done(std::move(result));
    });
    if (!posted && done) done(Result<void>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::find(Id event, std::function<void(Result<std::vector<StoredEventPtr>>)> done)
{
    const bool posted = post_keeper([this, event, done] { done(log_->keeper().find(event)); });
    if (!posted) done(fail(Errc::cancelled, "the journal is stopping"));
}

/// First what waits to be used again goes, then what the segment being written may hold of it; so from there on it is
/// in sealed segments only.
void JournalDesk::erase(Id event, std::function<void(Result<std::uint64_t>)> done)
{
    const bool posted = post_keeper([this, event, done] {
        if (auto cleared = log_->clear_spares(); !cleared.has_value()) return done(cleared.error());
        const bool roll = log_->keeper().in_open_segment(event);
        {
            const std::lock_guard lock{mutex_};
            between_.push_back([this, event, done, roll] {
                if (auto cut = log_->appender().clear_tail(roll); !cut.has_value()) return done(cut.error());
                erase_sealed(event, done);
            });
        }
        wake_writer();
    });
    if (!posted) done(fail(Errc::cancelled, "the journal is stopping"));
}

void JournalDesk::erase_sealed(const Id& event, const std::function<void(Result<std::uint64_t>)>& done)
{
    const bool posted = post_keeper([this, event, done] {
        chores();  // seals what has just been ended
        const auto erased = log_->keeper().erase(event);
        count_segments();
        const bool told = post_reader([this, done, erased] {
            log_->reader().close_replaced();
            done(erased);
        });
        if (!told) done(erased);
    });
    if (!posted) done(fail(Errc::cancelled, "the journal is stopping"));
}

void JournalDesk::copy_to(std::string directory, std::function<void(Result<JournalCopy>)> done)
{
    const bool posted = post_keeper([this, directory = std::move(directory), done] { done(log_->keeper().copy_to(directory)); });
    if (!posted) done(Result<JournalCopy>{fail(Errc::cancelled, "the journal is stopping")});
}

void JournalDesk::chores()
{
    look_for_space();
    log_->chores(log_->room());
    count_segments();
}

void JournalDesk::look_for_space()
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

void JournalDesk::count_segments()
{
    stats_.segments = log_->segments().all().size();
    stats_.disk_bytes = log_->segments().bytes() + log_->spares().bytes();
}

}  // namespace eventyard::router
