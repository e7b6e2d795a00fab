// router/journal/load.hpp — opens a sealed segment for reading: its file and its index.
#pragma once

#include <memory>

#include "core/disk.hpp"
#include "router/journal/segments.hpp"
#include "router/journal/versions.hpp"

namespace eventyard::router {

struct LoadedSegment {
    std::shared_ptr<File> file;
    std::shared_ptr<const SegmentIndex> index;
};

/// What the file's footer says. Errc::corrupt: there is none, or it fails its checksum; unsupported: a newer one.
Result<SegmentSummary> read_summary(File& file, std::uint64_t size, const FrameSeed& seed);
Result<SegmentIndex> read_index(File& file, std::uint64_t size, const FrameSeed& seed);

/// The index comes from the footer, or from a scan where the footer is damaged. Blocks.
/// Errc::not_found: released meanwhile; Errc::conflict: rewritten meanwhile, look again.
Result<LoadedSegment> load_segment(Disk& disk, const SegmentSet& segments, Versions& versions,
                                   Segment& segment);

/// One event's frame as lanes get it. Errc::corrupt: it, or its routing version, is damaged.
/// @param seed  FrameSeed::at(offset of the frame)
Result<StoredEventPtr> decode_stored(std::string_view frame, std::uint32_t seed, Sequence sequence, VersionMemo& versions);

}  // namespace eventyard::router
