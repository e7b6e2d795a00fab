#include "router/pipeline.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

constexpr std::chrono::seconds state_patience{10};

template <class T>
bool answered(Waits& waits, const std::future<T>& answer, Duration patience)
{
    return waits.until([&](Duration slice) { return answer.wait_for(slice) == std::future_status::ready; }, patience);
}

void log_recovery(const RecoveryReport& recovery, const StateReport& state)
{
    if (state.set_aside)
        log::warn("state", "state.db was set aside: targets without a trustworthy position deliver again from "
                           "their oldest kept event",
                  {{"why", state.why}, {"moved_to", state.moved_to}, {"lost_dead_letters", state.lost_dead_letters}});
    if (recovery.store_mismatch)
        log::warn("journal", "state.db belongs to another journal; its cursors are not used");
    for (const DamagedEvent& damaged : recovery.damaged)
        log::error("journal", "an event that was synced cannot be read any more",
                   {{"sequence", damaged.sequence}, {"deliveries", damaged.routes.size()}});
    if (recovery.lost_last > 0)
        log::error("journal", "sequences were given and answered, but are gone",
                   {{"first", recovery.lost_first}, {"last", recovery.lost_last}});
    log::info("journal", "recovered",
              {{"events", recovery.events}, {"first", recovery.first}, {"last", recovery.last}, {"torn_bytes", recovery.torn_bytes}});
}

}  // namespace

Pipeline::Makers Pipeline::threaded(Place& place)
{
    return {[&place](StateOptions options) { return State::open(place.disk, place.clock, std::move(options)); },
            [&place](JournalOptions options, JournalMarks marks) {
                return Journal::open(place.disk, place.clock, place.random, std::move(options), marks);
            }};
}

Result<void> Pipeline::open(Options options, const Makers& make)
{
    options_ = std::move(options);
    const std::string& data_dir = options_.data_dir;
    EVENTYARD_CHECK(place_.disk.make_directory(data_dir));
    auto lock = place_.disk.lock(data_dir + "/lock");
    if (!lock.has_value() && lock.error().code == Errc::conflict)
        return fail(Errc::conflict, "another eventyard uses data_dir '" + data_dir +
                                        "'; stop it, or give this one a directory of its own");
    if (!lock.has_value()) return lock.error();
    lock_ = *lock;
    EVENTYARD_TRY(state, make.state({.path = data_dir + "/state.db"}));
    state_ = std::move(state);
    const StateSnapshot& known = state_->snapshot();
    options_.journal.directory = data_dir + "/journal";
    EVENTYARD_TRY(journal,
                  make.journal(options_.journal, {known.store, known.reserved, known.synced, known.routed_through}));
    journal_ = std::move(journal);
    EVENTYARD_CHECK(state_->bind_store(journal_->recovery().store));
    log_recovery(journal_->recovery(), state_->report());

    // Before any number can be reserved, and so any event accepted: what is told of keys here is durable first.
    const auto recounted = recount();
    options_.once = nullptr;  // and with it a whole configuration
    journal_->set_reserver([this](Sequence up_to) {
        state_->submit({JournalMarked{up_to, 0}}, [this, up_to](const Result<void>& durable) {
            if (durable.has_value()) journal_->reserved(up_to);
        });
    });
    return recounted;
}

Result<void> Pipeline::recount()
{
    const StateSnapshot& snapshot = state_->snapshot();
    // Not journal_->last(), which a start raises to what was reserved: those numbers were never given.
    const Sequence last = journal_->recovery().last;
    // Segments went before anybody counted them (format 1): the audit begins here.
    if (snapshot.counted_through == 0 && journal_->oldest() > 1 && snapshot.routed_through > 0) {
        JournalCounted all{snapshot.routed_through, {}};
        for (const LedgerRow& row : snapshot.ledger) all.counts[{row.rule, row.target}] = row.routed - row.counted;
        state_->submit({std::move(all)});
    }
    KeysKnown keys = recall(snapshot.routed_through, last);
    std::vector<Change> changes;
    if (!keys.added.empty() || !keys.forgotten.empty() || !keys.gone.empty()) changes.emplace_back(std::move(keys));
    if (snapshot.routed_through < last) {
        EVENTYARD_TRY(counts, journal_->tally(snapshot.routed_through, last));
        changes.emplace_back(Routed{last, std::move(counts)});
    }
    if (!changes.empty()) state_->submit(std::move(changes));
    return {};
}

/// Lets the journal know what came before: from the state, and above what that counts from the journal itself, which has
/// to look no further back than the longest window. What cannot be read may come again, and stops no start.
KeysKnown Pipeline::recall(Sequence counted, Sequence last)
{
    KeysKnown keys;
    KnownEvents known;
    const WallTime now = place_.clock.wall();
    const auto warn = [](const Error& error) {
        log::warn("journal", "keys of earlier events cannot be read: some may be taken a second time", {{"error", error.what}});
    };
    // Who sends again what the journal has lost is not to be told that it is there.
    const RecoveryReport& recovery = journal_->recovery();
    if (recovery.lost_last > 0) keys.gone.emplace_back(recovery.lost_first, recovery.lost_last);
    for (const DamagedEvent& damaged : recovery.damaged) keys.gone.emplace_back(damaged.sequence, damaged.sequence);
    const auto is_gone = [&](Sequence sequence) {
        return std::any_of(keys.gone.begin(), keys.gone.end(),
                           [&](const auto& range) { return sequence >= range.first && sequence <= range.second; });
    };
    if (const auto stored = state_->known_events(); !stored.has_value()) {
        warn(stored.error());
    } else {
        for (const KnownEvent& one : *stored)
            if (!is_gone(one.sequence)) known.add(one, UINT32_MAX, now);
    }
    if (options_.once) {
        const std::vector<SegmentInfo> segments = journal_->segments();
        for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
            if (segment->last == 0) continue;  // nothing in it yet
            if (segment->last <= counted) break;
            std::optional<WallTime> received;
            (void)journal_->visit_events(segment->first - 1, segment->first, [&](const StoredEvent& event) { received = event.event.received; });
            if (received && *received + options_.once_longest < now) counted = std::max(counted, segment->first - 1);
        }
        const auto read = journal_->visit_events(counted, last, [&](const StoredEvent& event) {
            const auto once = options_.once(event);
            if (!once) return;
            keys.added.push_back(known_event(event, *once));
            known.add(keys.added.back(), once->keys_max, now);
        });
        if (!read.has_value()) warn(read.error());
    }
    keys.forgotten = known.take_forgotten();
    if (known.size() > 0) log::info("journal", "keys of earlier events are known", {{"keys", known.size()}, {"read_again", keys.added.size()}});
    journal_->know(std::move(known));
    return keys;
}

Result<void> Pipeline::start(const std::vector<TargetSpec>& specs)
{
    engine_ = std::make_unique<Engine>(place_.io, *journal_, *state_, place_.clock, place_.random, place_.waits,
                                       options_.engine);
    EVENTYARD_CHECK(engine_->start(specs, state_->snapshot()));
    journal_->set_listener([this](CommitBatchPtr batch) {
        engine_->on_commit(batch);
        told_.push_back(std::move(batch));
        place_.control([this] { between_commits([] {}); });
    });
    release_ = std::make_unique<SegmentRelease>(*journal_, *state_, options_.release);
    return {};
}

Result<RoutingVersionPtr> Pipeline::prepare(const std::vector<TargetSpec>& specs, const RoutingVersion& version)
{
    if (state_->stats().failing)
        return fail(Errc::unavailable, std::string{why_failing(state_->stats())} + "; a reload needs it");
    EVENTYARD_CHECK(engine_->can_replace(specs));
    EVENTYARD_TRY(stored, journal_->store_version(version));
    auto prepared = std::make_shared<std::promise<Result<void>>>();
    auto outcome = prepared->get_future();
    engine_->prepare(specs, [prepared](Result<void> result) { prepared->set_value(std::move(result)); });
    // The main thread waits here, and SIGTERM behind it: not for ever.
    if (!answered(place_.waits, outcome, state_patience)) {
        engine_->abandon();
        return fail(Errc::unavailable, "state.db could not be written in time, and a reload needs it; see the log");
    }
    EVENTYARD_CHECK(outcome.get());
    return stored;
}

void Pipeline::between_commits(const std::function<void()>& mark)
{
    std::vector<CommitBatchPtr> told;
    journal_->between_commits([&] {
        mark();
        told.swap(told_);
    });
    for (const CommitBatchPtr& batch : told) {
        routed_.add(*batch);
        for (const StoredEventPtr& event : batch->events)
            if (event->once) keys_.added.push_back(known_event(*event, *event->once));
        keys_.forgotten.insert(keys_.forgotten.end(), batch->forgotten.begin(), batch->forgotten.end());
    }
}

void Pipeline::hand_over_totals()
{
    std::vector<Change> changes;
    // In one transaction: above what is counted a start takes the keys from the journal.
    if (!keys_.added.empty() || !keys_.forgotten.empty()) changes.emplace_back(std::exchange(keys_, {}));
    if (Routed routed = routed_.take(); routed.through > 0) changes.emplace_back(std::move(routed));
    if (const Sequence synced = journal_->disk_synced(); synced > synced_told_) {
        synced_told_ = synced;
        changes.emplace_back(JournalMarked{0, synced});
    }
    if (!changes.empty()) state_->submit(std::move(changes));
}

void Pipeline::stop_lanes(Duration grace)
{
    if (engine_) {
        // A disk that refuses must not hold the process for ever: what is not durable is sent again.
        auto ended = std::make_shared<std::promise<void>>();
        const auto all = ended->get_future();
        engine_->stop(grace, [ended] { ended->set_value(); });
        if (!answered(place_.waits, all, grace + state_patience))
            log::error("state", "the last settlements could not be stored; their deliveries go out again");
    }
    if (journal_) journal_->stop();
}

void Pipeline::stop_state()
{
    if (engine_) hand_over_totals();
    if (state_) state_->stop();
}

}  // namespace eventyard::router
