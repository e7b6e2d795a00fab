// router/delivery/lane.hpp — one target's ordered work: what to attempt next, and what became of it.
//
// The lane joins the window over the journal, the schedule of retries, the dead letters this target
// takes for others, the keys of an ordered target, and the target's health. It does no I/O: every call may add to a Todo, which
// the owner carries out and answers by the matching on_...() call; pump() starts what may start. Requests of
// several deliveries are made up and taken apart in lane_batches.cpp.
// After each call the owner pumps, and again at wake_at(). Not thread-safe; lives on one I/O thread.
//
// How a failed attempt goes on: `retry` becomes a row of the state (so one failing delivery does not
// hold up the next), or a dead letter when the policy is exhausted; `reject` a dead letter;
// `pause` pauses the target and leaves the delivery as it was. Cause::internal says nothing of the
// target and is no attempt. Retries, new deliveries and dead-letter copies take turns. What its rule delays
// becomes a row as well, and so does what waits behind a failed delivery of its order key.
//
// Changes of the state are added in an order that survives a crash between any two: a retry or dead letter
// comes before the cursor that moves past it. At most `uncommitted_max` deliveries are settled, or in
// flight, beyond what the state holds durably: that is what a crash can deliver twice. Dead letters among
// them hold their bodies, so their bytes have a limit too.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "router/delivery/budget_meter.hpp"
#include "router/delivery/forecast.hpp"
#include "router/delivery/forwards.hpp"
#include "router/delivery/hands_on.hpp"
#include "router/delivery/health.hpp"
#include "router/delivery/key_order.hpp"
#include "router/delivery/lane_counters.hpp"
#include "router/delivery/order_key.hpp"
#include "router/delivery/retry.hpp"
#include "router/delivery/schedule.hpp"
#include "router/delivery/token_bucket.hpp"
#include "router/delivery/window.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"
#include "targets/outcome.hpp"

namespace eventyard::router {

struct LaneLimits {
    WindowLimits window;
    std::size_t retries = 1024;          // rows in memory
    std::size_t uncommitted_max = 8192;
    std::size_t letter_bytes_max = 8U << 20;  // of dead letters on their way to the state
    std::size_t rendered_max = 64U << 20;     // bytes that inputs have made, of what is being sent; above it nothing more starts
};

/// What the configuration says of the target; changes with a reload.
struct LaneSettings {
    RetryPolicy retry;
    std::uint32_t concurrency = 16;
    std::string dead_letter_target;
    BreakerPolicy breaker;
    OrderPolicy order;
    BatchPolicy batch;
    Budget budget;
    CatchUp catch_up = CatchUp::fair;
};

struct LaneStart {
    std::string target;
    WindowStart window;
    std::uint64_t retries = 0;           // rows the state holds, of every kind
    std::uint64_t held = 0, delayed = 0; // of them
    std::vector<ParkedKey> parked;
    std::uint64_t dead_letters = 0;      // the state holds
    std::string paused;                  // reason; empty: running
    bool doubtful = false;               // window.settled may lack deliveries that have retry rows
    AgeClock ages;
    std::optional<Sequence> drain_through;  // it drains, see Lane::drain()
    std::string drain_reason;
    std::uint64_t drain_later = 0;       // of window.behind, above that
};

/// The moment of a call.
struct Now {
    SteadyTime steady;
    WallTime wall;
    Sequence seen = 0;                   // the lane's thread was told of commits up to here
};

/// One delivery to attempt. The views live as long as `event`.
struct Attempt {
    std::string id;                      // webhook-id
    std::string replay_of;               // the id of the delivery that this one repeats; empty: none
    std::string_view rule;
    std::string_view target;             // of the delivery: for a dead-letter copy the one that failed
    std::shared_ptr<const Event> event;
    Sequence sequence = 0;
    std::uint32_t number = 1;
};

/// One request to make; its end is on_outcomes(ticket).
struct Request {
    std::uint32_t ticket = 0;
    bool batched = false;                // in the form of a batch, be it of one; else it holds one attempt
    std::vector<Attempt> attempts;
};

/// Something a person should read.
struct Note {
    enum class What : std::uint8_t {
        failing, recovered, dead_lettered, expired, paused, stopped_itself, resumed, read_failed, damaged,
        key_held, keys_released, parked_full, over_budget, within_budget, drained,
    };
    What what;
    std::uint64_t count = 0;             // occurrences the line stands for
    std::string detail;
};

struct EventRead {
    std::uint32_t ticket = 0;
    Sequence sequence = 0;
    std::int64_t letter = 0;             // not 0: the dead letter that keeps the body, see redriven.hpp
};

/// The first row of a key is wanted.
struct KeyRead {
    std::uint32_t ticket = 0;
    std::string order_key;
};

/// How much waits is wanted.
struct BudgetRead {
    DeliveryKey after;                   // the lane's position
    std::uint64_t rows = 0;
    std::uint64_t limit = 0;
    std::vector<DeliveryKey> settled;    // above it
};

/// Settlements on their way to the state.
struct Settled {
    std::uint64_t count = 0;
    std::uint64_t letter_bytes = 0;      // of the dead letters among them
};

/// What a lane wants done. `changes` collects over calls and lanes; the rest the owner empties.
struct Todo {
    std::vector<Change> changes;
    std::vector<Request> requests;             // -> on_outcomes()
    std::vector<EventRead> events;             // Journal::read_event, State::dead_letter -> on_event()
    std::vector<KeyRead> keys;                 // State::first_of_key after all changes -> on_key()
    std::optional<Window::Read> lane;          // Journal::read_lane -> on_chunk()
    std::optional<BudgetRead> budget;          // Journal::excess -> on_excess()
    std::optional<Schedule::Read> rows;        // State::next_retries after all changes -> on_rows()
    std::optional<Forwards::Read> forwards;    // State::forwards after all changes -> on_forwards()
    std::vector<std::string> to_forward;       // dead-letter targets: look() when `changes` are durable
    std::vector<Note> notes;
};

class Lane {
public:
    /// @param random  outlives the lane
    Lane(LaneStart start, LaneLimits limits, Random& random);

    [[nodiscard]] const std::string& target() const noexcept { return target_; }
    /// Null: orphaned; nothing is sent, work is kept and counted.
    void configure(const LaneSettings* settings);
    void set_window_bytes(std::size_t bytes) noexcept { window_.set_bytes(bytes); }

    void offer(const StoredEventPtr& event, std::uint32_t route)
    {
        budget_.came(event->event.body.size());
        ++came_;
        if (drain_through_ && event->sequence > *drain_through_) ++drain_later_;
        window_.offer(event, route);
    }
    void on_chunk(const Now& now, Result<LaneChunk> chunk, Todo& todo);
    /// @param served  there is a Target to attempt it with; false: a reload has just taken it away
    void on_event(const Now& now, std::uint32_t ticket, bool served, Result<StoredEventPtr> event, Todo& todo);
    void on_key(const Now& now, std::uint32_t ticket, Result<std::optional<RetryRow>> row, Todo& todo);
    void on_rows(const Now& now, Result<std::vector<RetryRow>> rows);
    void on_excess(const Now& now, const Result<Excess>& excess, Todo& todo);
    void on_forwards(const Now& now, Result<std::vector<DeadLetter>> letters);
    /// @param outcomes  one for each attempt of the request, in order, or a single one for the request as a whole
    void on_outcomes(const Now& now, std::uint32_t ticket, std::vector<targets::Outcome> outcomes, Todo& todo);
    /// These settlements, given out by take_unflushed(), became durable.
    void on_durable(Settled settled) noexcept;
    /// Dead letters for this target may wait in the state.
    void look() noexcept { forwards_.look(); }

    void pause(std::string reason, Todo& todo, Note::What what = Note::What::paused);
    void resume(Todo& todo);
    /// What was accepted up to `through`, which is no less than what was seen, is sent, and what comes later waits; when
    /// nothing of before is left the target is paused.
    void drain(Sequence through, std::string reason, Todo& todo);
    void retry_now(const Now& now);
    /// Dead letters of this target (RetryRow::letter) become retries that are due now; their policy
    /// starts anew, so does their age.
    void redrive(const Now& now, std::vector<RetryRow> rows, Todo& todo);
    /// Keys held since a dead letter go on; empty: all of them. @returns how many
    std::size_t release_keys(const std::string& order_key, Todo& todo);

    [[nodiscard]] LaneView view(const Now& now) const;
    /// Remembers which rows are written or end, from before their rows are read until act() has them.
    void watch_rows() noexcept { ++watchers_; }
    void unwatch_rows() noexcept;
    /// @param rows  those that the picked have; read after watch_rows() and after all changes until then
    /// @param to    of a move: the target that takes over
    [[nodiscard]] Acted act(const Now& now, DeliveryAct what, std::vector<PickedDelivery> picked,
                            std::vector<RetryRow> rows, Todo& todo, const std::string& to = {});
    /// Deliveries of another target are about to be moved here: rows of theirs are not this lane's yet.
    void expect(const std::vector<DeliveryKey>& keys);
    /// Of those expected these were moved, durably: rows of this target. The others stay where they are.
    void take_in(const Now& now, const std::vector<DeliveryKey>& expected, std::vector<RetryRow> rows);

    /// Its dead letters that this target takes for others are not sent any more. Once the state knows it as erased: they
    /// are not read again then. How many are under way: those are not sent again.
    std::uint64_t drop_copies(const Now& now, const Id& event, Todo& todo);

    /// No attempt starts any more; those in flight end.
    void stop(const Now& now, Todo& todo);

    /// Starts what may start and asks for what is needed.
    /// @param room    requests the target takes beside those of other lanes
    /// @param bucket  the target's; null: no limit of its rate
    void pump(const Now& now, std::uint32_t room, Todo& todo, TokenBucket* bucket = nullptr);
    /// When to pump without another reason; none: another call comes first.
    [[nodiscard]] std::optional<SteadyTime> wake_at(const Now& now) const;

    /// Settlements not flushed yet; the owner then gives them back with on_durable().
    [[nodiscard]] bool unflushed() const noexcept { return unflushed_.count > 0; }
    [[nodiscard]] Settled take_unflushed() noexcept { return std::exchange(unflushed_, {}); }
    [[nodiscard]] CursorMoved position(const Now& now) const;
    /// No work in memory or behind: its cursor moves with what is seen.
    [[nodiscard]] bool idle() const noexcept { return window_.empty(); }

    /// Deliveries, with those whose bodies are being read and those that wait for company.
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
    [[nodiscard]] std::uint64_t forwards_waiting() const noexcept { return forwards_.waiting(); }
    [[nodiscard]] std::uint64_t uncommitted() const noexcept { return uncommitted_; }
    [[nodiscard]] const std::string& paused() const noexcept { return paused_; }
    [[nodiscard]] bool draining() const noexcept { return drain_through_.has_value(); }
    [[nodiscard]] const std::string& drain_reason() const noexcept { return drain_reason_; }
    /// Deliveries until the target that drains is paused.
    [[nodiscard]] std::uint64_t drain_left() const noexcept;
    [[nodiscard]] bool orphaned() const noexcept { return !configured_; }
    [[nodiscard]] bool failing() const noexcept { return health_.open(); }
    [[nodiscard]] std::uint32_t consecutive_failures() const noexcept { return health_.consecutive(); }
    [[nodiscard]] Breaker breaker() const noexcept;
    [[nodiscard]] const KeyOrder& keys() const noexcept { return keys_; }
    /// So many keys are parked that nothing new starts.
    [[nodiscard]] bool parked_full() const noexcept;
    [[nodiscard]] Pending pending() const noexcept;
    [[nodiscard]] Forecast outlook(const Now& now) const;
    [[nodiscard]] const LaneCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] const BudgetMeter& budget() const noexcept { return budget_; }
    [[nodiscard]] const Window& window() const noexcept { return window_; }
    [[nodiscard]] const Schedule& schedule() const noexcept { return schedule_; }

private:
    enum class Work : std::uint8_t { none, fresh, retry, forward, key };
    struct Flight {
        Work work = Work::none;
        std::uint32_t batch = 0;           // its number
        bool unread = false;               // its row is being read
        std::string order_key;             // empty: it keeps no order
        bool aged = false;                 // a retry that is to end without an attempt, if the target is still down
        bool overflows = false;            // a retry that is to end without an attempt
        bool doomed = false;               // an operator discarded it: ends, unless this attempt succeeds
        std::uint64_t slot = 0;
        std::uint32_t route = 0;
        StoredEventPtr event;
        std::shared_ptr<const Event> sent;  // what its rule makes of the event; null: the event itself
        RetryRow row;                      // of a retry
        Forwards::Letter letter;           // of a forward
    };
    /// Flights that go out in one request; of a target without `batch` always one.
    struct Batch {
        std::vector<std::uint32_t> flights;  // in the order in which they joined
        std::size_t incomplete = 0;          // of them: the body is still to come
        std::size_t bytes = 0;               // of the bodies
        std::uint32_t limit = 1;             // so many flights at most
        std::uint32_t paid = 0;              // of them the rate limit has let pass
        bool placed = false;                 // among requests_
        bool probe = false;
        bool closed = false;                 // nothing joins any more
        bool sent = false;
        SteadyTime since{};                  // it gathers
    };

    [[nodiscard]] Work choose(const Now& now) const noexcept;
    [[nodiscard]] bool sends() const noexcept { return configured_ && paused_.empty() && !stopping_; }
    [[nodiscard]] bool down(const Now& now) const noexcept;
    Flight take_fresh(bool ahead = false);
    std::uint32_t open_flight(const Now& now, Work work);
    void close_flight(std::uint32_t ticket);

    // What goes out together, in lane_batches.cpp.
    [[nodiscard]] bool place(const Now& now) const noexcept;
    std::uint32_t new_batch();
    void gather(const Now& now);
    void close_batch(std::uint32_t number);
    void make_ready(std::uint32_t number);
    void free_batch(std::uint32_t number);
    void complete(std::uint32_t ticket);
    void leave(std::uint32_t ticket);
    void take_out(std::uint32_t ticket);
    [[nodiscard]] static std::size_t size_of(const Flight& flight) noexcept;
    [[nodiscard]] bool fits(std::size_t bytes) const noexcept;
    [[nodiscard]] bool full(const Batch& batch) const noexcept;
    [[nodiscard]] std::uint32_t limit_of(const RetryRow& row) const noexcept;
    void send_ready(const Now& now, std::uint32_t& room, TokenBucket* bucket, Todo& todo);
    void send(std::uint32_t number, Todo& todo);
    void cut(std::uint32_t number);
    std::uint32_t split_off(std::uint32_t number, std::size_t begin);
    void bisect(const Now& now, std::uint32_t number, Todo& todo);
    void withdraw(const Now& now, Todo& todo);
    void note_health(const Now& now, const std::vector<targets::Outcome>& outcomes, bool probe);
    void on_outcome(const Now& now, std::uint32_t ticket, targets::Outcome& outcome, double draw, Todo& todo);

    // These start an attempt, or settle the delivery in another way. False: that.
    bool start_fresh(const Now& now, Todo& todo);
    bool start_retry(const Now& now, Todo& todo);
    bool start_key(const Now& now, Todo& todo);
    bool start_forward(const Now& now);
    bool start_waiting(const Now& now, Flight flight, Todo& todo);
    [[nodiscard]] static const RouteExtras* extras_of(const Flight& flight);
    bool delay(const Now& now, Flight& flight, Todo& todo);
    [[nodiscard]] Duration wait_of(const Event& event, const RouteExtras& extras);
    bool attempt(const Now& now, Flight flight, const RouteExtras* extras, Todo& todo);
    bool shape(const Now& now, Flight& flight, const RouteExtras* extras, Todo& todo);
    void take_row(RetryRow row, Flight& flight);

    // What ends without an attempt, in lane_overdue.cpp.
    void end_overdue(const Now& now, Todo& todo);
    bool end_overdue_fresh(const Now& now, Todo& todo);
    void end_overdue_rows(const Now& now, Todo& todo);
    [[nodiscard]] bool expired(const Now& now, WallTime received, WallTime expires) const noexcept;
    void expire(const Now& now, Flight& flight, Todo& todo);
    void tend_budget(const Now& now, Todo& todo);
    void end_overflow(const Now& now, Todo& todo);
    bool end_overflow_fresh(const Now& now, Todo& todo);
    void overflow(const Now& now, Flight& flight, Todo& todo);
    void read_to_end(const Now& now, RetryRow row, bool overflows, Todo& todo);
    [[nodiscard]] bool room_for_letters() const noexcept
    {
        return uncommitted_ + in_flight_ < limits_.uncommitted_max && uncommitted_bytes_ < limits_.letter_bytes_max;
    }

    // Order, in lane_order.cpp.
    [[nodiscard]] const OrderKey& path_of(const std::string& text);
    [[nodiscard]] std::string order_key_of(const StoredEvent& event, std::uint32_t route);
    bool in_turn(const Now& now, Flight& flight, Todo& todo);
    void overflow_parked(const Now& now, Flight& flight, Todo& todo);
    void hold_row(const Flight& flight, Todo& todo);
    void hold_all(const std::string& key, std::vector<KeyOrder::Waiting> waiting, Todo& todo);
    void hold_key(const Now& now, const std::string& key, Todo& todo);
    void after_end(const Now& now, const Flight& flight, Ending ending, Todo& todo);

    // Hands on, in lane_hands_on.cpp.
    struct Doing {                         // an act under way
        const Now& now;
        DeliveryAct what;
        const std::string& to;
        Acted acted{};
        std::vector<PickedDelivery> ahead{};  // further on than memory holds
    };
    void discard(const Now& now, Flight& flight, Todo& todo);
    void discard_row(const Now& now, RetryRow row, Todo& todo);
    void end_fresh(const PickedDelivery& picked, Doing& doing, Todo& todo);
    void end_unstarted(const PickedDelivery& picked, Doing& doing, Todo& todo);
    // In lane_drain.cpp.
    [[nodiscard]] bool beyond_drain() const { return drain_through_ && window_.next_sequence() > *drain_through_; }
    void end_drain(const Now& now, Todo& todo);
    void settled_later(const std::vector<DeliveryKey>& ahead) noexcept;
    // In lane_moves.cpp.
    void move_row(RetryRow row, Doing& doing, Todo& todo);
    void move_on(RetryRow row, bool fresh, Doing& doing, Todo& todo);
    void hasten(const Now& now, RetryRow row, Todo& todo);
    [[nodiscard]] std::optional<std::uint32_t> flight_of(DeliveryKey key) const;
    [[nodiscard]] bool reads_key(const std::string& order_key) const;

    [[nodiscard]] RetryRow row_of(const Flight& flight) const;
    void keep(RetryRow row, std::optional<AttemptRecord> attempt, Todo& todo);
    [[nodiscard]] Attempt attempt_of(std::uint32_t ticket) const;
    [[nodiscard]] std::string_view rule_of(const Flight& flight) const;
    [[nodiscard]] const std::string& addressee_of(const Flight& flight) const;
    [[nodiscard]] DeliveryKey key_of(const Flight& flight) const;
    [[nodiscard]] static std::uint32_t number_of(const Flight& flight);
    void give_back(const Now& now, Flight& flight, Duration wait, Todo& todo);
    void end(const Now& now, Flight& flight, Ending ending, std::optional<DeadLetter> letter,
             std::optional<AttemptRecord> attempt, Todo& todo);
    void failed(const Now& now, Flight& flight, targets::Outcome& outcome, double draw, Todo& todo);
    void dead_letter(const Now& now, Flight& flight, const char* reason, std::uint32_t attempts,
                     targets::Outcome& outcome, Todo& todo);
    void note_failure(const Now& now, const targets::Outcome& outcome, Todo& todo);

    std::string target_;
    LaneLimits limits_;
    Random& random_;
    AgeClock ages_;
    bool doubtful_;
    bool configured_ = false;
    LaneSettings settings_;
    Window window_;
    Schedule schedule_;
    Forwards forwards_;
    KeyOrder keys_;
    std::map<std::string, OrderKey> paths_;       // parsed, by their text
    json::Document scratch_;
    Health health_;
    BudgetMeter budget_;
    Pace pace_;
    std::uint64_t came_ = 0;                      // deliveries, since the start
    std::string paused_;
    std::optional<Sequence> drain_through_;
    std::string drain_reason_;
    std::uint64_t drain_later_ = 0;               // accepted since, not settled ahead; counts while the window is below
    bool stopping_ = false;
    std::vector<Flight> flights_;
    std::vector<std::uint32_t> free_flights_;
    std::vector<Batch> batches_;
    std::vector<std::uint32_t> free_batches_;
    std::optional<std::uint32_t> gathering_;      // the batch that flights join
    std::deque<std::uint32_t> ready_;             // complete, to be sent; those without a place last
    bool retry_waits_ = false;                    // one that is due begins the next batch
    bool remake_ = false;                         // another batch policy: those not sent are made up anew
    std::uint32_t requests_ = 0;                  // batches that have a place among `concurrency`
    std::uint32_t in_flight_ = 0;
    std::uint32_t fresh_in_flight_ = 0, retries_in_flight_ = 0, forwards_in_flight_ = 0, unread_ = 0;
    std::uint64_t held_ = 0, delayed_ = 0;        // rows; the delayed are in schedule_
    std::uint32_t watchers_ = 0;
    std::set<DeliveryKey> touched_;               // rows written or ended while there are watchers
    std::set<DeliveryKey> expected_;              // on their way here from another target
    std::uint8_t turn_ = 0;
    bool fresh_turn_ = true;             // of what starts ahead of the disk
    std::uint64_t uncommitted_ = 0, uncommitted_bytes_ = 0;
    std::size_t rendered_ = 0;  // bytes of Flight::sent
    Settled unflushed_;
    SteadyTime hold_until_{};              // after Cause::internal
    SteadyTime read_not_before_{};         // after a failed read of the journal or the state
    std::optional<SteadyTime> token_at_;   // the bucket is empty until then
    std::optional<SteadyTime> overdue_at_; // something may end without an attempt then
    std::optional<targets::Outcome> last_failure_;  // of a target that looks down
    LogThrottle failing_log_, dead_log_, read_log_, expired_log_, key_log_, full_log_, budget_log_;
    bool failing_noted_ = false;
    LaneCounters counters_;
};

}  // namespace eventyard::router
