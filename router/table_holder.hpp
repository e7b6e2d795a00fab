// router/table_holder.hpp — where I/O threads find the table in effect, without a lock a request.
//
// Each thread keeps its own pointer and looks at one counter to see whether it is still the right
// one. After set() the owner has every thread call get() once, so that none keeps an old table alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "router/route_table.hpp"

namespace eventyard::router {

class TableHolder {
public:
    TableHolder() : id_(next_id().fetch_add(1)) {}
    TableHolder(const TableHolder&) = delete;
    TableHolder& operator=(const TableHolder&) = delete;

    /// Any thread.
    [[nodiscard]] RouteTablePtr get() const
    {
        struct Cached {
            std::uint64_t id = 0, version = 0;
            RouteTablePtr table;
        };
        thread_local Cached cached;
        if (cached.id != id_ || cached.version != version_.load(std::memory_order_acquire)) {
            const std::lock_guard lock{mutex_};
            cached = {id_, version_.load(std::memory_order_relaxed), table_};
        }
        return cached.table;
    }

    void set(RouteTablePtr table)
    {
        const std::lock_guard lock{mutex_};
        table_ = std::move(table);
        version_.fetch_add(1, std::memory_order_release);
    }

private:
    static std::atomic<std::uint64_t>& next_id()
    {
        static std::atomic<std::uint64_t> id{1};
        return id;
    }

    const std::uint64_t id_;
    std::atomic<std::uint64_t> version_{0};
    mutable std::mutex mutex_;
    RouteTablePtr table_;
};

}  // namespace eventyard::router
