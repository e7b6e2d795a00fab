#include "router/delivery/key_order.hpp"

#include <algorithm>
#include <utility>

#include "core/result.hpp"

namespace eventyard::router {

template <class Change>
auto KeyOrder::change(const std::string& name, Change what)
{
    Key& key = keys_[name];
    parked_ -= key.parked() ? 1 : 0;
    on_hold_ -= key.hold ? 1 : 0;
    waiting_ -= key.waiting.size();
    const auto settle = [&] {
        parked_ += key.parked() ? 1 : 0;
        on_hold_ += key.hold ? 1 : 0;
        waiting_ += key.waiting.size();
        const bool next = !key.busy && !key.hold && (!key.waiting.empty() || key.rows > 0);
        if (next && !std::exchange(key.listed, true)) ready_.push_back(name);
        if (!key.busy && !key.parked() && key.waiting.empty() && !key.listed) keys_.erase(name);
    };
    if constexpr (std::is_void_v<decltype(what(key))>) {
        what(key);
        settle();
    } else {
        auto result = what(key);
        settle();
        return result;
    }
}

std::vector<KeyOrder::Waiting> KeyOrder::take_waiting(Key& key)
{
    std::vector<Waiting> waiting{std::make_move_iterator(key.waiting.begin()), std::make_move_iterator(key.waiting.end())};
    key.waiting.clear();
    return waiting;
}

KeyOrder::KeyOrder(const std::vector<ParkedKey>& parked)
{
    for (const ParkedKey& one : parked)
        change(one.order_key, [&](Key& key) {
            key.rows = one.held;
            key.busy = key.failed = one.first;
            key.hold = one.on_hold;
        });
}

KeyOrder::Turn KeyOrder::arrive(const std::string& name)
{
    return change(name, [&](Key& key) {
        if (key.parked()) return Turn::hold;
        if (key.busy || !key.waiting.empty()) return Turn::behind;
        key.busy = true;
        return Turn::first;
    });
}

void KeyOrder::wait(const std::string& name, Waiting waiting)
{
    change(name, [&](Key& key) { key.waiting.push_back(std::move(waiting)); });
}

void KeyOrder::add_row(const std::string& name)
{
    change(name, [](Key& key) { ++key.rows; });
}

void KeyOrder::drop_row(const std::string& name)
{
    change(name, [](Key& key) { key.rows -= key.rows > 0 ? 1 : 0; });
}

std::optional<KeyOrder::Waiting> KeyOrder::drop_waiting(std::uint64_t slot)
{
    for (const auto& [name, of] : keys_) {
        const auto found = std::find_if(of.waiting.begin(), of.waiting.end(),
                                        [&](const Waiting& one) { return one.slot == slot; });
        if (found == of.waiting.end()) continue;
        const auto at = found - of.waiting.begin();
        return change(std::string{name}, [&](Key& key) {
            std::optional<Waiting> dropped = std::move(key.waiting[static_cast<std::size_t>(at)]);
            key.waiting.erase(key.waiting.begin() + at);
            return dropped;
        });
    }
    return std::nullopt;
}

std::vector<std::uint64_t> KeyOrder::waiting_slots() const
{
    std::vector<std::uint64_t> slots;
    for (const auto& [name, key] : keys_)
        for (const Waiting& one : key.waiting) slots.push_back(one.slot);
    return slots;
}

std::vector<KeyOrder::Waiting> KeyOrder::park(const std::string& name)
{
    return change(name, [](Key& key) {
        key.busy = key.failed = true;
        return take_waiting(key);
    });
}

void KeyOrder::ended(const std::string& name)
{
    change(name, [](Key& key) { key.busy = key.failed = false; });
}

std::vector<KeyOrder::Waiting> KeyOrder::give_back(const std::string& name)
{
    return change(name, [](Key& key) {
        key.busy = false;
        return take_waiting(key);
    });
}

std::vector<KeyOrder::Waiting> KeyOrder::put_back(const std::string& name)
{
    return change(name, [](Key& key) {
        key.busy = false;
        ++key.rows;
        return take_waiting(key);
    });
}

std::optional<KeyOrder::Next> KeyOrder::take()
{
    while (!ready_.empty()) {
        Next next{std::move(ready_.front()), std::nullopt};
        ready_.pop_front();
        const bool starts = change(next.key, [&](Key& key) {
            key.listed = false;
            if (key.busy || key.hold) return false;
            if (!key.waiting.empty()) {  // while there are rows nobody waits in memory
                next.waiting = std::move(key.waiting.front());
                key.waiting.pop_front();
            } else if (key.rows > 0) {
                --key.rows;
            } else {
                return false;
            }
            key.busy = true;
            return true;
        });
        if (starts) return next;
    }
    return std::nullopt;
}

void KeyOrder::missing(const std::string& name)
{
    change(name, [](Key& key) {
        key.busy = false;
        key.rows = 0;
    });
}

void KeyOrder::hold(const std::string& name)
{
    change(name, [](Key& key) { key.hold = true; });
}

std::vector<std::string> KeyOrder::release(const std::string& name)
{
    std::vector<std::string> held;
    for (const auto& [other, key] : keys_)
        if (key.hold && (name.empty() || name == other)) held.push_back(other);
    for (const std::string& one : held) change(one, [](Key& key) { key.hold = false; });
    return held;
}

}  // namespace eventyard::router
