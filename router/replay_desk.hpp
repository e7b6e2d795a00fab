// router/replay_desk.hpp — replays: events of the past, matched by the rules of today, delivered again.
//
// An event that matches is appended to the journal as a new event with routes of its own
// (replay_name.hpp), in the order in which it first came, so its deliveries have the same promises and
// are counted like all others. Before a batch goes to the journal the replay's file says where it will
// be afterwards, and above which sequence to look for it; a batch is one commit unit. So after a crash
// one look into the journal tells whether the batch is there, and nothing is left out or repeated. What
// is to be read or looked for is kept in the journal until then.
//
// One replay runs at a time, in the order asked; a dry run waits for none. tick() comes on one thread,
// where it may block; the rest on any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "router/history.hpp"
#include "router/archive/replay.hpp"
#include "router/route_table.hpp"
#include "router/segment_release.hpp"
#include "router/state/dead_letter.hpp"

namespace eventyard::router {

class ReplayDesk {
public:
    static constexpr double per_second_max = 1'000'000;
    static constexpr std::size_t kept_max = 100;  // that have ended

    /// The references outlive this.
    ReplayDesk(Disk& disk, const Clock& clock, Random& random, Journal& journal, const ArchiveDesk& archives,
               std::string data_dir);
    ~ReplayDesk();
    ReplayDesk(const ReplayDesk&) = delete;
    ReplayDesk& operator=(const ReplayDesk&) = delete;

    /// Reads the replays of earlier lives; those under way go on with the next tick().
    Result<void> start();
    /// At short intervals: some work on the replay under way and on each dry run. True: there is more at once.
    bool tick(const RouteTablePtr& table);

    /// Nothing that was read of the past stays in memory: what is under way reads on from where it is. Where tick() comes.
    void read_anew();

    /// Answers when the replay is durable. Errc::not_found: no such bus, rule or target.
    Result<ReplayJob> replay(const RouteTable& table, ReplayRequest request, const Act& act);
    /// What is in the journal by then is delivered.
    Result<ReplayJob> cancel(std::int64_t id, const Act& act);
    [[nodiscard]] std::vector<ReplayJob> replays() const;
    /// What the replays under way have still to read: until then it has to stay in the journal.
    [[nodiscard]] std::vector<SequenceRange> kept() const;

private:
    struct Run;  // of a replay under way: what of it is only in memory
    Result<bool> advance(ReplayJob& job, const RouteTable& table);
    Result<bool> step(ReplayJob& job, Run& run, const RouteTable& table);
    Result<void> reconcile(ReplayJob& job);
    Result<void> map_routes(const ReplayJob& job, Run& run, const RouteTable& table);
    Result<bool> gather(const ReplayJob& job, Run& run, const RouteTable& table, std::size_t most);
    Result<void> commit(ReplayJob& job, Run& run);
    void end(ReplayJob& job, ReplayState state, std::string message);
    Result<void> save(const ReplayJob& job);
    [[nodiscard]] std::string path(std::int64_t id) const;
    void publish(const ReplayJob& job);
    void forget_old();

    Disk& disk_;
    const Clock& clock_;
    Random& random_;
    Journal& journal_;
    const ArchiveDesk& archives_;
    const std::string directory_;
    // The ticking thread only.
    std::map<std::int64_t, std::unique_ptr<Run>> runs_;
    bool committed_ = false;                    // a batch, in this step
    std::map<std::int64_t, SteadyTime> waits_;  // of those that cannot go on now

    mutable std::mutex mutex_;  // what follows
    std::map<std::int64_t, ReplayJob> jobs_;
    std::map<std::int64_t, Sequence> marks_;    // of those whose files may say that a batch is under way
    std::int64_t last_id_ = 0;
};

}  // namespace eventyard::router
