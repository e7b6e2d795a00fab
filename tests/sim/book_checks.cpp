// What the book asks of lanes while a run goes on, and of the ledger in the end.
#include "tests/sim/book.hpp"

#include <algorithm>
#include <iterator>

namespace eventyard::sim {

void Book::check_lane(const Lane& lane, Sequence seen, const std::vector<Change>& unflushed)
{
    const std::string& target = lane.target();
    std::uint64_t ended = ended_before_[target] + ended_now_[target];
    for (const Change& change : unflushed)
        if (const auto* one = std::get_if<Ended>(&change); one && one->target == target) ++ended;
    for (const Change& change : unflushed)
        if (const auto* one = std::get_if<Moved>(&change); one && one->from == target) ++ended;
    const auto& promised = promised_[target];
    const auto routed = static_cast<std::uint64_t>(std::distance(promised.begin(), std::upper_bound(promised.begin(), promised.end(), seen))) +
                        moved_in_[target];
    const Pending pending = lane.pending();
    if (forgetful) return;
    check_order(target, unflushed);
    const std::uint64_t told = pending.sum() + ended;
    const auto coming = static_cast<std::uint64_t>(std::max<std::int64_t>(0, moving_[target]));
    // What was torn off before anybody counted it may have ended; on a full disk the journal has not gone past its numbers yet.
    if (told > routed + unnamed(target, seen) || told + unnamed(target) + coming < routed)
        violated("the ledger of '" + target + "' does not balance: " + std::to_string(routed) + " routed up to " + std::to_string(seen) +
                 " or moved in, " + std::to_string(ended) + " ended, " + std::to_string(pending.sum()) + " pending");
}

std::uint64_t Book::unnamed(const std::string& target, Sequence above) const
{
    std::uint64_t n = 0;
    for (const Sequence sequence : hit) {
        const auto found = by_sequence_.find(sequence);
        if (sequence <= above || found == by_sequence_.end()) continue;
        const StoredEvent& stored = *found->second->stored;
        for (std::size_t i = 0; i < stored.routes.size(); ++i) {
            const Delivery& one = found->second->deliveries[i];
            const bool here = stored.version->routes[stored.routes[i]].target == target || one.been.contains(target);
            if (here) ++n;
        }
    }
    return n;
}

void Book::check_repeats(const Lane& lane)
{
    const std::uint64_t repeats = unsettled_[lane.target()];
    const std::uint64_t bound = lane.in_flight() + lane.uncommitted();
    if (repeats > bound)
        violated("a crash repeats " + std::to_string(repeats) + " deliveries of '" + lane.target() + "', announced were " +
                 std::to_string(bound));
}

void Book::check_ledger(const std::vector<LedgerRow>& rows)
{
    using Rule = std::pair<std::string, std::string>;
    std::map<Rule, std::uint64_t> routed, unsure, hit_routed;  // hit: torn off before anybody counted them, perhaps
    std::map<Rule, std::map<Ending, std::uint64_t>> ended;
    for (const auto& [id, event] : events_) {
        if (!event->published) continue;
        for (std::uint32_t i = 0; i < event->deliveries.size(); ++i) {
            const Delivery& one = event->deliveries[i];
            const auto route = event->stored->version->routes[event->stored->routes[i]];
            const Rule rule{std::string{route.rule}, route.target};
            ++routed[rule];
            if (hit.contains(event->stored->sequence)) {  // counted as it ended, or not at all
                ++unsure[rule];
                ++hit_routed[rule];
                for (const std::string& target : one.been) ++unsure[{rule.first, target}];
                continue;
            }
            if (!one.ended) {
                violated("delivery " + name(*event, i) + " never ended");
                continue;
            }
            ++ended[{rule.first, one.ended_at}][*one.ended];
        }
    }
    if (forgetful) return;
    std::map<Rule, LedgerRow> kept;
    for (const LedgerRow& row : rows) kept[{row.rule, row.target}] = row;
    for (const auto& [rule, n] : routed) kept.try_emplace(rule);
    std::uint64_t moved = 0, moved_in = 0;
    for (const auto& [rule, row] : kept) {
        const std::string who = rule.first + " -> " + rule.second;
        if (row.routed > routed[rule] || row.routed + hit_routed[rule] < routed[rule])
            violated("the state counts " + std::to_string(row.routed) + " deliveries routed by " + who + ", the world " +
                     std::to_string(routed[rule]));
        std::uint64_t over = 0;
        for (const auto& [ending, n] : row.ended) over += n;
        // What was torn off before it was counted may have ended, by a row.
        if (over > row.routed + row.moved_in + unsure[rule] || over + unsure[rule] < row.routed + row.moved_in)
            violated("the state's row of " + who + " does not balance");
        moved_in += row.moved_in;
        if (const auto found = row.ended.find(Ending::moved); found != row.ended.end()) moved += found->second;
        for (const auto ending : {Ending::delivered, Ending::dead_lettered, Ending::discarded_operator,
                                  Ending::discarded_retention, Ending::discarded_overflow, Ending::expired,
                                  Ending::damaged, Ending::lost}) {
            const auto found = row.ended.find(ending);
            const std::uint64_t said = found == row.ended.end() ? 0 : found->second;
            if (said < ended[rule][ending] || said > ended[rule][ending] + unsure[rule])
                violated("the state counts " + std::to_string(said) + ' ' + text_of(ending) + " by " + who + ", the world " +
                         std::to_string(ended[rule][ending]));
        }
    }
    if (moved != moved_in)
        violated(std::to_string(moved) + " deliveries were moved away, and " + std::to_string(moved_in) + " moved in");
}

}  // namespace eventyard::sim
