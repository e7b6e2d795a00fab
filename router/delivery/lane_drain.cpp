// A target that drains: what was accepted before goes out, what comes later waits behind the mark, and then it is paused.
//
// The mark is a sequence. Everything with a row was accepted before it: nothing above it has started. So the target is
// drained when its cursor has come to the mark and no row is left. What the mark holds back stays where a backlog does.
#include <algorithm>
#include <utility>

#include "router/delivery/lane.hpp"

namespace eventyard::router {

void Lane::drain(Sequence through, std::string reason, Todo& todo)
{
    if (!paused_.empty()) health_.reset();
    paused_.clear();
    drain_through_ = through;
    drain_reason_ = std::move(reason);
    drain_later_ = 0;
    todo.changes.emplace_back(TargetDraining{target_, std::max<Sequence>(1, through), drain_reason_});
}

void Lane::end_drain(const Now& now, Todo& todo)
{
    if (!drain_through_ || !configured_) return;
    if (schedule_.waiting() + held_ + retries_in_flight_ > 0 || window_.cursor(now.seen) < *drain_through_) return;
    pause("drained: " + drain_reason_, todo, Note::What::drained);
}

std::uint64_t Lane::drain_left() const noexcept
{
    if (!drain_through_) return 0;
    const std::uint64_t all = pending().sum();
    return all - std::min(all, window_.above(*drain_through_, drain_later_));
}

/// These have ended where memory has not come to.
void Lane::settled_later(const std::vector<DeliveryKey>& ahead) noexcept
{
    if (!drain_through_) return;
    for (const DeliveryKey key : ahead)
        if (key.sequence > *drain_through_ && drain_later_ > 0) --drain_later_;
}

}  // namespace eventyard::router
