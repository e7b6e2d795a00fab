#include "router/delivery/lane.hpp"

#include <algorithm>
#include <utility>

#include "core/rfc3339.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router {
namespace {

constexpr Duration look_for_drained = std::chrono::milliseconds{50};

}  // namespace

Lane::Lane(LaneStart start, LaneLimits limits, Random& random)
    : target_(std::move(start.target)), limits_(limits), random_(random), ages_(start.ages),
      doubtful_(start.doubtful),
      window_(limits.window, std::move(start.window)), schedule_(limits.retries, start.retries - start.held),
      keys_(start.parked), paused_(std::move(start.paused)), drain_through_(start.drain_through),
      drain_reason_(std::move(start.drain_reason)), drain_later_(start.drain_later), held_(start.held), delayed_(start.delayed)
{
    forwards_.look();
}

void Lane::configure(const LaneSettings* settings)
{
    configured_ = settings != nullptr;
    if (!settings) return budget_.configure({});  // an orphan gets nothing new
    const BatchPolicy before = settings_.batch;
    settings_ = *settings;
    if (settings_.order.order == Order::strict) {
        settings_.concurrency = 1;
        settings_.batch = {};
    }
    if (!(settings_.batch == before)) remake_ = true;
    health_.configure(settings_.breaker);
    budget_.configure(settings_.budget);
}

// --- Starting ---------------------------------------------------------------------------------------

/// Four sources take turns. While others wait, retries and copies get at most half of the places,
/// since they are more likely to be slow.
Lane::Work Lane::choose(const Now& now) const noexcept
{
    const bool strict = settings_.order.order == Order::strict;
    const bool fresh = window_.can_start_fresh() ||
                       (window_.can_start() && !beyond_drain() && !parked_full() && (!strict || schedule_.waiting() == 0));
    const std::uint32_t half = std::max(1U, settings_.concurrency * settings_.batch.max_events / 2);
    const bool retry = schedule_.due(now.steady) && (!fresh || retries_in_flight_ < half) && !(retry_waits_ && gathering_);
    if (retry && retry_waits_) return Work::retry;
    const bool key = keys_.ready() && now.steady >= read_not_before_;
    const bool forward = forwards_.ready() && (!fresh || forwards_in_flight_ < half);
    const std::array<std::pair<Work, bool>, 4> sources{
        {{Work::retry, retry}, {Work::fresh, fresh}, {Work::forward, forward}, {Work::key, key}}};
    for (std::size_t i = 0; i < sources.size(); ++i)
        if (const auto& [work, ready] = sources[(turn_ + i) % sources.size()]; ready) return work;
    return Work::none;
}

bool Lane::down(const Now& now) const noexcept
{
    const auto probe_at = health_.wake_at();
    return health_.open() && probe_at && now.steady < *probe_at;
}

void Lane::pump(const Now& now, std::uint32_t room, Todo& todo, TokenBucket* bucket)
{
    token_at_.reset();
    if (stopping_) return;
    pace_.note(now.steady, came_, pending().sum());
    end_drain(now, todo);
    const bool fair = settings_.catch_up == CatchUp::fair && settings_.order.order == Order::none;
    window_.serve_fresh(fair && sends() && !down(now) && !drain_through_);
    if (!sends() || remake_ || !health_.may_start(now.steady, 0)) withdraw(now, todo);
    end_overdue(now, todo);
    if (settings_.budget.bytes > 0) tend_budget(now, todo);
    if (now.steady >= read_not_before_) {
        todo.lane = window_.want_read(now.seen);
        todo.rows = schedule_.want_read();
        if (sends()) todo.forwards = forwards_.want_read(now.steady);
    }
    if (!sends() || now.steady < hold_until_) return;
    if (gathering_ && full(batches_[*gathering_])) close_batch(*gathering_);  // by bodies that were read since
    send_ready(now, room, bucket, todo);
    // What is too large to be sent becomes a dead letter here, which may be what pauses the target.
    while (sends() && room_for_letters() && rendered_ < limits_.rendered_max && (gathering_ || (room > 0 && place(now)))) {
        const Work work = choose(now);
        if (work == Work::none) {
            if (!gathering_ || !retry_waits_) break;
            close_batch(*gathering_);
            send_ready(now, room, bucket, todo);
            continue;
        }
        if (bucket && !bucket->allows(now.steady)) {
            token_at_ = bucket->next();
            break;
        }
        bool attempted = true;
        const bool gathered = gathering_.has_value();
        switch (work) {
            case Work::none: break;
            case Work::retry: attempted = start_retry(now, todo); break;
            case Work::fresh: attempted = start_fresh(now, todo); break;
            case Work::forward: attempted = start_forward(now); break;
            case Work::key: attempted = start_key(now, todo); break;
        }
        if (attempted && bucket) bucket->take(now.steady);
        const bool did_not_fit = gathered && !gathering_ && !attempted;  // it begins the next batch
        if (gathering_ && full(batches_[*gathering_])) close_batch(*gathering_);
        send_ready(now, room, bucket, todo);
        const std::uint8_t turn = work == Work::retry ? 0 : work == Work::fresh ? 1 : work == Work::forward ? 2 : 3;
        if (did_not_fit && work == Work::fresh) fresh_turn_ = !fresh_turn_;
        turn_ = did_not_fit ? turn : static_cast<std::uint8_t>((turn + 1) % 4);
    }
    if (gathering_ && now.steady >= batches_[*gathering_].since + settings_.batch.max_wait) {
        close_batch(*gathering_);
        send_ready(now, room, bucket, todo);
    }
    if (parked_full() && window_.can_start())
        if (const auto count = full_log_.count(now.steady))
            todo.notes.push_back({Note::What::parked_full, count, std::to_string(keys_.parked())});
    // What was started may have made room for the next read.
    if (!todo.rows && now.steady >= read_not_before_) todo.rows = schedule_.want_read();
}

/// Joins the batch that is gathering, or begins one.
std::uint32_t Lane::open_flight(const Now& now, Work work)
{
    if (!gathering_) {
        gather(now);
        Batch& batch = batches_[*gathering_];
        batch.probe = health_.started();
        batch.limit = batch.probe ? 1 : settings_.batch.max_events;
    }
    if (free_flights_.empty()) {
        free_flights_.push_back(static_cast<std::uint32_t>(flights_.size()));
        flights_.emplace_back();
    }
    const std::uint32_t ticket = free_flights_.back();
    free_flights_.pop_back();
    Flight& flight = flights_[ticket];
    flight.work = work;
    flight.batch = *gathering_;
    batches_[flight.batch].flights.push_back(ticket);
    ++batches_[flight.batch].incomplete;
    ++in_flight_;
    if (work == Work::fresh) ++fresh_in_flight_;
    if (work == Work::retry) ++retries_in_flight_;
    if (work == Work::forward) ++forwards_in_flight_;
    return ticket;
}

void Lane::close_flight(std::uint32_t ticket)
{
    const Flight flight = std::exchange(flights_[ticket], {});
    free_flights_.push_back(ticket);
    --in_flight_;
    if (flight.unread) --unread_;
    if (flight.sent) rendered_ -= flight.sent->body.size();
    if (flight.work == Work::fresh) --fresh_in_flight_;
    if (flight.work == Work::retry) --retries_in_flight_;
    if (flight.work == Work::forward) --forwards_in_flight_;
}

/// Takes the next delivery of the window. @param ahead  one of those that need not wait for what is on disk
Lane::Flight Lane::take_fresh(bool ahead)
{
    Flight flight;
    flight.work = Work::fresh;
    const auto started = ahead ? window_.start_fresh() : window_.start();
    flight.slot = started.slot;
    flight.event = started.event;
    flight.route = started.route;
    return flight;
}

bool Lane::start_fresh(const Now& now, Todo& todo)
{
    // A target that is behind gets old and new deliveries in turn: who sends now is not to wait for all that waits.
    const bool ahead = window_.can_start_fresh() && (fresh_turn_ || !window_.can_start());
    fresh_turn_ = !ahead;
    Flight flight = take_fresh(ahead);
    if (settings_.order.order == Order::key) {
        flight.order_key = order_key_of(*flight.event, flight.route);
        if (!flight.order_key.empty() && !in_turn(now, flight, todo)) return false;
    }
    return start_waiting(now, std::move(flight), todo);
}

/// A delivery of the window whose turn it is.
bool Lane::start_waiting(const Now& now, Flight flight, Todo& todo)
{
    if (is_erased(flight.event->event)) {
        discard(now, flight, todo);
        return false;
    }
    const RouteExtras* const extras = extras_of(flight);
    if (extras != nullptr) {  // few have any: the others cost nothing here
        const RetryRow row = row_of(flight);
        if (expired(now, row.received, row.expires)) {
            expire(now, flight, todo);
            return false;
        }
        if (delay(now, flight, todo)) return false;
    }
    return attempt(now, std::move(flight), extras, todo);
}

const RouteExtras* Lane::extras_of(const Flight& flight)
{
    const StoredEvent& stored = *flight.event;
    return stored.version->routes.extras(stored.routes[flight.route]);
}

/// From acceptance to when it may first be sent: by its rule, or by what the event itself says, whichever is later.
Duration Lane::wait_of(const Event& event, const RouteExtras& extras)
{
    constexpr Duration longest = std::chrono::hours{24 * 365};  // as of `delay`: it may be a mistake
    if (extras.deliver_at.empty()) return extras.delay;
    const std::string value = path_of(extras.deliver_at).of(event, scratch_);
    if (value.size() < 2 || value.front() != '"') return extras.delay;
    const auto at = parse_rfc3339(std::string_view(value).substr(1, value.size() - 2));
    if (!at || *at <= event.received) return extras.delay;
    return std::max(extras.delay, std::min(longest, Duration{*at - event.received}));
}

/// Puts off what is to be sent later. False: its time has come.
bool Lane::delay(const Now& now, Flight& flight, Todo& todo)
{
    const StoredEvent& stored = *flight.event;
    const RouteExtras* const extras = extras_of(flight);
    const Duration wait = extras ? wait_of(stored.event, *extras) : Duration{0};
    if (wait <= Duration{0}) return false;
    const Duration left = wait - ages_.age(stored.event.received, now.steady, now.wall);
    if (left <= Duration{0}) return false;
    RetryRow row = row_of(flight);
    row.due = to_milliseconds(now.wall + left);
    row.delay = left;
    row.received = stored.event.received + wait;  // max_age counts from when it may first be sent
    if (!flight.order_key.empty()) hold_all(flight.order_key, keys_.park(flight.order_key), todo);
    if (flight.work == Work::fresh) window_.settle(flight.slot);
    ++delayed_;
    schedule_.add(row, now.steady + left);
    keep(std::move(row), std::nullopt, todo);
    return true;
}

/// False: it is too much for the batch that was gathering, and goes with the next; or it has ended.
bool Lane::attempt(const Now& now, Flight flight, const RouteExtras* extras, Todo& todo)
{
    if (!shape(now, flight, extras, todo)) return false;
    if (!fits(size_of(flight))) {
        give_back(now, flight, Duration{0}, todo);
        close_batch(*gathering_);
        return false;
    }
    const std::uint32_t ticket = open_flight(now, Work::fresh);
    flight.batch = flights_[ticket].batch;
    if (flight.sent) rendered_ += flight.sent->body.size();
    flights_[ticket] = std::move(flight);
    complete(ticket);
    return true;
}

bool Lane::start_retry(const Now& now, Todo& todo)
{
    RetryRow row = *schedule_.take(now.steady);
    retry_waits_ = gathering_ && batches_[*gathering_].flights.size() >= limit_of(row);
    if (retry_waits_) {  // it goes with fewer others, and begins the next batch
        schedule_.put_back(std::move(row), now.steady);
        return false;
    }
    if (row.delayed()) --delayed_;
    if (expired(now, row.received, row.expires)) {
        Flight flight;
        flight.work = Work::retry;
        take_row(std::move(row), flight);
        expire(now, flight, todo);
        return false;
    }
    const std::uint32_t limit = limit_of(row);
    const std::uint32_t ticket = open_flight(now, Work::retry);
    Flight& flight = flights_[ticket];
    batches_[flight.batch].limit = std::min(batches_[flight.batch].limit, limit);
    take_row(std::move(row), flight);
    todo.events.push_back({ticket, flight.row.key.sequence, flight.row.letter});
    return true;
}

void Lane::take_row(RetryRow row, Flight& flight)
{
    flight.row = std::move(row);
    flight.route = flight.row.key.route;
    flight.order_key = flight.row.order_key;
}

/// The next of a key whose former first has ended: from memory, or a row that is to be read.
bool Lane::start_key(const Now& now, Todo& todo)
{
    auto next = keys_.take();
    if (!next) return false;
    if (next->waiting) {
        Flight flight;
        flight.work = Work::fresh;
        flight.slot = next->waiting->slot;
        flight.route = next->waiting->route;
        flight.event = std::move(next->waiting->event);
        flight.order_key = std::move(next->key);
        return start_waiting(now, std::move(flight), todo);
    }
    const std::uint32_t ticket = open_flight(now, Work::retry);
    Flight& flight = flights_[ticket];
    flight.unread = true;
    ++unread_;
    flight.order_key = next->key;
    todo.keys.push_back({ticket, std::move(next->key)});
    return true;
}

bool Lane::start_forward(const Now& now)
{
    Forwards::Letter letter = forwards_.take();
    if (!fits(letter->body.size())) {
        forwards_.put_back(std::move(letter));
        close_batch(*gathering_);
        return false;
    }
    const std::uint32_t ticket = open_flight(now, Work::forward);
    flights_[ticket].letter = std::move(letter);
    complete(ticket);
    return true;
}

Attempt Lane::attempt_of(std::uint32_t ticket) const
{
    const Flight& flight = flights_[ticket];
    Attempt attempt;
    if (flight.work == Work::forward) {
        const DeadLetter& letter = *flight.letter;
        struct Copy {
            Forwards::Letter letter;
            Event event;
        };
        const auto copy = std::make_shared<const Copy>(
            Copy{flight.letter, Event{letter.event, letter.received, letter.format, letter.bus, letter.body}});
        attempt.id = letter.delivery_id;
        attempt.rule = plain_rule(letter.rule);
        attempt.replay_of = replayed_delivery_id(letter.event, letter.rule, letter.addressee());
        attempt.target = letter.target;
        attempt.event = std::shared_ptr<const Event>(copy, &copy->event);
        attempt.sequence = letter.key.sequence;
        return attempt;
    }
    const std::string_view rule = rule_of(flight);
    attempt.rule = plain_rule(rule);
    attempt.target = addressee_of(flight);
    attempt.id = stored_delivery_id(flight.event->event.id, rule, attempt.target);
    attempt.replay_of = replayed_delivery_id(flight.event->event.id, rule, attempt.target);
    attempt.event = flight.sent ? flight.sent : std::shared_ptr<const Event>(flight.event, &flight.event->event);
    attempt.sequence = flight.event->sequence;
    attempt.number = number_of(flight);
    return attempt;
}

/// Of its attempt, over redrives. A row of one that was delayed, held or moved may have had none.
std::uint32_t Lane::number_of(const Flight& flight)
{
    return flight.work == Work::retry ? flight.row.earlier + flight.row.attempts + 1 : 1;
}

std::string_view Lane::rule_of(const Flight& flight) const
{
    if (!flight.event) return flight.row.rule;
    const StoredEvent& stored = *flight.event;
    return stored.version->routes[stored.routes[flight.route]].rule;
}

/// The target that its rule named.
const std::string& Lane::addressee_of(const Flight& flight) const
{
    return flight.row.routed_to.empty() ? target_ : flight.row.routed_to;
}

DeliveryKey Lane::key_of(const Flight& flight) const
{
    return flight.work == Work::retry ? flight.row.key : DeliveryKey{flight.event->sequence, flight.route};
}

/// What the state is to keep of it, as it stands.
RetryRow Lane::row_of(const Flight& flight) const
{
    if (flight.work == Work::retry) return flight.row;
    const StoredEvent& stored = *flight.event;
    RetryRow row;
    row.target = target_;
    row.key = key_of(flight);
    row.rule = rule_of(flight);
    row.event = stored.event.id;
    row.received = stored.event.received;
    row.order_key = flight.order_key;
    const RouteExtras* const extras = extras_of(flight);
    if (extras && extras->expire_after > Duration{0}) row.expires = stored.event.received + extras->expire_after;
    return row;
}

void Lane::keep(RetryRow row, std::optional<AttemptRecord> attempt, Todo& todo)
{
    if (watchers_ > 0) touched_.insert(row.key);
    todo.changes.emplace_back(Retrying{std::move(row), std::move(attempt)});
    ++uncommitted_;
    ++unflushed_.count;
}

// --- Operators --------------------------------------------------------------------------------------

void Lane::pause(std::string reason, Todo& todo, Note::What what)
{
    if (reason.empty()) reason = "paused";
    if (paused_ == reason) return;
    paused_ = std::move(reason);
    drain_through_.reset();
    todo.changes.emplace_back(TargetPaused{target_, paused_});
    todo.notes.push_back({what, 0, paused_});
}

void Lane::resume(Todo& todo)
{
    if (paused_.empty() && !drain_through_) return;
    paused_.clear();
    drain_through_.reset();
    health_.reset();
    todo.changes.emplace_back(TargetPaused{target_, {}});
    todo.notes.push_back({Note::What::resumed, 0, {}});
}

void Lane::retry_now(const Now& now)
{
    schedule_.hurry(now.steady, now.wall);
    forwards_.hurry(now.steady);
    health_.reset();
}

void Lane::redrive(const Now& now, std::vector<RetryRow> rows, Todo& todo)
{
    for (RetryRow& row : rows) {
        row.attempts = 0;
        row.due = to_milliseconds(now.wall);
        row.delay = Duration{0};
        row.received = now.wall;
        row.expires = WallTime::max();
        if (watchers_ > 0) touched_.insert(row.key);
        todo.changes.emplace_back(Redriven{row});
        schedule_.add(std::move(row), now.steady);
        ++came_;
        budget_.unsure();
        ++uncommitted_;
        ++unflushed_.count;
    }
}

void Lane::stop(const Now& now, Todo& todo)
{
    stopping_ = true;
    withdraw(now, todo);
}

// --- What is so -------------------------------------------------------------------------------------

std::optional<SteadyTime> Lane::wake_at(const Now& now) const
{
    if (stopping_) return std::nullopt;
    std::optional<SteadyTime> wake;
    const auto at = [&](std::optional<SteadyTime> time) {
        if (time && *time > now.steady && (!wake || *time < *wake)) wake = time;
    };
    if (read_not_before_ != SteadyTime{}) at(read_not_before_);
    at(overdue_at_);
    if (drain_through_ && configured_ && drain_left() == 0) at(now.steady + look_for_drained);  // others' commits move it to its mark
    if (settings_.budget.bytes > 0) at(budget_.wake_at());
    if (!sends()) return wake;
    at(token_at_);
    if (gathering_) at(batches_[*gathering_].since + settings_.batch.max_wait);
    if (hold_until_ != SteadyTime{}) at(hold_until_);
    at(health_.wake_at());
    at(forwards_.wake_at());
    at(schedule_.next_due());
    return wake;
}

CursorMoved Lane::position(const Now& now) const
{
    return {target_, window_.cursor(now.seen), window_.settled(now.seen)};
}

Pending Lane::pending() const noexcept
{
    return {window_.waiting() + keys_.waiting(),
            static_cast<std::uint64_t>(fresh_in_flight_) + retries_in_flight_ - unread_,
            schedule_.waiting() - delayed_, delayed_, held_};
}

Forecast Lane::outlook(const Now& now) const
{
    Outlook outlook;
    outlook.pending = pending().sum();
    outlook.rates = pace_.rates(now.steady, came_, outlook.pending);
    outlook.used = budget_.used();
    if (budget_.budget().overflow == Overflow::dead_letter_oldest) outlook.budget = budget_.budget().bytes;
    outlook.mean = budget_.mean();
    std::optional<WallTime> received;
    std::uint32_t route = 0;
    if (const StoredEvent* const first = window_.oldest(route)) {
        received = first->event.received;
        const RouteExtras* const extras = first->version->routes.extras(first->routes[route]);
        if (extras && extras->expire_after > Duration{0})
            outlook.expiry = extras->expire_after - ages_.age(*received, now.steady, now.wall);
    }
    if (const RetryRow* const row = schedule_.oldest(); row && (!received || row->received < *received)) {
        received = row->received;
        outlook.expiry.reset();
        if (row->expires != WallTime::max())
            outlook.expiry = row->expires - row->received - ages_.age(row->received, now.steady, now.wall);
    }
    if (received && configured_ && (health_.open() || !paused_.empty())) outlook.max_age = settings_.retry.max_age - ages_.age(*received, now.steady, now.wall);
    return forecast(outlook);
}

Breaker Lane::breaker() const noexcept
{
    if (health_.open()) return health_.probing() ? Breaker::half_open : Breaker::open;
    const auto ramp = health_.ramp();
    return ramp && *ramp < settings_.concurrency ? Breaker::ramping : Breaker::closed;
}

const char* text_of(Breaker breaker) noexcept
{
    switch (breaker) {
        case Breaker::closed: return "closed";
        case Breaker::open: return "open";
        case Breaker::half_open: return "half-open";
        case Breaker::ramping: break;
    }
    return "ramping";
}

}  // namespace eventyard::router
