// targets/target.hpp — the interface every kind of target implements.
//
// One call of deliver() is one attempt and ends in one Outcome, one of deliver_batch() makes an attempt for each of
// many; retrying, rate limits and dead letters are the lane's business (router/delivery). A Target lives on one I/O thread for life;
// they may be called again while earlier calls are still waiting, up to the target's
// `concurrency`. Nothing here may block that thread: file and Redis targets have workers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.hpp"
#include "core/time.hpp"
#include "targets/outcome.hpp"

namespace eventyard::targets {

using Executor = boost::asio::io_context::executor_type;
template <class T>
using Task = boost::asio::awaitable<T, Executor>;

/// What one attempt needs. Views and the reference stay valid until the attempt's Outcome.
struct Delivery {
    std::string_view id;         // the webhook-id: the same in every attempt
    std::string_view rule;
    std::string_view target;
    const Event& event;
    std::uint64_t sequence = 0;
    std::uint32_t attempt = 1;   // counts from 1
    std::string_view replay_of = {};  // the id of the delivery that this one repeats; empty: no replay
};

/// A counter or setting a target shows in status, e.g. {"fsync", "never: a power loss may lose ..."}.
struct StatusItem {
    std::string key;
    std::string value;
};

class Target {
public:
    virtual ~Target() = default;
    /// Never throws; every failure is an Outcome. Bounded in time by the target's own timeout, and
    /// ends early with Cause::internal, Verdict::retry after close() was called.
    virtual Task<Outcome> deliver(const Delivery& delivery) = 0;
    /// The same for deliveries that go out together, also for one alone: `batch` is set for the target. One outcome
    /// for each, in order; or a single one for the request as a whole, when nothing is known of any one of them.
    virtual Task<std::vector<Outcome>> deliver_batch(std::span<const Delivery> deliveries) = 0;
    /// After a reload that left this target unchanged: reopen files (logrotate).
    virtual void reopen() {}
    /// Frees connections and workers and makes pending attempts end soon. Called once, on the
    /// target's thread; the Target is destroyed when its attempts have ended.
    virtual void close() {}
    [[nodiscard]] virtual std::vector<StatusItem> status() const { return {}; }
};

/// The place a target runs in. The references outlive it.
struct TargetContext {
    std::string name;
    boost::asio::io_context& io;
    const Clock& clock;
    Random& random;
};

/// A target's validated settings; makes the running Target. Immutable, shared by route tables.
class Blueprint {
public:
    virtual ~Blueprint() = default;
    [[nodiscard]] virtual std::unique_ptr<Target> make(TargetContext context) const = 0;
    /// Equal fingerprints mean equal settings: a reload then keeps the running Target. Holds no
    /// readable secret (hash them).
    [[nodiscard]] virtual std::string fingerprint() const = 0;
    /// The target's address for people: a URL without credentials, a path.
    [[nodiscard]] virtual std::string address() const = 0;
};

}  // namespace eventyard::targets
