// router/table_holder.hpp — where I/O threads find the table in effect, without a lock a request.
//
// Each thread keeps its own pointer and looks at one counter to see whether it is still the right
// one. After set() the owner has every thread call get() once, so that none keeps an old table alive.
// A table is large, and freeing it takes long: whoever lets go of it last only puts it aside, and the
// owner calls free_retired() where that hurts nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "router/route_table.hpp"

namespace eventyard::router {

class TableHolder {
public:
    TableHolder() : id_(next_id().fetch_add(1)), retired_(std::make_shared<Retired>()) {}
    ~TableHolder()
    {
        table_.reset();
        retired_->close();
    }
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
        const RouteTable* const plain = table.get();
        RouteTablePtr guarded(plain, [table = std::move(table), retired = retired_](const RouteTable*) mutable {
            retired->take(std::move(table));
        });
        const std::lock_guard lock{mutex_};
        table_.swap(guarded);  // the old one is let go of after the lock
        version_.fetch_add(1, std::memory_order_release);
    }

    /// Whether there is any that nobody has any more.
    [[nodiscard]] bool has_retired() const { return retired_->any(); }
    /// Frees those. Any thread; takes as long as freeing all their rules.
    void free_retired() { retired_->free(); }

private:
    /// Lives as long as any table given out.
    class Retired {
    public:
        void take(RouteTablePtr table)
        {
            const std::lock_guard lock{mutex_};
            if (open_) tables_.push_back(std::move(table));
        }
        [[nodiscard]] bool any() const
        {
            const std::lock_guard lock{mutex_};
            return !tables_.empty();
        }
        void free()
        {
            std::vector<RouteTablePtr> now;  // freed after the lock
            const std::lock_guard lock{mutex_};
            now.swap(tables_);
        }
        void close()
        {
            {
                const std::lock_guard lock{mutex_};
                open_ = false;
            }
            free();
        }

    private:
        mutable std::mutex mutex_;
        std::vector<RouteTablePtr> tables_;
        bool open_ = true;
    };

    static std::atomic<std::uint64_t>& next_id()
    {
        static std::atomic<std::uint64_t> id{1};
        return id;
    }

    const std::uint64_t id_;
    std::atomic<std::uint64_t> version_{0};
    mutable std::mutex mutex_;
    RouteTablePtr table_;
    std::shared_ptr<Retired> retired_;
};

}  // namespace eventyard::router
