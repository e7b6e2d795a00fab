// What became of what the lane asked for: reads of the journal and the state, and attempts. Each attempt ends in a
// delivery that is over, a retry, a dead letter, or as if it had not been.
#include "router/delivery/lane.hpp"

#include <algorithm>
#include <utility>

#include "router/replay_name.hpp"

namespace eventyard::router {
namespace {

using targets::Cause;
using targets::Outcome;
using targets::Verdict;

constexpr Duration pause_after_internal = std::chrono::seconds{1};
constexpr Duration pause_after_failed_read = std::chrono::seconds{1};

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
    if (flight.doomed || (event.has_value() && is_erased((*event)->event))) {
        discard(now, flight, todo);
        leave(ticket);
        return;
    }
    const bool readable = event.has_value() && flight.route < (*event)->routes.size();
    if (readable && flight.aged && configured_ && !paused_.empty() && !stopping_) {
        flight.event = std::move(*event);
        targets::Outcome outcome;
        outcome.detail = "the target was paused: " + paused_;
        dead_letter(now, flight, "max_age", flight.row.attempts, outcome, todo);
        leave(ticket);
        return;
    }
    if (readable && flight.overflows && configured_ && !stopping_) {
        flight.event = std::move(*event);
        overflow(now, flight, todo);
        leave(ticket);
        return;
    }
    const bool may_send = served && !orphaned() && !stopping_;
    if (readable && may_send) {
        flight.event = std::move(*event);
        if (flight.aged && health_.open() && last_failure_) {
            dead_letter(now, flight, "max_age", flight.row.attempts, *last_failure_, todo);
            leave(ticket);
            return;
        }
        if ((flight.row.held() || flight.row.moved_untried()) && delay(now, flight, todo)) {
            leave(ticket);
            return;
        }
        if (!shape(now, flight, extras_of(flight), todo)) {
            leave(ticket);
            return;
        }
        if (flight.sent) rendered_ += flight.sent->body.size();
        if (std::exchange(flight.aged, false)) batches_[flight.batch].probe = health_.started();  // it works again
        complete(ticket);
        return;
    }
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
    leave(ticket);
}

void Lane::on_key(const Now& now, std::uint32_t ticket, Result<std::optional<RetryRow>> row, Todo& todo)
{
    Flight& flight = flights_[ticket];
    const std::string key = flight.order_key;
    if (!row.has_value() || !sends()) {
        if (!row.has_value()) read_not_before_ = now.steady + pause_after_failed_read;
        hold_all(key, keys_.put_back(key), todo);
        leave(ticket);
        return;
    }
    if (!*row || !(*row)->held()) {
        keys_.missing(key);
        leave(ticket);
        return;
    }
    flight.unread = false;
    --unread_;
    --held_;
    take_row(std::move(**row), flight);
    if (expired(now, flight.row.received, flight.row.expires)) {
        expire(now, flight, todo);
        leave(ticket);
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

void Lane::on_excess(const Now& now, const Result<Excess>& excess, Todo& todo)
{
    if (!excess.has_value()) {
        budget_.failed(now.steady);
        if (const auto count = read_log_.count(now.steady))
            todo.notes.push_back({Note::What::read_failed, count, excess.error().what});
        return;
    }
    const bool before = budget_.over();
    budget_.measured(now.steady, *excess, schedule_.waiting() + held_, schedule_.waiting());
    if (budget_.over() && budget_.used()) {
        if (const auto count = budget_log_.count(now.steady))
            todo.notes.push_back({Note::What::over_budget, *budget_.used(), std::to_string(settings_.budget.bytes)});
    } else if (before) {
        todo.notes.push_back({Note::What::within_budget, 0, {}});
    }
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

void Lane::on_outcome(const Now& now, std::uint32_t ticket, Outcome& outcome, double draw, Todo& todo)
{
    Flight& flight = flights_[ticket];
    const bool delivered = outcome.verdict == Verdict::delivered;
    if (!delivered && outcome.cause == Cause::internal) {
        ++counters_.uncounted;
        if (!stopping_) hold_until_ = now.steady + pause_after_internal;
        if (flight.doomed) discard(now, flight, todo);
        else give_back(now, flight, Duration{0}, todo);
        return;
    }
    ++counters_.attempts;
    counters_.latency.add(outcome.latency);
    if (number_of(flight) > 1) ++counters_.retried;
    if (delivered) {
        if (std::exchange(failing_noted_, false)) todo.notes.push_back({Note::What::recovered, 0, {}});
        if (flight.work == Work::forward) ++counters_.forwarded;
        else ++counters_.delivered;
        end(now, flight, Ending::delivered, std::nullopt, std::nullopt, todo);
        if (flight.work == Work::forward) forwards_.ended(false, settings_.retry, now.steady, draw);
    } else {
        ++counters_.failed;
        counters_.last_error = in_words(outcome);
        counters_.last_error_at = now.wall;
        failed(now, flight, outcome, draw, todo);
    }
}

void Lane::failed(const Now& now, Flight& flight, Outcome& outcome, double draw, Todo& todo)
{
    if (outcome.verdict == Verdict::pause) {
        if (paused_.empty()) ++counters_.pauses;
        if (flight.doomed) discard(now, flight, todo);
        else give_back(now, flight, Duration{0}, todo);
        pause("the target asked for it: " + in_words(outcome), todo, Note::What::stopped_itself);
        return;
    }
    const bool final = outcome.verdict == Verdict::reject;
    if (!final && health_.open()) last_failure_ = outcome;
    if (!final || flight.work == Work::forward) note_failure(now, outcome, todo);

    if (flight.work == Work::forward) {
        forwards_.ended(true, settings_.retry, now.steady, draw);
        return;
    }
    if (flight.doomed) {
        discard(now, flight, todo);
        return;
    }
    const std::uint32_t attempts = flight.work == Work::retry ? flight.row.attempts + 1 : 1;
    if (final) {
        dead_letter(now, flight, final_reason(outcome.cause), attempts, outcome, todo);
        return;
    }
    RetryRow row = row_of(flight);
    const Duration age = ages_.age(row.received, now.steady, now.wall);
    NextAttempt next = after_failure(settings_.retry, attempts, age, outcome.retry_after, draw);
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
    letter.routed_to = flight.row.routed_to;
    letter.delivery_id = stored_delivery_id(stored.event.id, letter.rule, addressee_of(flight));
    letter.format = stored.event.format;
    letter.body = stored.event.body;
    if (const RouteExtras* const extras = extras_of(flight)) letter.input = extras->input.text();
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
    const std::size_t bytes = letter.body.size() + letter.input.size();
    uncommitted_bytes_ += bytes;
    unflushed_.letter_bytes += bytes;
    std::optional<AttemptRecord> attempt;
    if (attempts > 0 && !flight.aged && !flight.overflows) attempt = record_of(now.wall, outcome);
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
        if (watchers_ > 0) touched_.insert(key_of(flight));
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

}  // namespace eventyard::router
