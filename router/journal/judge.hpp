// router/journal/judge.hpp — what of a scanned segment lives, what is damage, what was torn. Pure.
//
// A sequence at or below a sync mark was on disk: when it is unreadable now, that is damage. Above
// every mark the machine may have stopped in the middle of the write: what is whole, with its whole
// commit unit, is kept, and the rest was never answered and goes without a word.
#pragma once

#include <limits>
#include <vector>

#include "router/journal/scan.hpp"
#include "router/journal/segment_index.hpp"

namespace eventyard::router {

constexpr Sequence no_limit = std::numeric_limits<Sequence>::max();
/// A longer run of missing sequences is told as a range, not one by one.
constexpr std::uint64_t damaged_run_max = 65'536;

struct Bounds {
    Sequence lower = 0;         // first sequence that may stand in the segment; 0: unknown
    Sequence upper = no_limit;  // last one, when a later segment tells
    Sequence synced = 0;        // highest sync mark of any source
};

/// One thing the segment accounts for.
struct Finding {
    enum class Kind : std::uint8_t { event, damaged, gap };
    Kind kind = Kind::event;
    Sequence first = 0;
    Sequence last = 0;                      // gap: inclusive end; else first
    const ScannedEvent* event = nullptr;    // event: intact; damaged: its frame if one was found
    const ScannedGap* declared = nullptr;   // damaged or gap that an earlier recovery declared
    GapReason reason = GapReason::none;     // gap
};

struct Verdict {
    std::vector<Finding> findings;          // ascending, without overlap
    Sequence lost_first = 0, lost_last = 0; // missing without trace, too many to list
    std::uint64_t torn_bytes = 0;           // of frames that were cut
    bool new_damage = false;
    bool holes = false;                     // torn frames stand between living ones
    bool gap_behind = false;                // the last finding is a gap that nothing declares yet
    bool dropped = false;                   // there are events that do not live
    bool dropped_between = false;           // and they cannot be cut off behind the living ones
    std::uint64_t end = 0;                  // offset behind the last event that lives; behind all frames where nothing can be cut
    Sequence vouched = 0;                   // last one that is there or declared; a gap that is not written down yet is neither

    /// Where it stands it can only be sealed as it is, or cut behind the living; a new file declares what is missing.
    [[nodiscard]] bool wants_rewrite() const noexcept { return new_damage || holes || gap_behind || dropped_between; }
};

/// @param scan  must outlive the verdict
[[nodiscard]] Verdict judge(const Scan& scan, const Bounds& bounds);

}  // namespace eventyard::router
