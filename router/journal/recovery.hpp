// router/journal/recovery.hpp — makes every segment left by a former life a sealed one.
//
// Sealed segments are taken by their footers; a segment without a good one is scanned, judged
// (judge.hpp), synced in place or rewritten, and sealed. Nothing is ever appended to it. Blocks.
#pragma once

#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"
#include "router/journal/journal.hpp"
#include "router/journal/segments.hpp"
#include "router/journal/versions.hpp"

namespace eventyard::router {

struct Recovery {
    RecoveryReport report;
    Sequence next = 1;                // first sequence to be given
    Sequence end = 0;                 // last one the segments account for
    Sequence reserved = 0;            // highest reservation the journal itself knows
    Sequence decided = UINT64_MAX;    // above it stand events that were never answered; until a hole is declared, a later start may keep them
    std::vector<SegmentPtr> unused;   // without an event, and with the newest header
    std::vector<std::string> spares;  // file names that can be used again
};

/// What of a sealed segment is read.
enum class Depth : std::uint8_t {
    footers,      // a start: quick
    every_frame,  // a repair: one with damage is treated as if it had no footer, and so written anew
};

/// Fills `segments`. @param store_if_none  the id of a journal that has none yet
Result<Recovery> recover(Disk& disk, SegmentSet& segments, Versions& versions,
                         const JournalMarks& marks, const Id& store_if_none, Depth depth = Depth::footers);

}  // namespace eventyard::router
