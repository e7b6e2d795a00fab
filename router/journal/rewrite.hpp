// router/journal/rewrite.hpp — writes a sealed segment from parts of another file, and replaces
// the file of that name only when the new one is safe on disk. Blocks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.hpp"
#include "router/journal/segment_index.hpp"
#include "router/journal/versions.hpp"

namespace eventyard::router {

/// What the new file shall account for.
struct RewriteItem {
    enum class Kind : std::uint8_t { event, damaged, gap };
    Kind kind = Kind::event;
    Sequence first = 0;
    Sequence last = 0;                       // gap: inclusive end
    std::uint64_t offset = 0;                // event: its frame in the source
    std::uint64_t size = 0;
    std::vector<std::pair<std::string, std::string>> names;  // (rule, target) by place, should it be damaged
    std::vector<std::uint32_t> dropped;      // places in the event's routes nobody needs
    bool erase = false;                      // event: its body is left behind
    GapReason reason = GapReason::none;      // gap
};

struct Rewritten {
    SegmentIndex index;
    std::uint64_t bytes = 0;                 // of the new file
    std::vector<Sequence> damaged;           // events that turned out unreadable on the way
    bool named = false;                      // its name is on disk; else a crash may show the old file, which is as good
};

/// Writes `path`.tmp from `source` (frames of the same segment id), syncs it and renames it to
/// `path`. On failure the old file is untouched.
/// @param items  ascending
Result<Rewritten> rewrite_segment(Disk& disk, const std::string& directory, const std::string& name,
                                  File& source, const SegmentHeader& header,
                                  const std::vector<RewriteItem>& items, Versions& versions);

/// Ends a segment with its footer at `offset` and cuts the file behind it; the data must be synced.
/// Returns the file's new size.
Result<std::uint64_t> write_footer(File& file, const std::string& footer, std::uint64_t offset);

}  // namespace eventyard::router
