#include "router/journal/judge.hpp"

#include <algorithm>

namespace eventyard::router {
namespace {

/// Ascending places of events that are kept.
std::vector<std::size_t> living(const Scan& scan, const Bounds& bounds, std::uint64_t& torn_bytes)
{
    std::vector<std::size_t> kept;
    const auto& events = scan.events;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const ScannedEvent& event = events[i];
        if (event.sequence < bounds.lower || event.sequence > bounds.upper) continue;
        if (i > 0 && events[i - 1].sequence == event.sequence && !kept.empty() &&
            events[kept.back()].sequence == event.sequence)
            continue;  // a frame that was written twice; one is enough
        if (event.sequence <= bounds.synced) {
            if (event.intact()) kept.push_back(i);
            continue;
        }
        // Above every mark: the unit lives or dies as one.
        const Sequence unit_first = event.sequence - event.unit_index;
        std::uint32_t whole = 0;
        for (std::size_t k = i >= event.unit_index ? i - event.unit_index : events.size();
             k < events.size() && whole < event.unit_size; ++k, ++whole) {
            const ScannedEvent& sibling = events[k];
            if (!sibling.intact() || sibling.sequence != unit_first + whole ||
                sibling.unit_index != whole || sibling.unit_size != event.unit_size)
                break;
        }
        // All siblings are decided together, so a unit of many events costs one look.
        const bool lives = whole == event.unit_size && whole > 0;
        if (lives)
            kept.push_back(i);
        else
            torn_bytes += event.size;
        if (lives && event.unit_index == 0) {
            for (std::uint32_t more = 1; more < event.unit_size; ++more) kept.push_back(++i);
        }
    }
    return kept;
}

class Teller {
public:
    Teller(const Scan& scan, const Bounds& bounds, Verdict& out)
        : scan_(scan), bounds_(bounds), out_(out)
    {
    }

    /// Everything in [first, last] is missing without declaration.
    void missing(Sequence first, Sequence last)
    {
        const Sequence damaged_last = std::min(last, bounds_.synced);
        if (first <= damaged_last) {
            if (damaged_last - first >= damaged_run_max)
                lost(first, damaged_last);
            else
                for (Sequence at = first; at <= damaged_last; ++at) damaged(at);
        }
        const Sequence torn_first = std::max(first, bounds_.synced + 1);
        if (torn_first <= last) {
            Finding gap;
            gap.kind = Finding::Kind::gap;
            gap.first = torn_first;
            gap.last = last;
            gap.reason = GapReason::torn;
            out_.findings.push_back(gap);
            out_.holes = true;
        }
    }

private:
    void damaged(Sequence sequence)
    {
        Finding finding;
        finding.kind = Finding::Kind::damaged;
        finding.first = finding.last = sequence;
        const auto at = std::lower_bound(
            scan_.events.begin(), scan_.events.end(), sequence,
            [](const ScannedEvent& event, Sequence wanted) { return event.sequence < wanted; });
        if (at != scan_.events.end() && at->sequence == sequence) finding.event = &*at;
        out_.findings.push_back(finding);
        out_.new_damage = true;
    }

    void lost(Sequence first, Sequence last)
    {
        Finding gap;
        gap.kind = Finding::Kind::gap;
        gap.first = first;
        gap.last = last;
        gap.reason = GapReason::damaged;
        out_.findings.push_back(gap);
        if (out_.lost_first == 0) out_.lost_first = first;
        out_.lost_last = last;
        out_.new_damage = true;
    }

    const Scan& scan_;
    const Bounds& bounds_;
    Verdict& out_;
};

/// What does not live may have been answered all the same, when rot hit it: its body is not to stay where no index tells.
void measure(const Scan& scan, Verdict& verdict)
{
    std::size_t living = 0;
    for (const Finding& finding : verdict.findings) {
        const bool undeclared = finding.kind == Finding::Kind::gap && finding.declared == nullptr;
        if (!undeclared) verdict.vouched = finding.last;
        verdict.gap_behind = undeclared;
        if (finding.kind != Finding::Kind::event) continue;
        verdict.end = std::max(verdict.end, finding.event->offset + finding.event->size);
        ++living;
    }
    const auto before = std::count_if(scan.events.begin(), scan.events.end(),
                                      [&](const ScannedEvent& event) { return event.offset < verdict.end; });
    const bool can_cut = living > 0 && static_cast<std::size_t>(before) == living && scan.gaps.empty();
    verdict.dropped = living < scan.events.size();
    verdict.dropped_between = verdict.dropped && !can_cut;
    if (!can_cut) verdict.end = scan.end;
}

void find(const Scan& scan, const Bounds& bounds, Verdict& verdict)
{
    std::vector<Finding> known;
    for (const std::size_t place : living(scan, bounds, verdict.torn_bytes)) {
        Finding finding;
        finding.first = finding.last = scan.events[place].sequence;
        finding.event = &scan.events[place];
        known.push_back(finding);
    }
    for (const ScannedGap& gap : scan.gaps) {
        Finding finding;
        finding.kind = gap.meta.reason == GapReason::damaged && gap.first == gap.meta.last
                           ? Finding::Kind::damaged
                           : Finding::Kind::gap;
        finding.first = gap.first;
        finding.last = gap.meta.last;
        finding.reason = gap.meta.reason;
        finding.declared = &gap;
        known.push_back(finding);
    }
    std::stable_sort(known.begin(), known.end(),
                     [](const Finding& a, const Finding& b) { return a.first < b.first; });

    Teller teller{scan, bounds, verdict};
    Sequence expected = bounds.lower != 0 ? bounds.lower : scan.first;
    for (Finding& finding : known) {
        if (finding.last < expected) continue;
        if (finding.first > expected && expected != 0) teller.missing(expected, finding.first - 1);
        verdict.findings.push_back(finding);
        expected = finding.last + 1;
    }
    // Behind the last living frame. Without a later segment only a mark tells what is missing.
    if (expected == 0) return;
    const Sequence end = bounds.upper != no_limit ? bounds.upper : bounds.synced;
    if (expected <= end) {
        const bool holes_before = verdict.holes;
        teller.missing(expected, end);
        verdict.holes = holes_before;
    }
}

}  // namespace

Verdict judge(const Scan& scan, const Bounds& bounds)
{
    Verdict verdict;
    find(scan, bounds, verdict);
    measure(scan, verdict);
    return verdict;
}

}  // namespace eventyard::router
