// router/delivery_desk.hpp — pending deliveries for operators: lists, discards and moves them, makes them due.
//
// A pending delivery has a row of the state (between two attempts, delayed, held by its order key), or it lies in the
// journal above its target's cursor and is not settled there. A list walks over the journal first, target by target,
// then over the rows by sequence: a delivery may move from there to here meanwhile and is then listed twice, but
// none is missed. What an event's damage made unreadable is not listed.
//
// An act is a list whose deliveries are handed to their lanes, which alone know where each is by then. Lists and acts
// are done a bounded piece a call; the answer says where the next piece begins.
//
// Made, called and destroyed on one thread, to which answers of journal, state and lanes are posted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "router/delivery/hands_on.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

struct DeliveryPage {
    std::vector<PendingDelivery> deliveries;
    std::string next;                    // where to go on; empty: that was all
};

/// What a piece of an act has done, durably.
struct DeliveriesActed {
    std::uint64_t done = 0, in_flight = 0, held = 0;  // see Acted
    std::string next;                    // as of a page
};

class DeliveryDesk {
public:
    struct Hooks {
        /// Runs something on the desk's thread, later.
        std::function<void(std::function<void()>)> post;
        /// Engine::views.
        std::function<void(std::string target, std::function<void(std::vector<LaneView>)> done)> views;
        /// Engine::act. Errc::unavailable: not now, try again.
        std::function<void(std::string target, DeliveryAct what, std::vector<PickedDelivery> picked,
                           std::function<void(Result<Acted>)> done)>
            act;
        /// Engine::move, as act.
        std::function<void(std::string from, std::string to, std::vector<PickedDelivery> picked,
                           std::function<void(Result<Acted>)> done)>
            move;
    };

    /// Journal and state outlive the desk and everything it asked of them.
    DeliveryDesk(Journal& journal, State& state, Hooks hooks);
    ~DeliveryDesk();
    DeliveryDesk(const DeliveryDesk&) = delete;
    DeliveryDesk& operator=(const DeliveryDesk&) = delete;

    /// @param after  `next` of the page before, or empty. Errc::invalid: it is not that
    /// @param limit  deliveries; fewer come where much had to be looked at
    void list(DeliveryFilter filter, std::string after, std::size_t limit, std::function<void(Result<DeliveryPage>)> done);
    /// Answers when the piece is durable.
    /// @param act  for the log
    void act(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
             std::function<void(Result<DeliveriesActed>)> done);
    /// Deliveries of filter.target, which is sent nothing now, go on as those of `to`. As act().
    void move(DeliveryFilter filter, std::string to, std::string after, std::size_t limit, Act act,
              std::function<void(Result<DeliveriesActed>)> done);

private:
    struct Desk;
    std::shared_ptr<Desk> desk_;
};

}  // namespace eventyard::router
