// router/delivery/engine.hpp — runs the lanes and their targets on the I/O threads.
//
// Each target's Lane and Target live on one I/O thread (a Shard). The journal's thread hands over
// every commit with one message a thread; answers of journal and state are posted to the lane's
// thread; changes of the state are gathered a thread and handed over every few milliseconds, with
// the lanes' positions in the same submit, so that endings and cursors are durable together.
//
// After a crash a target gets again at most its TargetStatus::in_flight + uncommitted of that moment.
//
// A renamed target (`renamed_from`) takes over the former one's work without touching what is
// stored: the former lane stays, under its name, and is drained through the new target. Delivery ids
// therefore stay the same. Keep `renamed_from` until status shows nothing pending there.
//
// Order of life: journal and state are open, start(), journal's listener calls on_commit(), ...,
// stop(), journal and state stop, the I/O threads end, the engine is destroyed. Control calls
// come from one thread that is not an I/O thread, callbacks on any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "router/delivery/lane.hpp"
#include "router/delivery/target_status.hpp"
#include "router/io_threads.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"
#include "router/target_spec.hpp"

namespace eventyard::router {

struct EngineOptions {
    LaneLimits lane;
    std::size_t window_bytes = 64U << 20;      // of all lanes' windows together, shared out evenly
    Duration flush_interval = std::chrono::milliseconds{5};
    std::size_t flush_changes = 1024;          // hand over at once when so many have gathered
    Duration idle_after = std::chrono::seconds{1};
    Duration start_patience = std::chrono::seconds{5};  // start() waits so long for a state that cannot write
    Duration close_grace = std::chrono::seconds{2};  // for attempts to end after their target was closed
};

class Shard;
class Waits;
/// @param seen  sequence its thread was told of; @param unflushed  changes not handed over yet, of all its lanes
using LaneLook = std::function<void(const Lane& lane, Sequence seen, const std::vector<Change>& unflushed)>;
struct LaneGauge;
struct RateStart;

class Engine {
public:
    /// The references outlive the engine and everything it posted.
    Engine(IoThreads& threads, Journal& journal, State& state, const Clock& clock, Random& random,
           Waits& waits, EngineOptions options = {});
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Makes a lane for every target of the configuration, the state and the journal, at its cursor; those
    /// without a trustworthy one start at the oldest kept event. Blocks until their positions are
    /// durable, or the state took longer than `start_patience`. Refuses a change of kind as a reload does.
    /// Once, before the first on_commit().
    Result<void> start(const std::vector<TargetSpec>& specs, const StateSnapshot& snapshot);

    /// A durable commit. On the journal's thread, in order.
    void on_commit(const CommitBatchPtr& batch);

    /// Whether a reload to `specs` would be accepted: a target's kind may change only while nothing is
    /// pending or with adopt_pending; renamed_from must name a target that is gone.
    [[nodiscard]] Result<void> can_replace(const std::vector<TargetSpec>& specs) const;
    /// First half of a reload: new targets get a durable cursor and a lane. When `done` brings no
    /// error, the new route table may take effect with commit(), or abandon() drops it.
    /// `done` may run before this returns.
    void prepare(std::vector<TargetSpec> specs, std::function<void(Result<void>)> done);
    /// Second half: unchanged targets keep everything and reopen(), changed ones are replaced while
    /// their running attempts end, removed ones become orphans. Call it after the new route table
    /// took effect, or right before.
    void commit();
    void abandon();

    [[nodiscard]] bool knows(const std::string& target) const { return known_.contains(target); }
    /// Result of these: whether there is such a target. `done`, where there is one, runs when that is durable or cannot be,
    /// on any thread; not at all when false is returned.
    [[nodiscard]] bool pause(const std::string& target, std::string reason, std::function<void(Result<void>)> done = nullptr);
    [[nodiscard]] bool resume(const std::string& target, std::function<void(Result<void>)> done = nullptr);
    /// See Lane::drain(). `done` gets how many deliveries are left when that is durable, on any thread; not at all when
    /// false is returned.
    [[nodiscard]] bool drain(const std::string& target, std::string reason, std::function<void(Result<std::uint64_t>)> done);
    /// Everything that waits for a retry is due now, and a target that looks down is tried at once.
    [[nodiscard]] bool retry_now(const std::string& target);
    /// Gives dead letters another chance, see Lane::redrive(). `done` runs when that is durable, on any
    /// thread; not at all when false is returned.
    [[nodiscard]] bool redrive(const std::string& target, std::vector<RetryRow> rows,
                               std::function<void(Result<void>)> done);

    /// Keys of an ordered target that are held since a dead letter go on; empty: all. `done` gets how many when that
    /// is durable, on any thread; not at all when false is returned.
    [[nodiscard]] bool release_keys(const std::string& target, const std::string& order_key,
                                    std::function<void(Result<std::size_t>)> done);

    /// What lanes have pending that has no row of the state; empty: of all targets. Sorted by name; on an I/O thread.
    void views(const std::string& target, std::function<void(std::vector<LaneView>)> done) const;
    /// See Lane::act(). `done` runs when all of it is durable, on any thread; not at all when false is returned.
    [[nodiscard]] bool act(const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                           std::function<void(Result<Acted>)> done);

    /// See Lane::drop_copies(). `done` runs on an I/O thread once all requests that were made up before have begun, and
    /// is told how many copies are under way.
    void drop_copies(const Id& event, std::function<void(std::uint64_t in_flight)> done) const;

    /// Moves deliveries of `from` to `to`, which need not share a thread. `done` as of act(); between its call and that,
    /// no status() balances: what has left one lane is not in the other yet.
    [[nodiscard]] bool move(const std::string& from, const std::string& to, std::vector<PickedDelivery> picked,
                            std::function<void(Result<Acted>)> done);

    /// Gathers over all threads; sorted by name. Calls back on a thread of the state. See Pipeline::between_commits().
    void status(std::function<void(std::vector<TargetStatus>)> done) const;

    /// Shows every lane at once. Only where no other thread runs: in the simulator.
    void look_at(const LaneLook& look) const;

    /// Starts no attempt any more, waits up to `grace` for those in flight, closes the targets, hands
    /// over what settled and waits for it to be durable. `done` runs on an I/O thread.
    void stop(Duration grace, std::function<void()> done);

private:
    struct Known {
        std::size_t shard = 0;
        std::string kind;                      // empty: unknown
        bool stored = false;                   // the state has its cursor for certain
        std::shared_ptr<LaneGauge> gauge;
    };

    /// Has every shard give a part, by ask(shard, take), and brings all of it, sorted by `name`, to `done`.
    template <class Part, class Ask, class Name>
    void gather(Ask ask, Name name, std::function<void(std::vector<Part>)> done) const;

    Result<std::vector<DeliveryKey>> retry_keys(Sequence first, Sequence last, const std::string& target);
    [[nodiscard]] std::size_t least_loaded() const;
    [[nodiscard]] std::size_t shard_for(const TargetSpec& spec) const;
    void add_lane(const std::string& name, std::size_t shard, const std::string& kind, LaneStart start,
                  const RateStart& rate, bool reload);
    void apply(const std::vector<TargetSpec>& specs, bool reload);
    Shard* find(const std::string& target) const;

    Journal& journal_;
    State& state_;
    Waits& waits_;
    EngineOptions options_;
    std::vector<std::shared_ptr<Shard>> shards_;
    std::map<std::string, Known> known_;       // every lane
    std::vector<TargetSpec> prepared_;
    bool is_prepared_ = false;
    AgeClock ages_;
};

}  // namespace eventyard::router
