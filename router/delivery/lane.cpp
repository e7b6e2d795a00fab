#include "router/delivery/lane.hpp"

#include <algorithm>
#include <utility>

#include "core/ids.hpp"

namespace eventyard::router {
namespace {

using targets::Cause;
using targets::Outcome;
using targets::Verdict;

constexpr Duration pause_after_internal = std::chrono::seconds{1};
constexpr Duration pause_after_failed_read = std::chrono::seconds{1};

/// The state keeps milliseconds; a finer due time would not compare equal after a read.
WallTime to_milliseconds(WallTime time) noexcept
{
    return std::chrono::time_point_cast<Duration>(
        std::chrono::floor<std::chrono::milliseconds>(time));
}

AttemptRecord record_of(WallTime at, const Outcome& outcome)
{
    return {at, outcome.status, text_of(outcome.cause), outcome.detail, outcome.response, outcome.latency};
}

const char* final_reason(Cause cause) noexcept
{
    switch (cause) {
        case Cause::status: return "final_status";
        case Cause::too_large: return "too_large";
        default: return "rejected";
    }
}

std::string in_words(const Outcome& outcome)
{
    return outcome.detail.empty() ? std::string{text_of(outcome.cause)} : outcome.detail;
}

}  // namespace

Lane::Lane(LaneStart start, LaneLimits limits, Random& random)
    : target_(std::move(start.target)), limits_(limits), random_(random), ages_(start.ages),
      doubtful_(start.doubtful),
      window_(limits.window, std::move(start.window)), schedule_(limits.retries, start.retries - start.held),
      keys_(start.parked), paused_(std::move(start.paused)), held_(start.held), delayed_(start.delayed)
{
    forwards_.look();
}

void Lane::configure(const LaneSettings* settings)
{
    configured_ = settings != nullptr;
    if (!settings) return;
    settings_ = *settings;
    if (settings_.order.order == Order::strict) settings_.concurrency = 1;
    health_.configure(settings_.breaker);
}

// --- Starting ---------------------------------------------------------------------------------------

bool Lane::capacity(std::uint32_t started, std::uint32_t room) const noexcept
{
    return started < room && in_flight_ < settings_.concurrency &&
           uncommitted_ + in_flight_ < limits_.uncommitted_max && uncommitted_bytes_ < limits_.letter_bytes_max;
}

/// Four sources take turns. While others wait, retries and copies get at most half of the places,
/// since they are more likely to be slow.
Lane::Work Lane::choose(const Now& now) const noexcept
{
    const bool strict = settings_.order.order == Order::strict;
    const bool fresh = window_.can_start() && !parked_full() && (!strict || schedule_.waiting() == 0);
    const std::uint32_t half = std::max(1U, settings_.concurrency / 2);
    const bool retry = schedule_.due(now.steady) && (!fresh || retries_in_flight_ < half);
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
    end_overdue(now, todo);
    if (now.steady >= read_not_before_) {
        todo.lane = window_.want_read(now.seen);
        todo.rows = schedule_.want_read();
        if (sends()) todo.forwards = forwards_.want_read(now.steady);
    }
    if (!sends() || now.steady < hold_until_) return;
    std::uint32_t started = 0;
    while (capacity(started, room) && health_.may_start(now.steady, in_flight_)) {
        const Work work = choose(now);
        if (work == Work::none) break;
        if (bucket && !bucket->allows(now.steady)) {
            token_at_ = bucket->next();
            break;
        }
        bool attempted = true;
        switch (work) {
            case Work::none: break;
            case Work::retry: attempted = start_retry(now, todo); break;
            case Work::fresh: attempted = start_fresh(now, todo); break;
            case Work::forward: start_forward(todo); break;
            case Work::key: attempted = start_key(now, todo); break;
        }
        if (attempted) {
            ++started;
            if (bucket) bucket->take(now.steady);
        }
        turn_ = static_cast<std::uint8_t>(work == Work::retry     ? 1
                                          : work == Work::fresh   ? 2
                                          : work == Work::forward ? 3
                                                                  : 0);
    }
    if (parked_full() && window_.can_start())
        if (const auto count = full_log_.count(now.steady))
            todo.notes.push_back({Note::What::parked_full, count, std::to_string(keys_.parked())});
    // What was started may have made room for the next read.
    if (!todo.rows && now.steady >= read_not_before_) todo.rows = schedule_.want_read();
}

std::uint32_t Lane::open_flight(Work work)
{
    if (free_flights_.empty()) {
        free_flights_.push_back(static_cast<std::uint32_t>(flights_.size()));
        flights_.emplace_back();
    }
    const std::uint32_t ticket = free_flights_.back();
    free_flights_.pop_back();
    Flight& flight = flights_[ticket];
    flight.work = work;
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
    if (flight.work == Work::fresh) --fresh_in_flight_;
    if (flight.work == Work::retry) --retries_in_flight_;
    if (flight.work == Work::forward) --forwards_in_flight_;
}

bool Lane::start_fresh(const Now& now, Todo& todo)
{
    Flight flight;
    flight.work = Work::fresh;
    const auto started = window_.start();
    flight.slot = started.slot;
    flight.event = started.event;
    flight.route = started.route;
    if (settings_.order.order == Order::key) {
        flight.order_key = order_key_of(*flight.event, flight.route);
        if (!flight.order_key.empty() && !in_turn(flight, todo)) return false;
    }
    return start_waiting(now, std::move(flight), todo);
}

/// A delivery of the window whose turn it is.
bool Lane::start_waiting(const Now& now, Flight flight, Todo& todo)
{
    const RetryRow row = row_of(flight);
    if (expired(now, row.received, row.expires)) {
        expire(now, flight, todo);
        return false;
    }
    if (delay(now, flight, todo)) return false;
    attempt(std::move(flight), todo);
    return true;
}

/// Puts off what its rule wants sent later. False: its time has come.
bool Lane::delay(const Now& now, Flight& flight, Todo& todo)
{
    const StoredEvent& stored = *flight.event;
    const RouteExtras* const extras = stored.version->routes.extras(stored.routes[flight.route]);
    if (!extras || extras->delay <= Duration{0}) return false;
    const Duration left = extras->delay - ages_.age(stored.event.received, now.steady, now.wall);
    if (left <= Duration{0}) return false;
    RetryRow row = row_of(flight);
    row.due = to_milliseconds(now.wall + left);
    row.delay = left;
    row.received = stored.event.received + extras->delay;  // max_age counts from when it may first be sent
    if (!flight.order_key.empty()) hold_all(flight.order_key, keys_.park(flight.order_key), todo);
    if (flight.work == Work::fresh) window_.settle(flight.slot);
    ++delayed_;
    schedule_.add(row, now.steady + left);
    keep(std::move(row), std::nullopt, todo);
    return true;
}

void Lane::attempt(Flight flight, Todo& todo)
{
    const std::uint32_t ticket = open_flight(Work::fresh);
    flight.probe = health_.started();
    flights_[ticket] = std::move(flight);
    todo.attempts.push_back(attempt_of(ticket));
}

bool Lane::start_retry(const Now& now, Todo& todo)
{
    RetryRow row = *schedule_.take(now.steady);
    if (row.delayed()) --delayed_;
    if (expired(now, row.received, row.expires)) {
        Flight flight;
        flight.work = Work::retry;
        take_row(std::move(row), flight);
        expire(now, flight, todo);
        return false;
    }
    const std::uint32_t ticket = open_flight(Work::retry);
    Flight& flight = flights_[ticket];
    flight.probe = health_.started();
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
    const std::uint32_t ticket = open_flight(Work::retry);
    Flight& flight = flights_[ticket];
    flight.probe = health_.started();
    flight.unread = true;
    ++unread_;
    flight.order_key = next->key;
    todo.keys.push_back({ticket, std::move(next->key)});
    return true;
}

void Lane::start_forward(Todo& todo)
{
    const std::uint32_t ticket = open_flight(Work::forward);
    flights_[ticket].probe = health_.started();
    flights_[ticket].letter = forwards_.take();
    todo.attempts.push_back(attempt_of(ticket));
}

Attempt Lane::attempt_of(std::uint32_t ticket) const
{
    const Flight& flight = flights_[ticket];
    Attempt attempt;
    attempt.ticket = ticket;
    if (flight.work == Work::forward) {
        const DeadLetter& letter = *flight.letter;
        struct Copy {
            Forwards::Letter letter;
            Event event;
        };
        const auto copy = std::make_shared<const Copy>(
            Copy{flight.letter, Event{letter.event, letter.received, letter.format, letter.bus, letter.body}});
        attempt.id = letter.delivery_id;
        attempt.rule = letter.rule;
        attempt.target = letter.target;
        attempt.event = std::shared_ptr<const Event>(copy, &copy->event);
        attempt.sequence = letter.key.sequence;
        return attempt;
    }
    attempt.rule = rule_of(flight);
    attempt.target = target_;
    attempt.id = delivery_id(flight.event->event.id, attempt.rule, target_);
    attempt.event = std::shared_ptr<const Event>(flight.event, &flight.event->event);
    attempt.sequence = flight.event->sequence;
    attempt.number = flight.work == Work::retry ? flight.row.earlier + flight.row.attempts + 1 : 1;
    return attempt;
}

std::string_view Lane::rule_of(const Flight& flight) const
{
    if (!flight.event) return flight.row.rule;
    const StoredEvent& stored = *flight.event;
    return stored.version->routes[stored.routes[flight.route]].rule;
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
    const RouteExtras* const extras = stored.version->routes.extras(stored.routes[flight.route]);
    if (extras && extras->expire_after > Duration{0}) row.expires = stored.event.received + extras->expire_after;
    return row;
}

void Lane::keep(RetryRow row, std::optional<AttemptRecord> attempt, Todo& todo)
{
    todo.changes.emplace_back(Retrying{std::move(row), std::move(attempt)});
    ++uncommitted_;
    ++unflushed_.count;
}

// --- Answers ----------------------------------------------------------------------------------------

void Lane::on_chunk(const Now& now, Result<LaneChunk> chunk, Todo& todo)
{
    if (!chunk.has_value()) {
        window_.read_failed();
        read_not_before_ = now.steady + pause_after_failed_read;
        if (const auto count = read_log_.count(now.steady))
            todo.notes.push_back({Note::What::read_failed, count, chunk.error().what});
        return;
    }
    auto damaged = window_.took(std::move(*chunk), now.seen);
    if (window_.stuck()) read_not_before_ = now.steady + pause_after_failed_read;
    for (DamagedDelivery& one : damaged) {
        todo.changes.emplace_back(
            Ended{target_, one.key, std::move(one.rule), Ending::damaged, std::nullopt, std::nullopt});
        ++counters_.damaged;
        ++uncommitted_;
        ++unflushed_.count;
    }
    if (!damaged.empty()) todo.notes.push_back({Note::What::damaged, damaged.size(), {}});
}

void Lane::on_event(const Now& now, std::uint32_t ticket, bool served, Result<StoredEventPtr> event, Todo& todo)
{
    Flight& flight = flights_[ticket];
    const bool readable = event.has_value() && flight.route < (*event)->routes.size();
    if (readable && flight.aged && configured_ && !paused_.empty() && !stopping_) {
        flight.event = std::move(*event);
        targets::Outcome outcome;
        outcome.detail = "the target was paused: " + paused_;
        dead_letter(now, flight, "max_age", flight.row.attempts, outcome, todo);
        close_flight(ticket);
        return;
    }
    const bool may_send = served && !orphaned() && !stopping_;
    if (readable && may_send) {
        flight.event = std::move(*event);
        if (flight.aged && health_.open() && last_failure_) {
            dead_letter(now, flight, "max_age", flight.row.attempts, *last_failure_, todo);
            close_flight(ticket);
            return;
        }
        if (flight.row.held() && delay(now, flight, todo)) {
            health_.forget(flight.probe);
            close_flight(ticket);
            return;
        }
        if (std::exchange(flight.aged, false)) flight.probe = health_.started();  // it works again
        todo.attempts.push_back(attempt_of(ticket));
        return;
    }
    health_.forget(flight.probe);
    if (stopping_ || (readable && !may_send)) {  // a reload took the target away meanwhile
        give_back(now, flight, Duration{0}, todo);
    } else if (event.has_value() || event.error().code == Errc::corrupt) {
        ++counters_.damaged;
        todo.notes.push_back({Note::What::damaged, 1, {}});
        end(now, flight, Ending::damaged, std::nullopt, std::nullopt, todo);
    } else if (event.error().code == Errc::not_found) {
        ++counters_.lost;
        todo.notes.push_back({Note::What::damaged, 1, event.error().what});
        end(now, flight, Ending::lost, std::nullopt, std::nullopt, todo);
    } else {
        give_back(now, flight, pause_after_failed_read, todo);
        if (const auto count = read_log_.count(now.steady))
            todo.notes.push_back({Note::What::read_failed, count, event.error().what});
    }
    close_flight(ticket);
}

void Lane::on_key(const Now& now, std::uint32_t ticket, Result<std::optional<RetryRow>> row, Todo& todo)
{
    Flight& flight = flights_[ticket];
    const std::string key = flight.order_key;
    if (!row.has_value() || !sends()) {
        if (!row.has_value()) read_not_before_ = now.steady + pause_after_failed_read;
        health_.forget(flight.probe);
        hold_all(key, keys_.put_back(key), todo);
        close_flight(ticket);
        return;
    }
    if (!*row || !(*row)->held()) {
        health_.forget(flight.probe);
        keys_.missing(key);
        close_flight(ticket);
        return;
    }
    flight.unread = false;
    --unread_;
    --held_;
    take_row(std::move(**row), flight);
    if (expired(now, flight.row.received, flight.row.expires)) {
        health_.forget(flight.probe);
        expire(now, flight, todo);
        close_flight(ticket);
        return;
    }
    todo.events.push_back({ticket, flight.row.key.sequence, flight.row.letter});
}

void Lane::on_rows(const Now& now, Result<std::vector<RetryRow>> rows)
{
    if (rows.has_value()) {
        schedule_.took(std::move(*rows), now.steady, now.wall);
        return;
    }
    schedule_.read_failed();
    read_not_before_ = now.steady + pause_after_failed_read;
}

void Lane::on_forwards(const Now& now, Result<std::vector<DeadLetter>> letters)
{
    if (letters.has_value()) {
        forwards_.took(std::move(*letters));
        return;
    }
    forwards_.read_failed();
    read_not_before_ = now.steady + pause_after_failed_read;
}

void Lane::on_outcome(const Now& now, std::uint32_t ticket, Outcome outcome, Todo& todo)
{
    Flight& flight = flights_[ticket];
    const bool delivered = outcome.verdict == Verdict::delivered;
    if (!delivered && outcome.cause == Cause::internal) {
        ++counters_.uncounted;
        health_.forget(flight.probe);
        if (!stopping_) hold_until_ = now.steady + pause_after_internal;
        give_back(now, flight, Duration{0}, todo);
        close_flight(ticket);
        return;
    }
    ++counters_.attempts;
    counters_.latency.add(outcome.latency);
    if (flight.work == Work::retry) ++counters_.retried;
    if (delivered) {
        health_.success(flight.probe);
        if (std::exchange(failing_noted_, false)) todo.notes.push_back({Note::What::recovered, 0, {}});
        if (flight.work == Work::forward) ++counters_.forwarded;
        else ++counters_.delivered;
        end(now, flight, Ending::delivered, std::nullopt, std::nullopt, todo);
        if (flight.work == Work::forward)
            forwards_.ended(false, settings_.retry, now.steady, random_.unit());
    } else {
        ++counters_.failed;
        counters_.last_error = in_words(outcome);
        counters_.last_error_at = now.wall;
        failed(now, flight, outcome, todo);
    }
    close_flight(ticket);
}

void Lane::failed(const Now& now, Flight& flight, Outcome& outcome, Todo& todo)
{
    if (outcome.verdict == Verdict::pause) {
        ++counters_.pauses;
        health_.forget(flight.probe);
        give_back(now, flight, Duration{0}, todo);
        pause("the target asked for it: " + in_words(outcome), todo, Note::What::stopped_itself);
        return;
    }
    const Duration held = honoured_retry_after(settings_.retry, outcome.retry_after);
    const bool final = outcome.verdict == Verdict::reject;
    if (final) health_.success(flight.probe);  // it answers
    else health_.failure(now.steady, outcome.cause, held, flight.probe, random_.unit());
    if (!final && health_.open()) last_failure_ = outcome;
    if (!final || flight.work == Work::forward) note_failure(now, outcome, todo);

    if (flight.work == Work::forward) {
        forwards_.ended(true, settings_.retry, now.steady, random_.unit());
        return;
    }
    const std::uint32_t attempts = flight.work == Work::retry ? flight.row.attempts + 1 : 1;
    if (final) {
        dead_letter(now, flight, final_reason(outcome.cause), attempts, outcome, todo);
        return;
    }
    RetryRow row = row_of(flight);
    const Duration age = ages_.age(row.received, now.steady, now.wall);
    NextAttempt next = after_failure(settings_.retry, attempts, age, outcome.retry_after, random_.unit());
    if (next.final_reason) {
        dead_letter(now, flight, next.final_reason, attempts, outcome, todo);
        return;
    }
    // What expires before its next attempt ends on time.
    if (row.expires != WallTime::max())
        next.wait = std::clamp(row.expires - row.received - age, Duration{0}, next.wait);
    row.attempts = attempts;
    row.due = to_milliseconds(now.wall + next.wait);
    row.delay = next.wait;
    if (flight.work == Work::fresh) window_.settle(flight.slot);
    if (!flight.order_key.empty()) hold_all(flight.order_key, keys_.park(flight.order_key), todo);
    schedule_.add(row, now.steady + next.wait);
    keep(std::move(row), record_of(now.wall, outcome), todo);
}

void Lane::dead_letter(const Now& now, Flight& flight, const char* reason, std::uint32_t attempts,
                       Outcome& outcome, Todo& todo)
{
    const StoredEvent& stored = *flight.event;
    DeadLetter letter;
    letter.target = target_;
    letter.rule = rule_of(flight);
    letter.bus = stored.event.bus;
    letter.key = key_of(flight);
    letter.event = stored.event.id;
    letter.delivery_id = delivery_id(stored.event.id, letter.rule, target_);
    letter.format = stored.event.format;
    letter.body = stored.event.body;
    letter.reason = reason;
    letter.cause = text_of(outcome.cause);
    letter.last_status = outcome.status;
    letter.last_detail = outcome.detail;
    letter.last_response = outcome.response;
    letter.attempts = flight.row.earlier + attempts;
    letter.received = stored.event.received;
    letter.dead = now.wall;
    if (settings_.dead_letter_target != target_) letter.forward_to = settings_.dead_letter_target;
    if (!letter.forward_to.empty() &&
        std::find(todo.to_forward.begin(), todo.to_forward.end(), letter.forward_to) == todo.to_forward.end())
        todo.to_forward.push_back(letter.forward_to);
    ++counters_.dead_lettered;
    if (const auto count = dead_log_.count(now.steady))
        todo.notes.push_back({Note::What::dead_lettered, count, std::string{reason} + ": " + in_words(outcome)});
    uncommitted_bytes_ += letter.body.size();
    unflushed_.letter_bytes += letter.body.size();
    std::optional<AttemptRecord> attempt;
    if (attempts > 0 && !flight.aged) attempt = record_of(now.wall, outcome);
    end(now, flight, Ending::dead_lettered, std::move(letter), std::move(attempt), todo);
}

void Lane::end(const Now& now, Flight& flight, Ending ending, std::optional<DeadLetter> letter,
               std::optional<AttemptRecord> attempt, Todo& todo)
{
    if (flight.work == Work::forward) {
        todo.changes.emplace_back(DeadLetterForwarded{flight.letter->id});
    } else {
        todo.changes.emplace_back(Ended{target_, key_of(flight), std::string{rule_of(flight)}, ending,
                                        std::move(letter), std::move(attempt),
                                        flight.work == Work::fresh && !doubtful_,
                                        flight.row.letter != 0});
        if (flight.work == Work::fresh) window_.settle(flight.slot);
        else schedule_.ended(flight.row.key);
        after_end(now, flight, ending, todo);
    }
    ++uncommitted_;
    ++unflushed_.count;
}

void Lane::give_back(const Now& now, Flight& flight, Duration wait, Todo& todo)
{
    if (flight.work == Work::forward) {
        forwards_.put_back(std::move(flight.letter));
    } else if (flight.work == Work::fresh) {
        window_.give_back(flight.slot);
        if (!flight.order_key.empty())
            for (const KeyOrder::Waiting& one : keys_.give_back(flight.order_key)) window_.give_back(one.slot);
    } else if (flight.row.held()) {  // its key's turn comes again
        ++held_;
        hold_all(flight.order_key, keys_.put_back(flight.order_key), todo);
        if (wait > Duration{0}) read_not_before_ = now.steady + wait;
    } else {
        if (flight.row.delayed()) ++delayed_;
        schedule_.put_back(std::move(flight.row), now.steady + wait);
    }
}

void Lane::note_failure(const Now& now, const Outcome& outcome, Todo& todo)
{
    if (const auto count = failing_log_.count(now.steady)) {
        todo.notes.push_back({Note::What::failing, count, in_words(outcome)});
        failing_noted_ = true;
    }
}

void Lane::on_durable(Settled settled) noexcept
{
    uncommitted_ -= std::min(uncommitted_, settled.count);
    uncommitted_bytes_ -= std::min(uncommitted_bytes_, settled.letter_bytes);
}

// --- Operators --------------------------------------------------------------------------------------

void Lane::pause(std::string reason, Todo& todo, Note::What what)
{
    if (reason.empty()) reason = "paused";
    if (paused_ == reason) return;
    paused_ = std::move(reason);
    todo.changes.emplace_back(TargetPaused{target_, paused_});
    todo.notes.push_back({what, 0, paused_});
}

void Lane::resume(Todo& todo)
{
    if (paused_.empty()) return;
    paused_.clear();
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
        todo.changes.emplace_back(Redriven{row});
        schedule_.add(std::move(row), now.steady);
        ++uncommitted_;
        ++unflushed_.count;
    }
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
    if (!sends()) return wake;
    at(token_at_);
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
