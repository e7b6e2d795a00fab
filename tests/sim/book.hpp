// tests/sim/book.hpp — the world's own account: what was promised, what arrived, what was said of it.
//
// Kept from outside: from what ingest was answered, what targets saw, what was handed to the state and
// when that became durable. It knows nothing of cursors, windows or segments, and finds fault where
// the router's word and the world part.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "router/delivery/lane.hpp"
#include "router/journal/record.hpp"
#include "router/state/state.hpp"
#include "tests/sim/coverage.hpp"

namespace eventyard::sim {

using namespace router;

class Book {
public:
    struct Delivery {
        std::uint64_t taken = 0;                // times the far end has it
        std::uint64_t confirmed_life = 0;       // in which the router was told so; 0: never
        std::optional<Ending> ended;            // as last handed to the state
        std::uint64_t ended_life = 0;
        bool ended_durable = false;
        bool was_over = false;                  // an end was durable once; a state that was lost may not know
        bool in_flight = false;
        std::set<std::string> forward_to;       // of its dead letter; of several where state.db was lost
        std::string ended_at;                   // at which target
        std::string counted_at;                 // in unsettled_, of confirmed_life
        // Moved from one target to the next: the last has it. A crash may have taken back moves of its life.
        std::vector<std::string> chain;
        std::uint64_t chain_life = 0;
        std::set<std::string> been;             // ever moved to
    };
    struct Event {
        std::shared_ptr<StoredEvent> stored;
        std::uint64_t unit = 0;
        enum class Answer : std::uint8_t { none, accepted, repeated, refused, uncertain } answer = Answer::none;
        bool published = false;                 // in the journal, as far as this life knows
        bool gone = false;                      // the last start did not find it
        bool key_sure = true;                   // nothing but its window ends what is known of its key
        const Event* before = nullptr;          // was accepted with the same key, and should be known still
        enum class Erased : std::uint8_t { no, asked, done } erased = Erased::no;
        std::vector<Delivery> deliveries;
    };

    explicit Book(Coverage& coverage) : coverage_(coverage) {}

    std::function<void(const std::string&)> trace;  // may be empty
    /// First violation; empty: none.
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
    void violated(const std::string& what)
    {
        if (fault_.empty()) fault_ = what;
    }

    /// How targets keep order, by name; what is not here keeps none.
    std::map<std::string, Order> order;
    std::set<std::string> budgets;           // targets that had a budget once
    std::set<std::string> unordered;  // but no more
    std::map<std::string, std::set<std::string>> renamed;  // to which names
    /// Of an event, as the world makes its bodies; empty: none.
    [[nodiscard]] static std::string key_of(const eventyard::Event& event);

    /// What the rule said at acceptance that its target gets, of the inputs that the world makes.
    [[nodiscard]] static std::string sent_of(const StoredEvent& stored, std::uint32_t route);

    // What state.db forgot by damage or loss may be delivered and counted again.
    bool forgetful = false;
    /// Sequences whose stored bytes were hit by rot.
    std::set<Sequence> hit;

    // --- a life -------------------------------------------------------------------------------------

    void begin_life(const StateSnapshot& snapshot);
    [[nodiscard]] std::uint64_t life() const noexcept { return life_; }
    /// @param find  the event as the journal has it, or why not
    /// @param no_space  the start met a full disk: it could not write down what of a tail is torn
    void recovered(const std::function<Result<StoredEventPtr>(Sequence)>& find, bool no_space);
    void end_life(bool crashed);

    // --- what happens -------------------------------------------------------------------------------

    /// @param keys_last  so many keys are known that none is forgotten early
    void submitted_unit(std::uint64_t unit, const std::vector<std::shared_ptr<StoredEvent>>& events, WallTime now, bool keys_last);
    void answered_unit(std::uint64_t unit, const Result<CommitResult>& result, WallTime now);
    /// What was known of keys may have been forgotten, since they seemed to be old or of the future.
    void clock_jumped();
    void published(const CommitBatch& batch);
    /// @returns a reason not to go on; empty: a delivery that may be attempted
    void attempted(const Id& event, const std::string& rule, const std::string& id, const std::string& at, const std::string& body);
    /// @param took, told  the far end has it; the router is told so
    void attempt_ended(const Id& event, const std::string& rule, const std::string& id, bool took, bool told);
    /// One that the journal has been seen to have, by a number drawn; none: there is none.
    [[nodiscard]] std::optional<Id> published_event(const std::function<std::uint64_t(std::uint64_t below)>& pick) const;
    void erasing(const Id& event);
    void erased(const Id& event);
    /// What must not be found anywhere any more.
    [[nodiscard]] std::vector<std::string> forgotten() const;
    /// The part of a body that no other event has.
    [[nodiscard]] static std::string secret_of(const eventyard::Event& event);
    /// So many deliveries are on their way to a target, or no more.
    void moving(const std::string& to, std::int64_t count) { moving_[to] += count; }
    [[nodiscard]] bool moving() const;
    void handed_over(const std::vector<Change>& changes);
    void durable(const std::vector<Change>& changes);

    // --- checks -------------------------------------------------------------------------------------

    void check_lane(const Lane& lane, Sequence seen, const std::vector<Change>& unflushed);
    /// What a crash now would repeat of this lane.
    void check_repeats(const Lane& lane);
    void check_ledger(const std::vector<LedgerRow>& rows);
    [[nodiscard]] std::uint64_t events() const noexcept { return events_.size(); }
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t deliveries_taken() const noexcept { return taken_; }

private:
    struct Place {
        Event* event;
        std::uint32_t route;
        [[nodiscard]] Delivery& delivery() const { return event->deliveries[route]; }
    };
    [[nodiscard]] std::optional<Place> find(const Id& event, const std::string& rule, const std::string& id);
    [[nodiscard]] std::optional<Place> find(DeliveryKey key);
    [[nodiscard]] std::optional<Place> find(const std::string& target, DeliveryKey key);
    [[nodiscard]] static const std::string& own_target(const Place& place);
    [[nodiscard]] bool holds(const Place& place, const std::string& target);
    [[nodiscard]] bool leads_to(const std::set<std::string>& from, const std::string& to) const;
    void moved(const Moved& change);
    void note_order(const Place& place, const std::string& target);
    void check_order(const std::string& target, const std::vector<Change>& unflushed);
    void repeated(Event& event, const Repeated& one, WallTime now);
    [[nodiscard]] const Event* known_before(const StoredEvent& stored, WallTime now) const;
    void publish(Event& event);
    void numbered(Event& event);
    [[nodiscard]] bool behind_rot(Sequence sequence) const;
    /// Deliveries of events that rot hit: their envelope may be gone, and their names with it. A lane that has not come to
    /// them counts those too few, and those again that ended before and are taken off what it counted.
    /// @param above  only of those with a higher sequence
    [[nodiscard]] std::uint64_t unnamed(const std::string& target, Sequence above = 0) const;
    [[nodiscard]] static std::string name(const Event& event, std::uint32_t route);

    Coverage& coverage_;
    std::string fault_;
    std::map<Id, std::unique_ptr<Event>> events_;
    std::map<Sequence, Event*> by_sequence_;
    std::map<std::uint64_t, std::vector<Event*>> units_;
    std::map<EventKey, std::vector<const Event*>> keys_;  // accepted with that key
    std::map<std::string, std::vector<Sequence>> promised_;  // published deliveries, by target; ascending
    std::uint64_t life_ = 0, accepted_ = 0, taken_ = 0;
    std::map<std::string, std::uint64_t> ended_before_, ended_now_;  // by target: at start; handed over since
    std::map<std::string, std::uint64_t> moved_in_;   // by target
    std::map<std::string, std::int64_t> moving_;      // by target: moves under way to it, of which it may not know yet
    struct Before {  // was attempted with these not over yet, as far as the state has been told
        std::string what;
        std::vector<DeliveryKey> open;
    };
    std::map<std::string, std::vector<Before>> before_;  // by target, since its lane was last looked at
    std::map<std::string, std::uint64_t> unsettled_;  // by target: told as taken in this life, ending not durable
};

}  // namespace eventyard::sim
