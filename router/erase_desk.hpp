// router/erase_desk.hpp — a request to be forgotten: one event's body leaves everything that this daemon keeps.
//
// First what is pending of it ends, then the body goes: from journal, archives and dead letters, with what receivers answered
// to it, and at last from memory. What it was, when it came, where it went and how that ended stays. Each step can be done
// again, so after a crash or an error the same request ends what the first began; what lanes meet of an erased event until
// then, they end as discarded.
//
// erase() comes where archives and replays have their turns, so neither can take the body somewhere else meanwhile; it blocks
// until all of it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "router/archive_desk.hpp"
#include "router/delivery/alarm.hpp"
#include "router/delivery/hands_on.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

/// What was found of an event, now or by an earlier request.
struct Erased {
    std::uint64_t journal = 0;           // events: the accepted one, and those that replays made of it
    std::uint64_t archive_files = 0;
    std::uint64_t dead_letters = 0;
    std::uint64_t discarded = 0;         // pending deliveries that ended
    std::uint64_t in_flight = 0;         // and those that end with their attempt
    std::vector<std::string> left;       // copies below the data directory that somebody made: they may hold the body
};

class EraseDesk {
public:
    struct Hooks {
        std::function<bool()> stopping;
        /// Pipeline::hold_segments, let_segments_go.
        std::function<bool()> hold;
        std::function<void()> let_go;
        /// Engine::act with DeliveryAct::discard. Errc::not_found: there is no such lane.
        std::function<void(const std::string& target, std::vector<PickedDelivery> picked, std::function<void(Result<Acted>)> done)>
            discard;
        /// Engine::drop_copies.
        std::function<void(const Id& event, std::function<void(std::uint64_t in_flight)> done)> drop_copies;
        /// ReplayDesk::read_anew.
        std::function<void()> read_anew;
    };

    /// The references outlive this and everything it asked of them.
    EraseDesk(Disk& disk, Waits& waits, Journal& journal, State& state, ArchiveDesk& archives, std::string data_dir, Hooks hooks)
        : disk_(disk), waits_(waits), journal_(journal), state_(state), archives_(archives),
          data_dir_(std::move(data_dir)), hooks_(std::move(hooks))
    {
    }

    /// @param act  for the log
    /// Errc::not_found: nothing here has it; unavailable: not now, ask again
    Result<Erased> erase(const Id& event, const Act& act);

private:
    using Picked = std::map<std::string, std::vector<PickedDelivery>>;  // by target
    Result<Erased> erase_held(const Id& event);
    Result<void> end_kept(const Id& event, std::set<Sequence>& sequences, Erased& sum);
    Result<void> end_rows(const Id& event, std::set<Sequence>& sequences, Erased& sum);
    Result<void> end_pending(Picked picked, Erased& sum);
    Result<void> count_letters(const Id& event, std::set<Sequence>& sequences, Erased& sum);
    void note_copies(Erased& sum);
    template <class T, class Ask>
    Result<T> wait(Ask ask);

    Disk& disk_;
    Waits& waits_;
    Journal& journal_;
    State& state_;
    ArchiveDesk& archives_;
    const std::string data_dir_;
    const Hooks hooks_;
};

}  // namespace eventyard::router
