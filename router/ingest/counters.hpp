// router/ingest/counters.hpp — what ingest counts, for metrics, status and the ledger.
//
// Each I/O thread adds to counters of its own; any thread may read the sums.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "router/ingest/intake.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

/// Sums over all threads since start.
struct IngestTotals {
    std::map<unsigned, std::uint64_t> requests;     // by status
    std::map<std::string, IntakeTally> buses;
    std::uint64_t body_bytes = 0;                   // received
    std::uint64_t connections_accepted = 0;
    std::uint64_t connections_refused = 0;          // limits.connections
    std::uint64_t connections_open = 0;
    std::uint64_t buffered_bytes = 0;               // of limits.buffers, now
};

/// Those of one thread. add() on that thread only.
class IngestCounters {
public:
    using Number = std::atomic<std::uint64_t>;
    Number body_bytes{0}, connections_accepted{0}, connections_refused{0};

    static void add(Number& number, std::uint64_t count = 1) noexcept
    {
        // One writer: no locked instruction needed.
        number.store(number.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    void count_request(unsigned status) noexcept
    {
        if (status < requests_.size()) add(requests_[status]);
    }
    void count_items(std::string_view bus, const IntakeTally& tally);
    /// Any thread.
    void sum_into(IngestTotals& totals) const;

private:
    struct PerBus {
        Number duplicate{0}, refused{0}, matched{0}, unmatched{0};
    };
    std::array<Number, 600> requests_{};
    std::map<std::string, std::unique_ptr<PerBus>, std::less<>> buses_;  // grown under mutex_ only
    mutable std::mutex mutex_;
};

/// What came since the last call of take(). Not thread-safe.
class ReceivedLog {
public:
    [[nodiscard]] std::vector<Received> take(const IngestTotals& totals);

private:
    std::map<std::string, IntakeTally> seen_;
};

}  // namespace eventyard::router
