#include "router/journal/known_events.hpp"

#include <utility>

namespace eventyard::router {
namespace {

/// By so much two readings of a clock that is being corrected may lie the wrong way round.
constexpr std::chrono::minutes tolerance{1};

bool lasts(const KnownEvents::Known& known, WallTime now) { return now < known.until && now >= known.since - tolerance; }

}  // namespace

const KnownEvents::Known* KnownEvents::find(const EventKey& key, WallTime now) const
{
    const auto found = known_.find(key);
    return found != known_.end() && lasts(found->second, now) ? &found->second : nullptr;
}

void KnownEvents::add(const KnownEvent& event, std::uint32_t keys_max, WallTime now)
{
    constexpr int at_once = 4;
    const Known fresh{event.event, event.sequence, event.since, event.until};
    Bus& bus = buses_[event.bus];
    const auto [at, added] = known_.try_emplace(event.key, fresh);
    if (!added) {
        if (lasts(at->second, now)) return;
        at->second = fresh;
    }
    if (added) ++bus.keys;
    bus.order.push_back({event.key, event.sequence});
    for (int i = 0; i < at_once && !bus.order.empty(); ++i) {
        const Entry& oldest = bus.order.front();
        const auto known = known_.find(oldest.key);
        const bool current = known != known_.end() && known->second.sequence == oldest.sequence;
        if (current && lasts(known->second, now)) {
            if (bus.keys <= keys_max) break;
            ++early_;
        }
        if (current) {
            known_.erase(known);
            --bus.keys;
        }
        forgotten_[event.bus] = oldest.sequence;
        bus.order.pop_front();
    }
}

std::vector<ForgottenKeys> KnownEvents::take_forgotten()
{
    std::vector<ForgottenKeys> out;
    for (auto& [bus, through] : std::exchange(forgotten_, {})) out.push_back({bus, through});
    return out;
}

}  // namespace eventyard::router
