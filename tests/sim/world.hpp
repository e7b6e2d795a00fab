// tests/sim/world.hpp — the router in a world of its own: one seed, one run.
//
// The world owns time, chance, the disk, the targets and the order in which everything happens. A run
// is a number of steps, each of which is drawn from the seed and traced; then all faults stop, and
// everything has to come to an end. What is checked, and by whom, says book.hpp.
//
// world.cpp has the lives and the end, steps.cpp what may happen, faults.cpp what goes wrong, plants.cpp
// the mistakes put in on purpose.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "router/delivery_desk.hpp"
#include "router/erase_desk.hpp"
#include "router/pipeline.hpp"
#include "tests/sim/book.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/far_end.hpp"
#include "tests/sim/run.hpp"
#include "tests/sim/threads.hpp"

namespace eventyard::sim {

class SimClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override { return steady_; }
    [[nodiscard]] WallTime wall() const noexcept override { return wall_; }
    void pass(Duration time) noexcept
    {
        steady_ += time;
        if (!wall_stands) wall_ += time;
    }
    void jump(Duration time) noexcept { wall_ += time; }
    bool wall_stands = false;

private:
    SteadyTime steady_{std::chrono::hours{1000}};
    WallTime wall_{std::chrono::hours{500'000}};
};

constexpr std::size_t shards = 2;
constexpr std::uint32_t batch_max = 6;
constexpr Duration key_window = std::chrono::seconds{90};
constexpr Duration attempt_timeout = std::chrono::seconds{10};
inline const std::string data_dir = "/data";

/// Who can run.
enum class Actor : std::uint8_t { shard0, shard1, control, writer, reader, keeper, state, count };
inline constexpr std::array<const char*, 7> actor_names{"shard 0", "shard 1", "control", "writer", "reader", "keeper", "state"};

/// How a far end answers.
enum class Mood : std::uint8_t { works, fails, refuses, rejects, hangs, flaps, late, swallows, throttles, gone };
inline constexpr std::array<const char*, 10> mood_names{"works", "fails",    "refuses",   "rejects", "hangs",
                                                 "flaps", "is late", "takes it and fails", "throttles", "is gone"};

/// What the configuration says.
struct Table {
    std::vector<TargetSpec> specs;
    RoutingVersionPtr version;  // stored
};

/// One process: from a start to a crash or a stop.
struct Life {
    Life(const Clock& clock, std::function<bool()> go_on) : waits(clock, std::move(go_on)) {}
    ~Life()
    {
        waits.clear();
        deliveries.reset();
        line.reset();
    }
    SimWaits waits;
    IoThreads io{shards};
    std::deque<std::function<void()>> control;
    SimState* state = nullptr;
    SimJournal* journal = nullptr;
    std::unique_ptr<Pipeline> line;
    std::unique_ptr<DeliveryDesk> deliveries;
    bool started = false;
};

class World {
public:
    explicit World(const RunOptions& options);
    RunResult go();

private:
    [[nodiscard]] bool right() const { return book_.fault().empty(); }
    std::uint64_t pick(std::uint64_t below) { return dice_.next() % below; }
    bool one_in(std::uint64_t n) { return pick(n) == 0; }
    void note(const std::string& line)
    {
        for (const char c : line) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        if (options_.trace) options_.trace(std::to_string(step_) + ": " + line);
    }

    // --- the world as drawn -------------------------------------------------------------------------

    void draw_limits();
    void draw_first_table();
    void plant();
    TargetSpec spec_of(const std::string& name);
    RoutingVersion version_of(const std::vector<TargetSpec>& specs);
    Input draw_input();
    [[nodiscard]] std::optional<Uniqueness> once_of(const eventyard::Event& event) const;

    // --- lives ----------------------------------------------------------------------------------------

    void start();
    void end_life();
    void crash(const char* how);
    void stop_cleanly();
    void power_cut_if_frozen()
    {
        if (disk_.frozen()) crash("in the middle of something");
    }

    // --- steps ----------------------------------------------------------------------------------------

    void step();
    bool run_actor(Actor actor);
    bool run_any(bool fairly);
    bool ring_alarm();
    bool go_on();
    void others_meanwhile(const std::string& path);
    void pass(Duration time);
    void pass_to_next_alarm();
    void ingest();
    void answer_attempt();
    void answer(std::size_t place, targets::Outcome outcome, bool took);
    void arrived(Flight& flight);
    void expire_attempts();
    void reload();
    void restart_targets(Table& wanted);
    std::optional<Error> disk_fault(Call call, const std::string& path);
    void draw_disk_fault();
    void rot();
    void lose_state();
    void operate();
    void act_on_deliveries(const std::string& target);
    void move_deliveries(const std::string& from);
    void erase_event();
    void check_forgotten();
    [[nodiscard]] DeliveryDesk::Hooks delivery_hooks();
    bool send_cursors_first(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable);
    bool hold_new_cursors(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable);
    void recycled(const std::string& from, const std::string& to);
    void revive_frames();
    void store_keys_early(const CommitUnit& unit);
    StoredEventPtr with_new_inputs(const StoredEventPtr& event);
    void check();
    void settle();
    bool drained();
    void heal();

    RunOptions options_;
    SeededRandom dice_, chance_, disk_random_, inputs_, keys_;
    Coverage coverage_;
    SimClock clock_;
    SimDisk disk_;
    Book book_;
    Wires wires_;
    std::uint64_t step_ = 0, hash_ = 0xcbf29ce484222325ULL;

    Pipeline::Options limits_;
    bool rots_ = false, stands_still_ = false;
    Table table_, former_;
    std::set<std::string> names_;               // every target there ever was
    std::uint64_t made_names_ = 0, revision_ = 0, units_ = 0, secrets_ = 0, made_inputs_ = 0;
    BreakerPolicy breaker_;
    std::uint64_t order_offset_ = 0;
    std::uint32_t keys_max_ = 0;
    std::shared_ptr<FarSide> far_ = std::make_shared<FarSide>();
    std::map<std::string, Mood> moods_;         // by target; missing: works
    std::unique_ptr<Life> life_;
    std::array<bool, static_cast<std::size_t>(Actor::count)> busy_{};
    int depth_ = 0;
    bool main_busy_ = false;
    bool calm_ = false;                         // no more faults
    SteadyTime down_until_{};

    struct DiskFault {
        std::optional<Call> call;               // none: every changing call
        std::string below;
        std::uint64_t times = 0;                // so many more; UINT64_MAX: until it is healed
        Errc code = Errc::io;
    };
    std::optional<DiskFault> disk_fault_;
    SteadyTime disk_heals_{};

    // Of planted mistakes.
    std::uint64_t drop_retries_ = 0;
    std::optional<std::pair<SteadyTime, TargetKnown>> late_known_;
    std::map<std::string, Id> former_ids_;      // by path of what is recycled
};

}  // namespace eventyard::sim
