#include "router/delivery/window.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "core/result.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint32_t all_routes = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t event_overhead = 512;  // what an event costs beside its body

std::size_t size_of(const StoredEventPtr& event) noexcept
{
    return event->event.body.size() + event_overhead;
}

DeliveryKey item_key(const LaneItem& item) noexcept { return {item.event->sequence, item.route}; }

}  // namespace

Window::Window(WindowLimits limits, WindowStart start)
    : limits_(limits), settled_early_(std::move(start.settled)), floor_(start.cursor),
      read_to_{start.cursor, all_routes}, behind_(start.behind)
{
    std::sort(settled_early_.begin(), settled_early_.end());
    // Without work above the cursor there is nothing to read; but a settled delivery above it must be
    // met again, or the list would have to be kept for ever.
    following_ = behind_ == 0 && (settled_early_.empty() || settled_early_.back().sequence <= start.seen);
    if (following_) settled_early_.clear();
}

bool Window::room(std::size_t size) const noexcept
{
    return slots_.empty() || (slots_.size() < limits_.deliveries && bytes_ + size <= limits_.bytes);
}

bool Window::settled_before(DeliveryKey key)
{
    while (early_ < settled_early_.size() && settled_early_[early_] < key) ++early_;
    if (early_ == settled_early_.size() || settled_early_[early_] != key) return false;
    ++early_;
    return true;
}

void Window::push(const StoredEventPtr& event, DeliveryKey key)
{
    EVENTYARD_ASSERT(slots_.empty() || slots_.back().key < key, "a lane's deliveries come in journal order");
    bytes_ += size_of(event);
    slots_.push_back(Slot{key, event, Stage::waiting});
    ++unstarted_;
}

void Window::push_settled(DeliveryKey key)
{
    slots_.push_back(Slot{key, nullptr, Stage::settled});
}

bool Window::take_or_lag(const StoredEventPtr& event, std::uint32_t route)
{
    const DeliveryKey key{event->sequence, route};
    if (!room(size_of(event))) {
        following_ = false;
        if (read_to_.sequence != key.sequence) read_to_ = {key.sequence - 1, all_routes};
        behind_ = 1;
        return false;
    }
    if (!push_ahead(key)) push(event, key);
    read_to_ = key;
    return true;
}

// --- What starts before its turn ----------------------------------------------------------------------

void Window::serve_fresh(bool yes) noexcept
{
    serves_fresh_ = yes;
    if (yes) return;
    fresh_.clear();
    fresh_bytes_ = 0;
}

void Window::keep_fresh(const StoredEventPtr& event, std::uint32_t route)
{
    if (!serves_fresh_ || fresh_.size() >= limits_.fresh) return;
    if (settled_ahead() >= std::min({limits_.fresh_ahead, limits_.settled_ahead, limits_.bytes / 64})) return;
    const std::size_t held = fresh_bytes_ + unmet_bytes_;
    if (held > 0 && held + size_of(event) > std::min(limits_.fresh_bytes, limits_.bytes / 4)) return;
    const DeliveryKey key{event->sequence, route};
    if (settled_early_.size() > early_ && settled_early_.back() >= key && is_settled_ahead(key)) return;
    fresh_.push_back({event, route});
    fresh_bytes_ += size_of(event);
}

/// The disk was read up to here.
void Window::drop_fresh(DeliveryKey through)
{
    while (!fresh_.empty() && item_key(fresh_.front()) <= through) {
        fresh_bytes_ -= size_of(fresh_.front().event);
        fresh_.pop_front();
    }
}

Window::Started Window::start_fresh()
{
    EVENTYARD_ASSERT(can_start_fresh(), "only what was kept starts early");
    std::deque<LaneItem>& from = lost_.empty() ? fresh_ : lost_;
    LaneItem item = std::move(from.front());
    from.pop_front();
    if (&from == &fresh_) fresh_bytes_ -= size_of(item.event);
    unmet_bytes_ += size_of(item.event);
    const std::uint64_t slot = fresh_bit | ++fresh_number_;
    const DeliveryKey key = item_key(item);
    unmet_.emplace(key, slot);
    const auto [place, added] = ahead_.emplace(slot, Ahead{key, std::move(item.event), std::nullopt});
    return {slot, place->second.event, key.route};
}

/// One that is under way already: it takes the slot that it would have had.
bool Window::push_ahead(DeliveryKey key)
{
    const auto met = unmet_.find(key);
    if (met == unmet_.end()) return false;
    Ahead& one = ahead_.at(met->second);
    bytes_ += size_of(one.event);
    unmet_bytes_ -= size_of(one.event);
    one.slot = base_ + slots_.size();
    slots_.push_back(Slot{key, std::move(one.event), Stage::in_flight});
    unmet_.erase(met);
    return true;
}

/// It ends or comes back.
Window::Ahead Window::take_ahead(std::uint64_t slot)
{
    const auto node = ahead_.extract(slot);
    EVENTYARD_ASSERT(!node.empty(), "a delivery ends or comes back once");
    Ahead& one = node.mapped();
    if (!one.slot) {
        unmet_bytes_ -= size_of(one.event);
        unmet_.erase(one.key);
    }
    return std::move(one);
}

void Window::offer(const StoredEventPtr& event, std::uint32_t route)
{
    if (following_) {
        take_or_lag(event, route);
        return;
    }
    ++behind_;
    keep_fresh(event, route);
    if (!bridging_) return;
    if (bridge_.size() < limits_.read_items) {
        bridge_.push_back({event, route});
        return;
    }
    bridging_ = false;
    bridge_.clear();
}

std::optional<Window::Read> Window::want_read(Sequence seen)
{
    if (following_ || reading_ || slots_.size() > limits_.deliveries / 2 || bytes_ > limits_.bytes / 2)
        return std::nullopt;
    reading_ = true;
    read_through_ = seen;
    bridging_ = true;
    bridge_.clear();
    return Read{read_to_, seen, std::max<std::size_t>(1, std::min(limits_.read_items, limits_.deliveries / 2)),
                std::max<std::size_t>(1, std::min(limits_.read_bytes, limits_.bytes / 2))};
}

void Window::read_failed() noexcept
{
    reading_ = false;
    bridging_ = false;
    bridge_.clear();
}

std::vector<DamagedDelivery> Window::took(LaneChunk chunk, Sequence seen)
{
    reading_ = false;
    const DeliveryKey read_from = read_to_;
    std::vector<DamagedDelivery> newly_damaged;
    std::sort(chunk.damaged.begin(), chunk.damaged.end());
    auto damaged = chunk.damaged.begin();
    const auto take_damaged = [&](DeliveryKey before) {
        for (; damaged != chunk.damaged.end() && damaged->key < before; ++damaged) {
            const DeliveryKey key = damaged->key;
            if (key <= read_to_) continue;
            if (push_ahead(key)) {  // it was read from memory
                if (behind_ > 0) --behind_;
                continue;
            }
            const bool known = settled_before(key);
            push_settled(key);
            if (known) continue;
            newly_damaged.push_back(std::move(*damaged));
            if (behind_ > 0) --behind_;
        }
    };
    for (const LaneItem& item : chunk.items) {
        const DeliveryKey key = item_key(item);
        if (key <= read_to_) continue;
        take_damaged(key);
        if (settled_before(key)) {
            push_settled(key);
        } else {
            if (!push_ahead(key)) push(item.event, key);
            if (behind_ > 0) --behind_;
        }
        read_to_ = key;
    }
    take_damaged({chunk.through + 1, 0});
    read_to_ = std::max(read_to_, DeliveryKey{chunk.through, all_routes});
    const bool whole = chunk.through >= read_through_ && (bridging_ || read_through_ >= seen);
    const auto bridge = std::exchange(bridge_, {});
    bridging_ = false;
    if (whole) {  // what was committed meanwhile is in the bridge: from here on the lane follows
        following_ = true;
        behind_ = 0;
        for (const LaneItem& item : bridge) {
            const DeliveryKey key = item_key(item);
            if (key <= read_to_) continue;
            if (!following_) {
                behind_ += is_settled_ahead(key) ? 0 : 1;
            } else if (settled_before(key)) {
                push_settled(key);
                read_to_ = key;
            } else {
                take_or_lag(item.event, item.route);
            }
        }
        if (following_) {
            settled_early_.clear();
            early_ = 0;
        }
    }
    drop_fresh(read_to_);
    if (following_) drop_fresh({std::numeric_limits<Sequence>::max(), 0});  // they have slots now
    if (early_ > 4096 && early_ > settled_early_.size() / 2) {
        settled_early_.erase(settled_early_.begin(), settled_early_.begin() + static_cast<std::ptrdiff_t>(early_));
        early_ = 0;
    }
    stuck_ = !following_ && read_to_ == read_from;
    trim();
    return newly_damaged;
}

Window::Started Window::start()
{
    std::size_t index = 0;
    if (!returned_.empty()) {
        index = static_cast<std::size_t>(*returned_.begin() - base_);
        returned_.erase(returned_.begin());
    } else {
        index = next_;
    }
    EVENTYARD_ASSERT(index < slots_.size() && slots_[index].stage == Stage::waiting,
                     "only a waiting delivery starts");
    Slot& slot = slots_[index];
    slot.stage = Stage::in_flight;
    --unstarted_;
    if (index == next_) ++next_;
    while (next_ < slots_.size() && slots_[next_].stage != Stage::waiting) ++next_;
    return {base_ + index, slot.event, slot.key.route};
}

void Window::settle(std::uint64_t number)
{
    if ((number & fresh_bit) != 0) {
        const Ahead one = take_ahead(number);
        if (one.slot) return settle(*one.slot);
        if (following_ || one.key <= read_to_) return;  // lost on disk: nothing will meet it
        if (behind_ > 0) --behind_;
        // Nearly always at the end: they start in order.
        settled_early_.insert(std::upper_bound(settled_early_.begin() + static_cast<std::ptrdiff_t>(early_), settled_early_.end(), one.key),
                              one.key);
        return;
    }
    Slot& slot = slots_[static_cast<std::size_t>(number - base_)];
    EVENTYARD_ASSERT(slot.stage == Stage::in_flight, "a delivery settles once");
    slot.stage = Stage::settled;
    bytes_ -= size_of(slot.event);
    slot.event.reset();
    trim();
}

void Window::give_back(std::uint64_t number)
{
    if ((number & fresh_bit) != 0) {
        Ahead one = take_ahead(number);
        if (one.slot) return give_back(*one.slot);
        if (following_ || one.key <= read_to_) {  // lost on disk: it is here only
            lost_.push_back({std::move(one.event), one.key.route});
        } else if (serves_fresh_) {  // otherwise it is read from disk in its turn
            fresh_bytes_ += size_of(one.event);
            const auto later = std::find_if(fresh_.begin(), fresh_.end(), [&](const LaneItem& other) { return item_key(other) > one.key; });
            fresh_.insert(later, {std::move(one.event), one.key.route});
        }
        return;
    }
    Slot& slot = slots_[static_cast<std::size_t>(number - base_)];
    EVENTYARD_ASSERT(slot.stage == Stage::in_flight, "only what was started is given back");
    slot.stage = Stage::waiting;
    ++unstarted_;
    if (number - base_ < next_) returned_.insert(number);  // one that was met further on is found in its turn
}

bool Window::is_settled_ahead(DeliveryKey key) const
{
    return std::binary_search(settled_early_.begin() + static_cast<std::ptrdiff_t>(early_), settled_early_.end(), key);
}

Window::Found Window::find(DeliveryKey key) const
{
    const auto slot = std::lower_bound(slots_.begin(), slots_.end(), key,
                                       [](const Slot& one, DeliveryKey sought) { return one.key < sought; });
    if (slot == slots_.end() || slot->key != key) {
        const bool gone = following_ || key <= read_to_ || is_settled_ahead(key);
        return {gone ? Place::gone : Place::ahead, 0};
    }
    const Place place = slot->stage == Stage::settled    ? Place::gone
                        : slot->stage == Stage::waiting ? Place::waiting
                                                        : Place::in_flight;
    return {place, base_ + static_cast<std::uint64_t>(slot - slots_.begin())};
}

void Window::settle_waiting(std::uint64_t number)
{
    Slot& slot = slots_[static_cast<std::size_t>(number - base_)];
    EVENTYARD_ASSERT(slot.stage == Stage::waiting, "only what waits ends without a start");
    slot.stage = Stage::in_flight;
    --unstarted_;
    returned_.erase(number);
    settle(number);
}

void Window::settle_ahead(const std::vector<DeliveryKey>& keys)
{
    std::vector<DeliveryKey> all;
    all.reserve(settled_ahead() + keys.size());
    std::merge(settled_early_.begin() + static_cast<std::ptrdiff_t>(early_), settled_early_.end(), keys.begin(), keys.end(),
               std::back_inserter(all));
    settled_early_ = std::move(all);
    early_ = 0;
    behind_ -= std::min<std::uint64_t>(behind_, keys.size());
    std::erase_if(fresh_, [&](const LaneItem& one) {
        const bool ended = std::binary_search(keys.begin(), keys.end(), item_key(one));
        if (ended) fresh_bytes_ -= size_of(one.event);
        return ended;
    });
}

void Window::trim()
{
    while (!slots_.empty() && slots_.front().stage == Stage::settled) {
        const DeliveryKey key = slots_.front().key;
        if (!left_.empty() && left_.back().sequence != key.sequence) left_.clear();
        left_.push_back(key);
        slots_.pop_front();
        ++base_;
        if (next_ > 0) --next_;
    }
    while (next_ < slots_.size() && slots_[next_].stage != Stage::waiting) ++next_;
}

Sequence Window::cursor(Sequence seen) const noexcept
{
    Sequence at = 0;
    if (!slots_.empty()) at = slots_.front().key.sequence - 1;
    else if (following_) at = seen;
    else at = read_to_.route == all_routes ? read_to_.sequence : read_to_.sequence - 1;
    if (!unmet_.empty()) at = std::min(at, unmet_.begin()->first.sequence - 1);  // lost on disk, or else beyond it anyway
    for (const LaneItem& item : lost_) at = std::min(at, item.event->sequence - 1);
    return std::max(at, floor_);
}

std::uint64_t Window::above(Sequence mark, std::uint64_t unread) const noexcept
{
    std::uint64_t count = read_to_.sequence > mark ? behind_ : following_ ? 0 : unread;
    for (auto slot = slots_.rbegin(); slot != slots_.rend() && slot->key.sequence > mark; ++slot)
        count += slot->stage == Stage::settled ? 0 : 1;
    return count;
}

std::vector<DeliveryKey> Window::settled(Sequence seen) const
{
    const Sequence above = cursor(seen);
    std::vector<DeliveryKey> keys;
    keys.reserve(settled_early_.size() - early_ + slots_.size() / 2);
    for (const DeliveryKey& key : left_)
        if (key.sequence > above) keys.push_back(key);
    for (const Slot& slot : slots_)
        if (slot.stage == Stage::settled) keys.push_back(slot.key);
    for (std::size_t i = early_; i < settled_early_.size(); ++i)
        if (settled_early_[i].sequence > above) keys.push_back(settled_early_[i]);
    return keys;
}

}  // namespace eventyard::router
