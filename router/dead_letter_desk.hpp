// router/dead_letter_desk.hpp — what operators and retention do with dead letters.
//
// A redrive is a row of the state, so a restart goes on with it. It starts with a trial: the first
// ten deliveries go out, and while one of them fails the rest stays dead and the redrive stops. From
// then on it hands letters to their lanes at its rate. A letter is handed over together with the note
// of how far the redrive has come only afterwards, so a crash hands none over twice and skips none.
//
// Retention removes the oldest letters beyond a stated age or volume; each is counted as
// discarded_retention and told in the log; those beyond their target's budget as discarded_overflow. The state decides between two acts on one letter.
//
// Made, called and destroyed on one thread, to which answers of the state and the lanes are posted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "router/route_table.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class DeadLetterDesk {
public:
    struct Hooks {
        /// Runs something on the desk's thread, later.
        std::function<void(std::function<void()>)> post;
        /// Whether the configuration has the target now, or one that took over its name.
        std::function<bool(const std::string& target)> served;
        /// Engine::redrive; `done` on any thread. Errc::unavailable: not now, try again.
        std::function<void(std::string target, std::vector<RetryRow> rows, std::function<void(Result<void>)> done)> redrive;
        /// Brings, on any thread, why the target is sent nothing now; empty: it is, or that cannot be told now.
        std::function<void(std::string target, std::function<void(std::string)> done)> standstill;
    };

    static constexpr std::size_t trial_size = 10;
    static constexpr double per_second_max = 100'000;

    /// State and clock outlive the desk and everything it asked of them.
    DeadLetterDesk(State& state, const Clock& clock, Hooks hooks);
    ~DeadLetterDesk();
    DeadLetterDesk(const DeadLetterDesk&) = delete;
    DeadLetterDesk& operator=(const DeadLetterDesk&) = delete;

    /// Reads the redrives of earlier lives; those under way go on with the next tick().
    void start();
    /// Several times a second.
    /// @param budgets  bytes of bodies by target, see Budget::dead_letters
    void tick(const DeadLetterRetention& retention, const std::map<std::string, std::uint64_t>& budgets = {});

    /// Answers when the redrive is durable. Errc::not_found: no letter matches.
    void redrive(DeadLetterFilter filter, double per_second, Act act, std::function<void(Result<RedriveJob>)> done);
    /// What it has handed over stays handed over. Answers when that is known to the last letter.
    void cancel(std::int64_t id, const Act& act, std::function<void(Result<RedriveJob>)> done);
    [[nodiscard]] std::vector<RedriveJob> redrives() const;
    /// Answers with the number of letters when all of it is durable.
    /// @param dry_run  only counts
    void discard(DeadLetterFilter filter, bool dry_run, Act act, std::function<void(Result<std::uint64_t>)> done);
    /// Groups of the letters that match; most letters first.
    void groups(DeadLetterFilter filter, std::function<void(Result<std::vector<DeadLetterGroup>>)> done);

private:
    struct Desk;
    std::shared_ptr<Desk> desk_;
};

}  // namespace eventyard::router
