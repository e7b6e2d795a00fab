#include "router/segment_release.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <vector>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

using Counts = std::map<std::string, std::uint64_t>;  // deliveries by target

struct Candidate {
    SegmentInfo segment;
    std::uint64_t retries = 0;
};

}  // namespace

/// Shared with the callbacks. Used by one of them, or held, at a time: `busy` is the baton.
struct SegmentRelease::Rounds : std::enable_shared_from_this<Rounds> {
    Rounds(Journal& of, State& with, ReleaseOptions by) : journal(of), state(with), options(by) {}

    Journal& journal;
    State& state;
    ReleaseOptions options;
    std::atomic<bool> busy{false};
    std::map<std::string, std::pair<std::uint64_t, Counts>> known;  // by segment, with its size then

    void start(const std::vector<SequenceRange>& kept)
    {
        if (busy.exchange(true)) return;
        std::vector<SegmentInfo> sealed;
        std::vector<NeededRange> ranges;
        for (SegmentInfo& segment : journal.segments()) {
            if (!segment.sealed || segment.last < segment.first) continue;
            const auto meets = [&](const SequenceRange& one) { return segment.last > one.after && segment.first <= one.through; };
            if (std::any_of(kept.begin(), kept.end(), meets)) continue;
            ranges.push_back({segment.first, segment.last, 0});
            sealed.push_back(std::move(segment));
        }
        if (sealed.empty()) return done();
        state.needed(std::move(ranges), [self = shared_from_this(), sealed = std::move(sealed)](Result<Needed> needed) {
            if (!needed.has_value()) return self->done();
            self->judge(sealed, *needed);
        });
    }

    void judge(const std::vector<SegmentInfo>& sealed, const Needed& needed)
    {
        std::map<std::string, Sequence> cursors(needed.cursors.begin(), needed.cursors.end());
        Sequence lowest = UINT64_MAX;
        for (const auto& [target, cursor] : cursors) lowest = std::min(lowest, cursor);
        // While the state cannot write, a target may be at work that it has never heard of.
        if (state.stats().failing) lowest = 0;
        std::vector<std::string> unneeded;
        std::optional<Candidate> best;
        std::uint64_t bytes = 0;
        double best_share = options.rewrite_below;
        std::set<std::string> names;
        for (std::size_t i = 0; i < sealed.size(); ++i) {
            const SegmentInfo& segment = sealed[i];
            const std::uint64_t retries = needed.ranges[i].retries;
            names.insert(segment.name);
            bytes += segment.bytes;
            // A start counts from the journal what the totals do not know of yet.
            if (segment.last > needed.counted) continue;
            if (segment.last <= lowest && retries == 0) {
                unneeded.push_back(segment.name);
                continue;
            }
            const Counts* counts = count(segment);
            if (counts == nullptr) continue;
            std::uint64_t total = 0, wanted = retries;
            for (const auto& [target, deliveries] : *counts) {
                total += deliveries;
                // A target the state has never heard of needs everything.
                const auto cursor = cursors.find(target);
                if (cursor == cursors.end() || cursor->second < segment.last) wanted += deliveries;
            }
            if (wanted == 0) {
                unneeded.push_back(segment.name);
                continue;
            }
            const double share = static_cast<double>(wanted) / static_cast<double>(std::max(total, wanted));
            if (share >= best_share) continue;
            best_share = share;
            best = Candidate{segment, retries};
        }
        std::erase_if(known, [&](const auto& entry) { return names.count(entry.first) == 0; });
        const bool worth = bytes >= options.rewrite_min_bytes || sealed.size() >= options.rewrite_min_sealed;
        if (!worth) best.reset();
        if (unneeded.empty() && !best) return done();
        Sequence through = best ? best->segment.last : 0;
        for (const SegmentInfo& segment : sealed)
            if (std::find(unneeded.begin(), unneeded.end(), segment.name) != unneeded.end())
                through = std::max(through, segment.last);
        count_off(needed.counted_through, through,
                  [self = shared_from_this(), unneeded = std::move(unneeded), best = std::move(best),
                   cursors = std::move(cursors)]() mutable {
                      if (!unneeded.empty()) self->journal.release(std::move(unneeded));
                      if (!best) return self->done();
                      self->collect_keys(std::move(*best), std::move(cursors));
                  });
    }

    /// What is about to go, or to be rewritten, is counted first, with everything before it: so the
    /// audit adds up the whole journal for ever. Durable before `then`.
    void count_off(Sequence after, Sequence through, std::function<void()> then)
    {
        if (through <= after) return then();
        auto counts = journal.tally(after, through);
        if (!counts.has_value()) return done();  // the next round tries again
        state.submit({JournalCounted{through, std::move(*counts)}},
                     [self = shared_from_this(), then = std::move(then)](const Result<void>& durable) {
                         if (!durable.has_value()) return self->done();
                         then();
                     });
    }

    /// Deliveries of a sealed segment by target; null when it cannot be read now.
    const Counts* count(const SegmentInfo& segment)
    {
        auto& entry = known[segment.name];
        if (entry.first == segment.bytes) return &entry.second;
        const auto tally = journal.tally(segment.first - 1, segment.last);
        if (!tally.has_value()) return nullptr;
        entry = {segment.bytes, {}};
        for (const auto& [route, deliveries] : *tally) entry.second[route.second] += deliveries;
        return &entry.second;
    }

    void collect_keys(Candidate candidate, std::map<std::string, Sequence> cursors)
    {
        if (candidate.retries == 0) return rewrite(candidate.segment, std::move(cursors), {});
        // Of every target: a delivery may have been moved to one that none of these events went to.
        state.retry_keys(candidate.segment.first, candidate.segment.last, {},
                         [self = shared_from_this(), segment = candidate.segment,
                          cursors = std::move(cursors)](const Result<std::vector<DeliveryKey>>& keys) {
                             if (!keys.has_value()) return self->done();
                             self->rewrite(segment, cursors, {keys->begin(), keys->end()});
                         });
    }

    void rewrite(const SegmentInfo& segment, std::map<std::string, Sequence> cursors, std::set<DeliveryKey> keys)
    {
        const auto keep = [cursors = std::move(cursors), keys = std::move(keys)](const StoredEvent& event,
                                                                                 std::uint32_t route) {
            const auto cursor = cursors.find(event.version->routes[event.routes[route]].target);
            return cursor == cursors.end() || cursor->second < event.sequence ||
                   keys.count({event.sequence, route}) == 1;
        };
        journal.rewrite(segment.name, keep, [self = shared_from_this(), name = segment.name](const Result<void>& result) {
            if (result.has_value())
                log::info("journal", "rewrote a segment to what is still needed", {{"segment", name}});
            else
                log::warn("journal", "a segment could not be rewritten; it is kept whole",
                          {{"segment", name}, {"error", result.error().what}});
            self->done();
        });
    }

    void done() { busy = false; }
};

SegmentRelease::SegmentRelease(Journal& journal, State& state, ReleaseOptions options)
    : rounds_(std::make_shared<Rounds>(journal, state, options))
{
}

SegmentRelease::~SegmentRelease() = default;

void SegmentRelease::tick(const std::vector<SequenceRange>& kept) { rounds_->start(kept); }

bool SegmentRelease::hold() { return !rounds_->busy.exchange(true); }

void SegmentRelease::let_go() { rounds_->done(); }

}  // namespace eventyard::router
