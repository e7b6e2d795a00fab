// router/target_spec.hpp — one configured target: its settings and its delivery policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "router/budget.hpp"
#include "targets/registry.hpp"

namespace eventyard::router {

struct RetryPolicy {
    std::uint32_t max_attempts = 185;             // counts the first attempt
    Duration max_age = std::chrono::hours{24};    // since acceptance
    Duration backoff_initial = std::chrono::seconds{1};
    double backoff_factor = 2.0;
    Duration backoff_max = std::chrono::minutes{10};
    bool jitter = true;                           // full jitter: uniform in [0, wait)
    /// Upper bound on an honoured Retry-After; zero: backoff_max.
    Duration retry_after_max{0};
    bool operator==(const RetryPolicy&) const = default;
};

/// At most so many attempts: `burst` at once, `per_second` in the long run. In a batch each delivery counts.
struct RateLimit {
    double per_second = 0;                        // 0: no limit
    std::uint32_t burst = 1;
    [[nodiscard]] bool any() const noexcept { return per_second > 0; }
    bool operator==(const RateLimit&) const = default;
};

/// Deliveries that go out together in one request. See delivery/lane_batches.cpp.
struct BatchPolicy {
    std::uint32_t max_events = 1;                 // 1: each goes out in a request of its own
    std::size_t max_bytes = 1U << 20;             // of bodies; one delivery always fits
    Duration max_wait{0};                         // the first waits for company
    [[nodiscard]] bool any() const noexcept { return max_events > 1; }
    bool operator==(const BatchPolicy&) const = default;
};

/// When a target counts as down, and how it is tried then. See delivery/health.hpp.
struct BreakerPolicy {
    std::uint32_t failures = 10;                  // failed attempts in a row
    std::uint32_t connect_failures = 5;           // of them without any connection
    Duration probe_first = std::chrono::seconds{1};
    Duration probe_max = std::chrono::seconds{30};
    bool operator==(const BreakerPolicy&) const = default;
};

enum class Order : std::uint8_t {
    none,    // as fast as may be
    key,     // those of one key one after the other, in the order of the journal
    strict,  // one after the other
};

struct OrderPolicy {
    Order order = Order::none;
    std::string key;                              // of Order::key, see delivery/order_key.hpp; a route may have its own
    std::uint32_t parked_max = 10'000;            // keys with a failed delivery: beyond, nothing new starts
    bool hold = false;                            // a dead letter holds its key (strict: pauses the target)
    bool operator==(const OrderPolicy&) const = default;
};

/// What a target without order gets while more waits for it than memory holds.
enum class CatchUp : std::uint8_t {
    fair,          // what comes in and what waits on disk, in turn
    oldest_first,
};

struct TargetSpec {
    std::string name;
    std::string kind;                             // "webhook", "file", ...
    std::shared_ptr<const targets::Blueprint> blueprint;
    RetryPolicy retry;
    std::uint32_t concurrency = 16;               // requests in flight at most
    RateLimit rate;
    BatchPolicy batch;
    BreakerPolicy breaker;
    OrderPolicy order;
    CatchUp catch_up = CatchUp::fair;
    Budget budget;
    std::string dead_letter_target;               // empty: only the built-in store
    std::string renamed_from;                     // takes over that name's cursor and pending work
    bool adopt_pending = false;                   // its kind may change while deliveries are pending
};

}  // namespace eventyard::router
