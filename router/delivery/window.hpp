// router/delivery/window.hpp — one target's deliveries in journal order, as far as memory holds them.
//
// A bounded piece of the journal: deliveries enter at the back, from commits while the lane keeps
// up (follows) or from disk while it lags, start in order, settle in any order, and leave at the
// front. From that come the cursor (everything up to it is settled) and the list of what is
// settled above it. What does not fit is only counted and read from disk later. Pure; one thread.
//
// While it lags, some of what is committed can be kept beside that, to start before what waits on disk: fresh deliveries.
// They are on disk as well, and counted there. One that is under way when the disk is read as far as it becomes
// the slot it would have been; one that has settled before is met as settled.
//
// `seen` in the calls is the last sequence of the commits the lane's thread was told of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "router/journal/record.hpp"

namespace eventyard::router {

struct WindowLimits {
    std::size_t deliveries = 4096;
    std::size_t bytes = 8U << 20;       // of bodies, a fixed share an event included; one delivery always fits
    std::size_t read_items = 256;       // of one read from disk
    std::size_t read_bytes = 1U << 20;
    std::size_t settled_ahead = 250'000;  // discarded beyond what memory holds; the state keeps the list
    std::size_t fresh = 2048;           // kept to start before what is on disk
    std::size_t fresh_bytes = 2U << 20; // of them; at most a quarter of `bytes`
    std::size_t fresh_ahead = 131'072;  // none is kept while so many, settled_ahead or a 64th of `bytes`, are settled beyond what memory holds
};

/// Where a window starts: the cursor and what is settled above it.
struct WindowStart {
    Sequence cursor = 0;
    std::vector<DeliveryKey> settled;
    std::uint64_t behind = 0;           // deliveries above the cursor that are not settled, all on disk
    Sequence seen = 0;
};

class Window {
public:
    struct Started {
        std::uint64_t slot;
        const StoredEventPtr& event;
        std::uint32_t route;
    };
    struct Read {
        DeliveryKey after;
        Sequence through;
        std::size_t max_items, max_bytes;
    };

    Window(WindowLimits limits, WindowStart start);
    void set_bytes(std::size_t bytes) noexcept { limits_.bytes = bytes; }

    /// A delivery of a commit, in journal order.
    void offer(const StoredEventPtr& event, std::uint32_t route);
    /// The read from disk to make now; then nothing until took() or read_failed().
    [[nodiscard]] std::optional<Read> want_read(Sequence seen);
    /// The answer to the read. Returns the deliveries that are damaged, settled here already.
    [[nodiscard]] std::vector<DamagedDelivery> took(LaneChunk chunk, Sequence seen);
    void read_failed() noexcept;
    /// The last answer brought nothing new: wait before the next read.
    [[nodiscard]] bool stuck() const noexcept { return stuck_; }

    /// Whether what is committed while the lane lags is kept to start early. No: what is kept is left to the disk.
    void serve_fresh(bool yes) noexcept;
    [[nodiscard]] bool can_start_fresh() const noexcept { return !fresh_.empty() || !lost_.empty(); }
    /// The next of those kept. Only while can_start_fresh(); otherwise as start().
    [[nodiscard]] Started start_fresh();

    [[nodiscard]] bool can_start() const noexcept { return !returned_.empty() || next_ < slots_.size(); }
    /// The next delivery in journal order. Only while can_start(); the reference lasts until the next call.
    [[nodiscard]] Started start();
    /// Of the delivery that start() would give.
    [[nodiscard]] Sequence next_sequence() const
    {
        return slots_[returned_.empty() ? next_ : static_cast<std::size_t>(*returned_.begin() - base_)].key.sequence;
    }
    /// The delivery ended or has a retry row.
    void settle(std::uint64_t slot);
    /// The attempt did not count: the delivery is the next again.
    void give_back(std::uint64_t slot);

    enum class Place : std::uint8_t {
        gone,       // settled
        waiting,    // in memory
        in_flight,  // in memory, started
        ahead,      // on disk, not read yet
    };
    struct Found {
        Place place;
        std::uint64_t slot = 0;         // in memory
    };
    /// Where a delivery is that was pending here once.
    [[nodiscard]] Found find(DeliveryKey key) const;
    [[nodiscard]] DeliveryKey key_of(std::uint64_t slot) const { return slots_[static_cast<std::size_t>(slot - base_)].key; }
    /// One in memory ends without a start.
    void settle_waiting(std::uint64_t slot);
    /// These, found ahead, have ended: they are met as settled. Ascending.
    void settle_ahead(const std::vector<DeliveryKey>& keys);
    /// So many are, or are going to be: those that started or are to start before their turn.
    [[nodiscard]] std::size_t settled_ahead() const noexcept { return settled_early_.size() - early_ + unmet_.size() + fresh_.size(); }

    /// Everything up to here is settled.
    [[nodiscard]] Sequence cursor(Sequence seen) const noexcept;
    /// What is settled above cursor(), ascending.
    [[nodiscard]] std::vector<DeliveryKey> settled(Sequence seen) const;
    [[nodiscard]] bool empty() const noexcept { return slots_.empty() && following_ && unmet_.empty() && lost_.empty(); }
    [[nodiscard]] bool following() const noexcept { return following_; }
    [[nodiscard]] bool reading() const noexcept { return reading_; }
    /// Neither settled nor in flight: here and on disk.
    [[nodiscard]] std::uint64_t waiting() const noexcept
    {
        std::uint64_t started = unmet_.size();
        for (auto at = unmet_.begin(); at != unmet_.end() && at->first <= read_to_; ++at) --started;  // lost on disk: not counted
        return unstarted_ + behind_ + lost_.size() - started;
    }
    /// Deliveries above `mark` that are not settled. @param unread  of them, while nothing above has been read
    [[nodiscard]] std::uint64_t above(Sequence mark, std::uint64_t unread) const noexcept;
    [[nodiscard]] std::size_t held() const noexcept { return slots_.size(); }
    /// The first that is not settled, of those in memory; null: none.
    [[nodiscard]] const StoredEvent* oldest(std::uint32_t& route) const noexcept
    {
        if (slots_.empty()) return nullptr;
        route = slots_.front().key.route;
        return slots_.front().event.get();
    }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return bytes_; }

private:
    enum class Stage : std::uint8_t { waiting, in_flight, settled };
    struct Slot {
        DeliveryKey key;
        StoredEventPtr event;
        Stage stage;
    };

    /// One that started before its turn.
    struct Ahead {
        DeliveryKey key;
        StoredEventPtr event;              // null once it is met
        std::optional<std::uint64_t> slot; // where it was met on disk
    };
    static constexpr std::uint64_t fresh_bit = std::uint64_t{1} << 63;  // of the slots that start_fresh() gives

    void keep_fresh(const StoredEventPtr& event, std::uint32_t route);
    void drop_fresh(DeliveryKey through);
    bool push_ahead(DeliveryKey key);
    Ahead take_ahead(std::uint64_t slot);
    [[nodiscard]] bool room(std::size_t size) const noexcept;
    [[nodiscard]] bool settled_before(DeliveryKey key);
    [[nodiscard]] bool is_settled_ahead(DeliveryKey key) const;
    void push(const StoredEventPtr& event, DeliveryKey key);
    void push_settled(DeliveryKey key);
    bool take_or_lag(const StoredEventPtr& event, std::uint32_t route);
    void trim();

    WindowLimits limits_;
    std::deque<Slot> slots_;
    std::uint64_t base_ = 0;                 // slot number of slots_.front()
    std::size_t next_ = 0;                   // index of the first slot never started
    std::set<std::uint64_t> returned_;       // slots given back
    std::uint64_t unstarted_ = 0;            // slots that wait
    std::size_t bytes_ = 0;
    std::vector<DeliveryKey> left_;          // left at the front, of the last such sequence: the cursor may be below it
    std::vector<DeliveryKey> settled_early_; // settled, not read yet since this start; ascending from early_
    std::size_t early_ = 0;
    Sequence floor_ = 0;                     // the cursor never goes back
    DeliveryKey read_to_{};                  // everything up to here came in
    bool following_ = false;
    bool reading_ = false;
    bool stuck_ = false;
    Sequence read_through_ = 0;              // of the running read
    std::vector<LaneItem> bridge_;           // commits since the running read was asked for
    bool bridging_ = false;                  // bridge_ is whole
    std::uint64_t behind_ = 0;               // counted, not in slots_; those of fresh_ and unmet_ included, but for lost ones

    bool serves_fresh_ = false;
    std::deque<LaneItem> fresh_;             // ascending, all beyond read_to_
    std::size_t fresh_bytes_ = 0;
    std::unordered_map<std::uint64_t, Ahead> ahead_;   // by slot: started early, and not over
    std::map<DeliveryKey, std::uint64_t> unmet_;       // their slots, of those not met on disk
    std::size_t unmet_bytes_ = 0;            // counts with fresh_bytes_
    std::deque<LaneItem> lost_;              // came back, and the disk that was read beyond them does not have them
    std::uint64_t fresh_number_ = 0;
};

}  // namespace eventyard::router
