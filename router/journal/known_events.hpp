// router/journal/known_events.hpp — the keys of events that came not long ago, for buses that take none twice.
//
// What it knows is committed: the writer asks before it numbers a block and adds after the sync, so whoever is told that
// an event was there already can rely on it. Pure; filled by the start, then the writer's alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "router/journal/record.hpp"

namespace eventyard::router {

/// One key as it is known, and stored in state.db.
struct KnownEvent {
    std::string bus;
    EventKey key{};
    Id event;
    Sequence sequence = 0;
    WallTime since{}, until{};  // receipt of the event; end of the window
};

/// @param once  of the event
[[nodiscard]] inline KnownEvent known_event(const StoredEvent& event, const Uniqueness& once)
{
    return {event.event.bus, once.key, event.event.id, event.sequence, event.event.received, once.until};
}

class KnownEvents {
public:
    struct Known {
        Id event;
        Sequence sequence = 0;
        WallTime since{}, until{};
    };

    /// Null: not known, or no more. A clock that was set back behind the event makes it unknown as well: better twice
    /// than never.
    [[nodiscard]] const Known* find(const EventKey& key, WallTime now) const;
    /// Unless the key is known already. Forgets a few of the bus's keys whose window is over or that are above `keys_max`, the oldest
    /// first: a long pause makes no long stop. Of one bus in ascending order of sequences.
    void add(const KnownEvent& event, std::uint32_t keys_max, WallTime now);
    /// Since the last call.
    [[nodiscard]] std::vector<ForgottenKeys> take_forgotten();

    [[nodiscard]] std::size_t size() const noexcept { return known_.size(); }
    /// Forgotten before their window was over, for there were too many.
    [[nodiscard]] std::uint64_t early() const noexcept { return early_; }

private:
    struct Hash {
        std::size_t operator()(const EventKey& key) const noexcept
        {
            std::size_t hash = 0;  // the key is a cryptographic one: any piece of it will do
            std::memcpy(&hash, key.data(), sizeof hash);
            return hash;
        }
    };
    struct Entry {
        EventKey key;
        Sequence sequence;
    };
    struct Bus {
        std::deque<Entry> order;  // oldest first; some are of keys that have a later event since
        std::size_t keys = 0;     // known
    };

    std::unordered_map<EventKey, Known, Hash> known_;
    std::map<std::string, Bus, std::less<>> buses_;
    std::map<std::string, Sequence, std::less<>> forgotten_;
    std::uint64_t early_ = 0;
};

}  // namespace eventyard::router
