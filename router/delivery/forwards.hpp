// router/delivery/forwards.hpp — dead letters on their way to their dead-letter target.
//
// The state keeps which copies are still to be taken; this goes over them in passes, a page at a
// time, and tries each once a pass. A copy that fails stays in the state for the next pass, which
// waits as the target's own policy says; so a copy is tried until it is taken, one that is never
// taken holds up no other, and none ever makes another dead letter. Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "router/delivery/retry.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class Forwards {
public:
    using Letter = std::shared_ptr<const DeadLetter>;
    struct Read {
        std::int64_t after_id;
        std::size_t limit;
    };

    explicit Forwards(std::size_t page = 64) : page_max_(page) {}
    /// The state has new ones, or may have at the start.
    void look() noexcept { news_ = true; }
    /// The read to make now, when every change made so far is durable.
    [[nodiscard]] std::optional<Read> want_read(SteadyTime now);
    void took(std::vector<DeadLetter> letters);
    void read_failed() noexcept;

    [[nodiscard]] bool ready() const noexcept { return !page_.empty(); }
    [[nodiscard]] Letter take();
    /// @param failed  false: the target has it
    void ended(bool failed, const RetryPolicy& policy, SteadyTime now, double draw);
    /// The attempt did not count.
    void put_back(Letter letter);
    /// Of this event none is tried any more, of those that were read.
    void drop(const Id& event, const RetryPolicy& policy, SteadyTime now, double draw);
    void hurry(SteadyTime now) noexcept;

    [[nodiscard]] std::optional<SteadyTime> wake_at() const noexcept { return next_pass_; }
    /// Known to wait, here or for the next pass; the state may hold more pages.
    [[nodiscard]] std::uint64_t waiting() const noexcept { return page_.size() + failed_; }

private:
    void end_pass(const RetryPolicy& policy, SteadyTime now, double draw);

    std::size_t page_max_;
    std::deque<Letter> page_;
    std::uint32_t in_flight_ = 0;
    bool news_ = false;
    bool in_pass_ = false;
    bool reading_ = false;
    bool more_ = false;                     // the pass has pages left
    std::int64_t after_ = 0;                // the pass got so far
    std::int64_t highest_ = 0;              // ever read
    std::uint64_t failed_ = 0;              // tried and not taken, waiting for the next whole pass
    std::uint32_t passes_ = 0;              // in a row with failures and without any success
    bool took_one_ = false;                 // in this pass
    bool failed_one_ = false;
    std::optional<SteadyTime> next_pass_;
};

}  // namespace eventyard::router
