#include "router/delivery/schedule.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "router/delivery/retry.hpp"

namespace eventyard::router {

Schedule::Schedule(std::size_t capacity, std::uint64_t stored)
    : capacity_(std::max<std::size_t>(capacity, 2)), complete_(stored == 0), beyond_(stored)
{
}

void Schedule::insert(RetryRow row, SteadyTime due)
{
    const DeliveryKey key = row.key;
    if (const auto former = entries_.find(key); former != entries_.end()) {
        // A lane that lost its cursor attempts anew what has a row still: one row, the newer.
        by_due_.erase({former->second.due, key});
        by_position_.erase({former->second.row.due, key});
        entries_.erase(former);
    }
    by_due_.emplace(due, key);
    by_position_.emplace(row.due, key);
    entries_.emplace(key, Entry{std::move(row), due});
}

void Schedule::expect(DeliveryKey key)
{
    if (reading_ && !spoiled_) spoil();
    expected_.insert(key);
}

/// The running read's answer might lie: ask again.
void Schedule::spoil()
{
    spoiled_ = true;
    beyond_ += side_.size();
    side_.clear();
}

void Schedule::add(RetryRow row, SteadyTime due)
{
    taken_.erase(row.key);
    expected_.erase(row.key);
    if (complete_ || Position{row.due, row.key} <= horizon_) {
        insert(std::move(row), due);
        shrink();
    } else if (reading_ && !spoiled_ && held() < 2 * capacity_) {
        side_.insert_or_assign(row.key, Entry{std::move(row), due});
    } else {
        if (reading_) spoil();
        ++beyond_;
    }
}

/// Leaves to the state what comes last, so that memory stays bounded.
void Schedule::shrink()
{
    if (reading_ && !spoiled_) {
        if (held() <= 2 * capacity_) return;
        spoil();
    }
    while (entries_.size() > capacity_) {
        const auto last = std::prev(by_position_.end());
        const DeliveryKey key = last->second;
        const auto entry = entries_.find(key);
        by_due_.erase({entry->second.due, key});
        entries_.erase(entry);
        by_position_.erase(last);
        ++beyond_;
        // Rows put back may lie beyond the horizon: it only ever comes nearer here.
        horizon_ = complete_ ? *by_position_.rbegin() : std::min(horizon_, *by_position_.rbegin());
        complete_ = false;
    }
}

bool Schedule::due(SteadyTime now) const noexcept
{
    return !by_due_.empty() && by_due_.begin()->first <= now;
}

const RetryRow* Schedule::oldest() const noexcept
{
    const RetryRow* oldest = nullptr;
    for (const auto& [key, entry] : entries_)
        if (!oldest || entry.row.received < oldest->received) oldest = &entry.row;
    return oldest;
}

std::optional<SteadyTime> Schedule::next_due() const noexcept
{
    if (by_due_.empty()) return std::nullopt;
    return by_due_.begin()->first;
}

std::optional<RetryRow> Schedule::take(SteadyTime now)
{
    if (!due(now)) return std::nullopt;
    return take(by_due_.begin()->second);
}

RetryRow Schedule::take(DeliveryKey key)
{
    const auto entry = entries_.find(key);
    RetryRow row = std::move(entry->second.row);
    by_due_.erase({entry->second.due, key});
    by_position_.erase({row.due, key});
    entries_.erase(entry);
    taken_.insert(key);
    return row;
}

void Schedule::ended(DeliveryKey key)
{
    taken_.erase(key);
    if (reading_ && !spoiled_) ended_.insert(key);
}

void Schedule::take_out(DeliveryKey key)
{
    if (entries_.contains(key)) (void)take(key);
    else if (side_.erase(key) == 0 && beyond_ > 0) --beyond_;
    ended(key);
}

void Schedule::put_back(RetryRow row, SteadyTime due)
{
    taken_.erase(row.key);
    insert(std::move(row), due);
}

void Schedule::hurry(SteadyTime now, WallTime wall)
{
    hurry_before_ = complete_ ? std::nullopt : std::optional{wall};
    by_due_.clear();
    for (auto& [key, entry] : entries_) {
        entry.due = std::min(entry.due, now);
        by_due_.emplace(entry.due, key);
    }
    for (auto& [key, entry] : side_) entry.due = std::min(entry.due, now);
}

std::optional<Schedule::Read> Schedule::want_read()
{
    if (reading_ || complete_ || !expected_.empty() || entries_.size() > capacity_ / 2) return std::nullopt;
    reading_ = true;
    spoiled_ = false;
    asked_ = capacity_ - entries_.size();
    return Read{horizon_.first, horizon_.second, asked_};
}

void Schedule::took(std::vector<RetryRow> rows, SteadyTime now, WallTime wall)
{
    reading_ = false;
    const auto ended = std::exchange(ended_, {});
    if (spoiled_) {
        spoiled_ = false;
        shrink();
        return;
    }
    const bool last_page = rows.size() < asked_;
    if (!rows.empty()) horizon_ = {rows.back().due, rows.back().key};
    for (RetryRow& row : rows) {
        if (taken_.contains(row.key) || entries_.contains(row.key) || side_.contains(row.key) ||
            ended.contains(row.key))
            continue;  // newer here
        if (beyond_ > 0) --beyond_;
        const bool hurried = hurry_before_ && row.due - row.delay <= *hurry_before_;
        const SteadyTime due = hurried ? now : due_after_load(row.due, row.delay, now, wall);
        insert(std::move(row), due);
    }
    complete_ = last_page || beyond_ == 0;
    if (complete_) {
        beyond_ = 0;
        hurry_before_.reset();
    }
    for (auto& [key, entry] : std::exchange(side_, {})) {
        if (complete_ || Position{entry.row.due, key} <= horizon_)
            insert(std::move(entry.row), entry.due);
        else
            ++beyond_;
    }
    shrink();
}

void Schedule::read_failed()
{
    reading_ = false;
    spoiled_ = false;
    ended_.clear();
    beyond_ += side_.size();
    side_.clear();
}

}  // namespace eventyard::router
