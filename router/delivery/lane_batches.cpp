// What goes out together: flights join the batch that is gathering, which becomes one request when it is full, when
// nothing more is there to join it, or when its first flight has waited for max_wait. Of a target without
// `batch` each flight is a batch of its own, and all of this is the way of a single attempt.
//
// `concurrency`, the circuit breaker and its ramp count requests; the rate limit counts flights. A request that is
// refused for good as a whole says nothing of any one delivery in it: it is bisected, and its halves go out at
// once, until what is to blame stands alone and gets an answer of its own. A failure that may pass is each
// flight's own, with one draw for the next wait, so that they are due together; but a delivery that failed n
// times goes with at most max_events / 2^n others. So one that makes its receiver fail takes nobody along for long.
#include <algorithm>
#include <utility>

#include "router/delivery/lane.hpp"

namespace eventyard::router {

using targets::Cause;
using targets::Outcome;
using targets::Verdict;

/// Of the body that is sent.
std::size_t Lane::size_of(const Flight& flight) noexcept
{
    if (flight.letter) return flight.letter->body.size();
    return (flight.sent ? *flight.sent : flight.event->event).body.size();
}

bool Lane::place(const Now& now) const noexcept
{
    return requests_ < settings_.concurrency && health_.may_start(now.steady, requests_);
}

std::uint32_t Lane::new_batch()
{
    if (free_batches_.empty()) {
        free_batches_.push_back(static_cast<std::uint32_t>(batches_.size()));
        batches_.emplace_back();
    }
    const std::uint32_t number = free_batches_.back();
    free_batches_.pop_back();
    return number;
}

/// One that takes a place and that flights join from now on.
void Lane::gather(const Now& now)
{
    gathering_ = new_batch();
    Batch& batch = batches_[*gathering_];
    batch.placed = true;
    batch.since = now.steady;
    ++requests_;
}

void Lane::close_batch(std::uint32_t number)
{
    batches_[number].closed = true;
    gathering_.reset();
    if (batches_[number].incomplete == 0) make_ready(number);
}

void Lane::make_ready(std::uint32_t number)
{
    auto at = ready_.end();
    if (batches_[number].placed)
        at = std::find_if(ready_.begin(), ready_.end(), [this](std::uint32_t other) { return !batches_[other].placed; });
    ready_.insert(at, number);
}

void Lane::free_batch(std::uint32_t number)
{
    Batch& batch = batches_[number];
    health_.forget(batch.probe);
    if (batch.placed) --requests_;
    if (gathering_ == number) gathering_.reset();
    auto flights = std::move(batch.flights);  // keeps its memory
    flights.clear();
    batch = {};
    batch.flights = std::move(flights);
    free_batches_.push_back(number);
}

/// The flight's body is there.
void Lane::complete(std::uint32_t ticket)
{
    const Flight& flight = flights_[ticket];
    Batch& batch = batches_[flight.batch];
    batch.bytes += size_of(flight);
    if (--batch.incomplete == 0 && batch.closed) make_ready(flight.batch);
}

/// The flight ends before its body is there.
void Lane::leave(std::uint32_t ticket)
{
    const std::uint32_t number = flights_[ticket].batch;
    Batch& batch = batches_[number];
    std::erase(batch.flights, ticket);
    --batch.incomplete;
    if (batch.flights.empty()) free_batch(number);
    else if (batch.incomplete == 0 && batch.closed) make_ready(number);
    close_flight(ticket);
}

/// Its body is there, and its request is not sent yet. The caller has ended it.
void Lane::take_out(std::uint32_t ticket)
{
    const std::uint32_t number = flights_[ticket].batch;
    Batch& batch = batches_[number];
    batch.bytes -= size_of(flights_[ticket]);
    const auto at = std::find(batch.flights.begin(), batch.flights.end(), ticket);
    if (at - batch.flights.begin() < static_cast<std::ptrdiff_t>(batch.paid)) --batch.paid;
    batch.flights.erase(at);
    close_flight(ticket);
    if (!batch.flights.empty()) return;
    std::erase(ready_, number);
    free_batch(number);
}

bool Lane::fits(std::size_t bytes) const noexcept
{
    return !gathering_ || batches_[*gathering_].bytes == 0 ||
           batches_[*gathering_].bytes + bytes <= settings_.batch.max_bytes;
}

std::uint32_t Lane::limit_of(const RetryRow& row) const noexcept
{
    return std::max(1U, settings_.batch.max_events >> std::min(row.attempts, 31U));
}

bool Lane::full(const Batch& batch) const noexcept
{
    return batch.flights.size() >= batch.limit || batch.bytes >= settings_.batch.max_bytes;
}

void Lane::send_ready(const Now& now, std::uint32_t& room, TokenBucket* bucket, Todo& todo)
{
    while (!ready_.empty() && room > 0) {
        const std::uint32_t number = ready_.front();
        Batch& batch = batches_[number];
        if (!batch.placed) {
            if (!place(now)) return;
            for (; batch.paid < batch.flights.size(); ++batch.paid) {
                if (!bucket) continue;
                if (!bucket->allows(now.steady)) {
                    token_at_ = bucket->next();
                    return;
                }
                bucket->take(now.steady);
            }
            batch.placed = true;
            batch.probe = health_.started();
            ++requests_;
        }
        ready_.pop_front();
        --room;
        send(number, todo);
    }
}

void Lane::send(std::uint32_t number, Todo& todo)
{
    cut(number);
    Batch& batch = batches_[number];
    batch.sent = true;
    Request request{number, settings_.batch.any() || batch.flights.size() > 1, {}};
    request.attempts.reserve(batch.flights.size());
    for (const std::uint32_t ticket : batch.flights) request.attempts.push_back(attempt_of(ticket));
    todo.requests.push_back(std::move(request));
}

/// The size of a retry is not known before it is read, and a reload may have made batches smaller. What is too much
/// goes in a request of its own.
void Lane::cut(std::uint32_t number)
{
    const std::uint32_t most = settings_.batch.max_events;
    if (batches_[number].flights.size() == 1) return;
    if (batches_[number].bytes <= settings_.batch.max_bytes && batches_[number].flights.size() <= most) return;
    std::size_t bytes = 0, n = 0;
    for (const std::uint32_t ticket : batches_[number].flights) {
        const std::size_t size = size_of(flights_[ticket]);
        if (n > 0 && (n == most || bytes + size > settings_.batch.max_bytes)) break;
        bytes += size;
        ++n;
    }
    if (n == batches_[number].flights.size()) return;
    const std::uint32_t rest = split_off(number, n);
    batches_[rest].paid = static_cast<std::uint32_t>(batches_[rest].flights.size());
    make_ready(rest);
}

/// Moves the flights from `begin` on to a batch of their own.
std::uint32_t Lane::split_off(std::uint32_t number, std::size_t begin)
{
    const std::uint32_t rest = new_batch();
    auto& from = batches_[number].flights;
    Batch& to = batches_[rest];
    to.closed = true;
    to.flights.assign(from.begin() + static_cast<std::ptrdiff_t>(begin), from.end());
    from.resize(begin);
    for (const std::uint32_t ticket : to.flights) {
        flights_[ticket].batch = rest;
        const std::size_t size = size_of(flights_[ticket]);
        to.bytes += size;
        batches_[number].bytes -= size;
    }
    return rest;
}

/// The request was refused as a whole. What somebody has discarded meanwhile ends here: it was not delivered.
void Lane::bisect(const Now& now, std::uint32_t number, Todo& todo)
{
    ++counters_.bisected;
    std::erase_if(batches_[number].flights, [&](std::uint32_t ticket) {
        if (!flights_[ticket].doomed) return false;
        discard(now, flights_[ticket], todo);
        close_flight(ticket);
        return true;
    });
    const std::uint32_t first = split_off(number, 0);
    free_batch(number);
    if (batches_[first].flights.empty()) return free_batch(first);
    if (batches_[first].flights.size() == 1) return make_ready(first);
    const std::uint32_t second = split_off(first, batches_[first].flights.size() / 2);
    make_ready(first);
    make_ready(second);
}

/// Nothing may be sent now, or not in these batches: what waits for company, or to be sent, is as if it had not been
/// started.
void Lane::withdraw(const Now& now, Todo& todo)
{
    const bool all = std::exchange(remake_, false) || !sends();
    if (in_flight_ == 0) return;
    for (std::uint32_t number = 0; number < batches_.size(); ++number) {
        Batch& batch = batches_[number];
        if (batch.sent || batch.flights.empty() || (batch.placed && batch.closed && !all)) continue;
        std::erase(ready_, number);
        if (gathering_ == number) gathering_.reset();
        batch.closed = true;
        std::erase_if(batch.flights, [&](std::uint32_t ticket) {
            Flight& flight = flights_[ticket];
            if (!flight.event && !flight.letter) return false;  // its read ends first
            if (flight.doomed) discard(now, flight, todo);
            else give_back(now, flight, Duration{0}, todo);
            close_flight(ticket);
            return true;
        });
        batch.bytes = 0;
        if (batch.flights.empty()) free_batch(number);
    }
}

void Lane::on_outcomes(const Now& now, std::uint32_t ticket, std::vector<Outcome> outcomes, Todo& todo)
{
    ++counters_.requests;
    note_health(now, outcomes, std::exchange(batches_[ticket].probe, false));
    const std::size_t size = batches_[ticket].flights.size();
    if (outcomes.size() == 1 && size > 1) {
        const Outcome whole = outcomes.front();
        if (whole.verdict == Verdict::reject) {
            bisect(now, ticket, todo);
            if (stopping_) withdraw(now, todo);
            return;
        }
        outcomes.assign(size, whole);
    }
    const double draw = random_.unit();
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t flight = batches_[ticket].flights[i];
        on_outcome(now, flight, outcomes[i], draw, todo);
        close_flight(flight);
    }
    free_batch(ticket);
}

/// What the answer to one request says of the target.
void Lane::note_health(const Now& now, const std::vector<Outcome>& outcomes, bool probe)
{
    const Outcome* failure = nullptr;
    for (const Outcome& outcome : outcomes) {
        if (outcome.verdict == Verdict::delivered || outcome.verdict == Verdict::reject)
            return health_.success(probe);  // it answers
        if (outcome.verdict == Verdict::retry && outcome.cause != Cause::internal) failure = &outcome;
    }
    if (!failure) return health_.forget(probe);
    health_.failure(now.steady, failure->cause, honoured_retry_after(settings_.retry, failure->retry_after), probe,
                    random_.unit());
}

}  // namespace eventyard::router
