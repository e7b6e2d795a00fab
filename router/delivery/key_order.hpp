// router/delivery/key_order.hpp — an ordered target's keys: whose turn it is, and who waits behind whom.
//
// Of each key one delivery at a time is the *first*: under way, or waiting for its retry or its time. Others of
// the key wait: in memory as long as the first is only under way; when it fails, its key is *parked*, and
// they become rows of the state (RetryRow::held), so that the lane moves on past them whatever their number.
// When the first has ended the next one by sequence becomes the first. A key that waits for nothing is
// forgotten. There are rows of a key only where its first is one too, or has ended: so after a crash what comes
// anew from the journal is later than all of them. Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "router/journal/record.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class KeyOrder {
public:
    /// A delivery of the window that has started there and waits for its turn.
    struct Waiting {
        std::uint64_t slot = 0;
        std::uint32_t route = 0;
        StoredEventPtr event;
    };
    enum class Turn : std::uint8_t {
        first,   // it may be attempted
        behind,  // wait() keeps it
        hold,    // becomes a row: count it with add_row()
    };

    explicit KeyOrder(const std::vector<ParkedKey>& parked);

    /// A delivery of `key` comes, in the order of the journal.
    [[nodiscard]] Turn arrive(const std::string& key);
    void wait(const std::string& key, Waiting waiting);
    void add_row(const std::string& key);

    /// A row that waits ends before its turn.
    void drop_row(const std::string& key);
    /// One that waits in memory ends before its turn; empty: none of this slot waits.
    [[nodiscard]] std::optional<Waiting> drop_waiting(std::uint64_t slot);
    /// The slots of those that wait in memory.
    [[nodiscard]] std::vector<std::uint64_t> waiting_slots() const;

    /// The first failed, or its time has not come. Returns who waited in memory: they become rows now.
    [[nodiscard]] std::vector<Waiting> park(const std::string& key);
    /// The first has ended.
    void ended(const std::string& key);
    /// The first, from the window, is to start anew there, and so are those who waited in memory.
    [[nodiscard]] std::vector<Waiting> give_back(const std::string& key);
    /// The first, from a row, is to start anew. Returns who waited in memory: they become rows now, or a later
    /// one that is held would overtake them after a crash.
    [[nodiscard]] std::vector<Waiting> put_back(const std::string& key);

    /// take() may give a key whose next can start; that is the first from now on.
    [[nodiscard]] bool ready() const noexcept { return !ready_.empty(); }
    struct Next {
        std::string key;
        std::optional<Waiting> waiting;  // none: the first row of the key, to be read from the state
    };
    [[nodiscard]] std::optional<Next> take();
    /// That read found no row.
    void missing(const std::string& key);

    /// Nothing of the key goes on until an operator says so.
    void hold(const std::string& key);
    /// @returns the keys that go on; empty `key`: all
    std::vector<std::string> release(const std::string& key);

    [[nodiscard]] std::size_t parked() const noexcept { return parked_; }
    [[nodiscard]] std::size_t on_hold() const noexcept { return on_hold_; }
    [[nodiscard]] std::uint64_t waiting() const noexcept { return waiting_; }
    [[nodiscard]] std::size_t known() const noexcept { return keys_.size(); }

private:
    struct Key {
        bool busy = false;     // there is a first
        bool failed = false;   // it has a row of its own
        bool hold = false;
        bool listed = false;   // in ready_
        std::uint64_t rows = 0;
        std::deque<Waiting> waiting;
        [[nodiscard]] bool parked() const noexcept { return failed || hold || rows > 0; }
    };

    static std::vector<Waiting> take_waiting(Key& key);
    /// Changes one key and what is counted of all.
    template <class Change>
    auto change(const std::string& key, Change what);

    std::unordered_map<std::string, Key> keys_;
    std::deque<std::string> ready_;
    std::size_t parked_ = 0, on_hold_ = 0;
    std::uint64_t waiting_ = 0;
};

}  // namespace eventyard::router
