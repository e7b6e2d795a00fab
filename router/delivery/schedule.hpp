// router/delivery/schedule.hpp — one target's retries: the nearest in memory, the rest in the state.
//
// Every retry is a row of the state. In memory lie those that come first, in the state's order of
// (due, key), up to a horizon: a row at or before it is here, a row after it is only counted. When
// few are left the next ones are read. Due times in memory are steady time, so a wall clock that
// jumps delays nothing beyond its own delay. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "router/state/state.hpp"

namespace eventyard::router {

class Schedule {
public:
    /// Read rows after this position, when every change made so far is durable.
    struct Read {
        WallTime after_due;
        DeliveryKey after_key;
        std::size_t limit;
    };

    /// @param capacity  rows in memory; twice as many while a read is under way
    /// @param stored    rows the state holds already
    Schedule(std::size_t capacity, std::uint64_t stored);

    /// A delivery failed and its row was written.
    void add(RetryRow row, SteadyTime due);
    /// The earliest retry that is due; it stays counted as taken until ended(), add() or put_back().
    [[nodiscard]] std::optional<RetryRow> take(SteadyTime now);
    /// As take(), of those in memory that `judge` chooses, due or not; at most `most`, by key.
    template <class Judge>
    [[nodiscard]] std::vector<RetryRow> take_if(std::size_t most, Judge judge)
    {
        std::vector<DeliveryKey> chosen;
        for (auto at = entries_.begin(); at != entries_.end() && chosen.size() < most; ++at)
            if (judge(std::as_const(at->second.row))) chosen.push_back(at->first);
        std::vector<RetryRow> rows;
        for (const DeliveryKey key : chosen) rows.push_back(take(key));
        return rows;
    }
    void ended(DeliveryKey key);
    /// A row of this key is about to come by add(), or unexpect() says that it does not; no read brings it before.
    void expect(DeliveryKey key);
    /// It does not come.
    void unexpect(DeliveryKey key) { expected_.erase(key); }
    /// Takes out one that waits, wherever its row is; the row is still in the state, and was not taken.
    void take_out(DeliveryKey key);
    /// The attempt did not count, the row is as it was.
    void put_back(RetryRow row, SteadyTime due);
    /// Every retry that waits now becomes due, also those still in the state.
    void hurry(SteadyTime now, WallTime wall);

    [[nodiscard]] std::optional<Read> want_read();
    void took(std::vector<RetryRow> rows, SteadyTime now, WallTime wall);
    void read_failed();

    [[nodiscard]] bool due(SteadyTime now) const noexcept;
    [[nodiscard]] std::optional<SteadyTime> next_due() const noexcept;
    /// Of those in memory the one that counts its age from the earliest time; null: none.
    [[nodiscard]] const RetryRow* oldest() const noexcept;
    /// Retries that wait, here or in the state; what was taken is not among them.
    [[nodiscard]] std::uint64_t waiting() const noexcept
    {
        return entries_.size() + side_.size() + beyond_;
    }
    [[nodiscard]] std::size_t held() const noexcept { return entries_.size() + side_.size(); }

private:
    using Position = std::pair<WallTime, DeliveryKey>;
    struct Entry {
        RetryRow row;
        SteadyTime due;
    };

    RetryRow take(DeliveryKey key);
    void insert(RetryRow row, SteadyTime due);
    void spoil();
    void shrink();

    std::size_t capacity_;
    std::map<DeliveryKey, Entry> entries_;
    std::set<std::pair<SteadyTime, DeliveryKey>> by_due_;
    std::set<Position> by_position_;
    std::set<DeliveryKey> taken_;
    std::set<DeliveryKey> expected_;     // no read is made meanwhile: its answer might hold them, or not
    std::set<DeliveryKey> ended_;        // since the running read was asked for: its answer may hold them
    std::map<DeliveryKey, Entry> side_;  // beyond the horizon, written since the running read was asked for
    Position horizon_{WallTime::min(), {}};  // a clock may have stood before 1970
    bool complete_;                      // no row is beyond: the horizon is infinite
    std::uint64_t beyond_;               // rows only in the state
    bool reading_ = false;
    bool spoiled_ = false;               // the running read's answer cannot be used
    std::size_t asked_ = 0;
    std::optional<WallTime> hurry_before_; // rows written before this are due at once
};

}  // namespace eventyard::router
