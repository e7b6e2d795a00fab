// router/ingest/buffer_budget.hpp — bounds what all connections together hold in memory.
//
// A connection asks for its share when it is about to wait with a part of a request, of a batch
// or of an answer in hand. So a request that comes whole needs none, and is served however little
// is left. Different shares may be changed on different threads at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace eventyard::router {

class BufferBudget {
public:
    /// Bytes of all shares together.
    [[nodiscard]] std::uint64_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

private:
    friend class BufferShare;
    std::atomic<std::uint64_t> held_{0};
};

/// One connection's part, given back when it ends.
class BufferShare {
public:
    explicit BufferShare(std::shared_ptr<BufferBudget> budget) : budget_(std::move(budget)) {}
    ~BufferShare() { give_back(); }
    BufferShare(const BufferShare&) = delete;
    BufferShare& operator=(const BufferShare&) = delete;

    /// False, with nothing changed, when a larger share would bring all of them above `limit`. Who
    /// is alone always gets it: else a request larger than the limit would be refused for ever.
    [[nodiscard]] bool resize(std::uint64_t bytes, std::uint64_t limit) noexcept
    {
        if (bytes == bytes_) return true;
        std::uint64_t held = budget_->held();
        do {
            const std::uint64_t others = held - bytes_;
            if (bytes > bytes_ && others > 0 && others + bytes > limit) return false;
        } while (!budget_->held_.compare_exchange_weak(held, held - bytes_ + bytes,
                                                       std::memory_order_relaxed));
        bytes_ = bytes;
        return true;
    }
    void give_back() noexcept
    {
        if (bytes_ > 0) budget_->held_.fetch_sub(bytes_, std::memory_order_relaxed);
        bytes_ = 0;
    }

private:
    std::shared_ptr<BufferBudget> budget_;
    std::uint64_t bytes_ = 0;
};

}  // namespace eventyard::router
