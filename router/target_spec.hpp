// router/target_spec.hpp — one configured target: its settings and its delivery policy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
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

struct TargetSpec {
    std::string name;
    std::string kind;                             // "webhook", "file", ...
    std::shared_ptr<const targets::Blueprint> blueprint;
    RetryPolicy retry;
    std::uint32_t concurrency = 16;               // attempts in flight at most
    std::string dead_letter_target;               // empty: only the built-in store
    std::string renamed_from;                     // takes over that name's cursor and pending work
    bool adopt_pending = false;                   // its kind may change while deliveries are pending
};

}  // namespace eventyard::router
