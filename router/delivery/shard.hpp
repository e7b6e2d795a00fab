// router/delivery/shard.hpp — the lanes and targets of one I/O thread: does what lanes ask for.
//
// Every member function runs on the thread of `io`, except post(). Decides nothing about
// deliveries: that is lane.hpp.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "router/delivery/alarm.hpp"
#include "router/delivery/engine.hpp"
#include "router/delivery/lane.hpp"
#include "targets/target.hpp"

namespace eventyard::router {

/// What the control thread may read of a lane at any time.
struct LaneGauge {
    std::atomic<std::uint64_t> pending{0};
};

/// What is known of a target's token bucket at a start.
struct RateStart {
    bool used = false;               // in an earlier run; its tokens may be spent
    std::optional<WallTime> full;    // see TargetRate; none: that run did not stop in order
};

/// What one lane does from now on.
struct LanePlan {
    std::string lane;
    std::optional<TargetSpec> spec;  // its own, or the renamed target's; none: orphaned
};

class Shard : public std::enable_shared_from_this<Shard> {
public:
    struct Place {
        boost::asio::io_context& io;
        Journal& journal;
        State& state;
        const Clock& clock;
        Random& random;
        Waits& waits;
        std::uint32_t number;
        /// Tells every shard that dead letters for these targets are durable.
        std::function<void(const std::vector<std::string>&)> forwarded;
    };

    Shard(Place place, EngineOptions options);
    ~Shard();

    /// Any thread: runs `work` on this shard's.
    template <class Work>
    void post(Work work)
    {
        boost::asio::post(place_.io, [self = shared_from_this(), work = std::move(work)]() mutable {
            work(*self);
        });
    }

    void begin(Sequence seen);
    void add_lane(LaneStart start, std::string kind, RateStart rate, std::shared_ptr<LaneGauge> gauge, bool reload);
    void apply(const std::vector<LanePlan>& plans, std::size_t window_bytes, bool reload);
    void on_commit(const CommitBatchPtr& batch);
    void look(const std::vector<std::string>& targets);
    void pause(const std::string& target, std::string reason, std::function<void(Result<void>)> done);
    void resume(const std::string& target, std::function<void(Result<void>)> done);
    void drain(const std::string& target, std::string reason, std::function<void(Result<std::uint64_t>)> done);
    void retry_now(const std::string& target);
    void release_keys(const std::string& target, const std::string& order_key,
                      std::function<void(Result<std::size_t>)> done);
    void redrive(const std::string& target, std::vector<RetryRow> rows, std::function<void(Result<void>)> done);
    [[nodiscard]] std::vector<LaneView> views(const std::string& target);
    std::uint64_t drop_copies(const Id& event);
    void act(const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
             std::function<void(Result<Acted>)> done, const std::string& to = {});
    void expect(const std::string& target, const std::vector<DeliveryKey>& keys);
    void take_in(const std::string& target, const std::vector<DeliveryKey>& expected, std::vector<RetryRow> rows);
    void stop(Duration grace, std::function<void()> done);
    void look_at(const LaneLook& look) const;
    /// Hands over what has settled first, and asks the state for the ledger right after it, so that what is counted
    /// there as ended and here as pending is of one moment. `done` runs on the state's thread.
    void status(std::function<void(std::vector<TargetStatus>)> done);

private:
    /// One Target at work; the lanes of a renamed target share it with the new name's.
    struct Running {
        TargetSpec spec;
        std::string identity;                  // kind and fingerprint
        std::unique_ptr<targets::Target> target;  // null: waits for the former one at its address to end
        TokenBucket bucket;
        std::uint32_t lanes = 0;
        std::uint32_t in_flight = 0;              // requests
        bool retired = false;
        bool closed = false;
    };
    using RunningPtr = std::shared_ptr<Running>;

    struct Entry {
        Entry(std::size_t n, LaneStart start, const LaneLimits& limits, Random& random)
            : number(n), dead_letters(start.dead_letters), lane(std::move(start), limits, random)
        {
        }
        std::size_t number;                    // in the order in which they came
        std::uint64_t dead_letters;
        Lane lane;
        std::string kind;
        RateStart rate;
        RunningPtr running;
        std::shared_ptr<LaneGauge> gauge;
        bool touched = false;                  // in touched_
        bool dirty = false;                    // in dirty_: its position goes with the next flush
        bool idle_marked = false;              // the state moves its cursor with the shard's idle mark
        SteadyTime last_work{};
        std::optional<SteadyTime> wake;        // in wakes_
    };

    [[nodiscard]] Now now() const;
    [[nodiscard]] Entry* find(const std::string& target) const;
    const std::vector<Entry*>& entries_of(const RoutingVersion& version);
    void touch(Entry& entry);
    void touch_all_of(const Running& running);
    void schedule_pump();
    void pump_touched();
    void pump(Entry& entry);
    void collect(Entry& entry);
    void perform(Entry& entry);
    void note(const Entry& entry, const Note& note) const;
    void set_wake(Entry& entry, std::optional<SteadyTime> at);
    void arm_wake();
    void arm_flush();
    void flush(std::function<void(const Result<void>& durable)> then = nullptr);
    void tick();
    void arm_tick();

    static targets::Task<void> attempt(std::shared_ptr<Shard> self, Entry* entry, RunningPtr running,
                                       Request what);
    void attempt_ended(Entry& entry, const RunningPtr& running, std::uint32_t ticket,
                       std::vector<targets::Outcome> outcomes);
    RunningPtr run(const TargetSpec& spec, bool reload);
    void make_waiting();
    void retire(const RunningPtr& running);
    void close(Running& running);
    [[nodiscard]] std::uint64_t in_flight() const;
    void continue_stop();
    void finish_stop();

    Place place_;
    EngineOptions options_;
    std::map<std::string, std::unique_ptr<Entry>> entries_;
    std::map<std::string, RunningPtr> running_;    // by the spec's name
    std::vector<RunningPtr> retired_;              // until their attempts end
    std::unordered_map<std::uint64_t, std::vector<Entry*>> routes_;  // by routing version
    Sequence seen_ = 0;
    Sequence idle_through_ = 0;
    Todo todo_;
    std::vector<Entry*> touched_, dirty_;
    bool pump_posted_ = false;
    std::map<std::pair<SteadyTime, std::size_t>, Entry*> wakes_;  // by time, then number: the same in every run
    std::optional<SteadyTime> wake_armed_;
    bool flush_armed_ = false;
    std::size_t listed_ = 0;                       // settled keys of the last flush
    std::unique_ptr<Alarm> wake_alarm_, flush_alarm_, tick_alarm_, stop_alarm_;
    enum class Stage : std::uint8_t { running, draining, closing, finishing, stopped };
    Stage stage_ = Stage::running;
    std::function<void()> stopped_;
};

}  // namespace eventyard::router
