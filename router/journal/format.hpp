// router/journal/format.hpp — the journal's bytes: segment headers and frames. Pure.
//
// docs/journal-format.md shows the layout. Every frame's checksums are seeded with the segment's
// random id and the frame's place in the file, so neither a recycled file's former frames nor
// frames that were copied somewhere else (even into an event's body) are ever taken for live ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ids.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

constexpr std::uint32_t journal_format = 1;          // newer ones are refused by name
constexpr std::uint64_t segment_data_start = 4096;   // frames follow the header block
constexpr std::size_t frame_header_size = 48;
constexpr std::size_t commit_frame_size = 72;
constexpr std::uint32_t meta_length_max = 16U << 20; // bytes of an envelope with its routes

/// Why sequences are missing.
enum class GapReason : std::uint8_t {
    none = 0,
    reserved = 1,   // reserved before a restart; never given, or given and lost without trace
    uncertain = 2,  // their commit failed: answered "outcome unknown", then dropped
    torn = 3,       // written when the machine stopped, never answered
    damaged = 4,    // synced once, unreadable later
    dropped = 5,    // no longer needed when the segment was rewritten
};

struct SegmentHeader {
    Id store;
    Id segment;
    std::uint64_t number = 0;       // ascending within a store
    Sequence first = 0;             // first sequence that may stand here
    Sequence synced_before = 0;     // every sequence up to here was synced (or stands in a gap)
    Sequence hole_first = 0;        // hole: [hole_first, first - 1]; 0: none
    GapReason hole_reason = GapReason::none;
    Sequence reserved = 0;          // reservation when the segment was opened
    WallTime created{};
    /// The segment before this one, so that its range is known even when all of it is lost.
    std::uint64_t previous_number = 0;  // 0: none
    Sequence previous_first = 0;
};

/// The header block: two copies of the header, far apart, each with its checksum.
[[nodiscard]] std::string encode_segment_header(const SegmentHeader& header);
/// Reads whichever copy is intact and belongs to `segment`. Errc::corrupt: none;
/// Errc::unsupported: an intact header of a newer format.
Result<SegmentHeader> decode_segment_header(std::string_view block, const Id& segment);

/// "<number, 20 digits>-<id, 32 hex digits>.seg"
[[nodiscard]] std::string segment_name(std::uint64_t number, const Id& segment);
[[nodiscard]] std::optional<std::pair<std::uint64_t, Id>> parse_segment_name(std::string_view name);

/// Start value of the checksums of whatever begins at an offset of one segment.
class FrameSeed {
public:
    explicit FrameSeed(const Id& segment) noexcept;
    [[nodiscard]] std::uint32_t at(std::uint64_t offset) const noexcept;

private:
    std::uint32_t of_id_;
};

enum class FrameKind : std::uint8_t { commit = 1, event = 2, gap = 3 };

struct FrameHeader {
    FrameKind kind = FrameKind::event;
    Sequence sequence = 0;          // commit and gap: the first of their range
    std::uint32_t meta_length = 0;
    std::uint32_t body_length = 0;
    std::uint32_t unit_index = 0;   // event's place in its commit unit
    std::uint32_t unit_size = 0;    // events in the unit
    std::uint32_t meta_crc = 0;
    std::uint32_t body_crc = 0;

    /// Bytes from the frame's begin to the next frame's.
    [[nodiscard]] std::uint64_t size() const noexcept
    {
        return (frame_header_size + std::uint64_t{meta_length} + body_length + 7) & ~std::uint64_t{7};
    }
};

/// Whether `bytes` may begin with a frame; cheap, for scanning.
[[nodiscard]] bool looks_like_frame(const char* bytes) noexcept;
/// @param bytes  at least frame_header_size; @param seed  FrameSeed::at(offset of the frame)
[[nodiscard]] std::optional<FrameHeader> decode_frame_header(std::string_view bytes,
                                                             std::uint32_t seed) noexcept;
[[nodiscard]] bool meta_intact(const FrameHeader& header, std::string_view meta,
                               std::uint32_t seed) noexcept;
[[nodiscard]] bool body_intact(const FrameHeader& header, std::string_view body,
                               std::uint32_t seed) noexcept;

/// Envelope and routes of an event.
struct EventMeta {
    Id id;
    WallTime received{};
    EventFormat format = EventFormat::json;
    Durability durability = Durability::fsync;
    std::uint64_t version = 0;
    std::uint32_t bus = 0;
    std::vector<std::uint32_t> routes;
};
/// First frame of a commit block.
struct CommitMeta {
    Sequence last = 0;
    Sequence synced_before = 0;  // as in the segment header, when this block was written
    Sequence reserved = 0;
};
/// Declares [FrameHeader::sequence, last] missing. A damaged event keeps its deliveries' names.
struct GapMeta {
    Sequence last = 0;
    GapReason reason = GapReason::none;
    std::vector<std::pair<std::string, std::string>> routes;  // (rule, target) by place; both empty: nobody needs it any more
};

[[nodiscard]] std::optional<EventMeta> decode_event_meta(std::string_view meta);
[[nodiscard]] std::optional<CommitMeta> decode_commit_meta(std::string_view meta);
[[nodiscard]] std::optional<GapMeta> decode_gap_meta(std::string_view meta);

/// Appends frames to one buffer that will be written at `offset` of a segment.
class FrameWriter {
public:
    FrameWriter(std::string& out, const FrameSeed& seed, std::uint64_t offset) noexcept
        : out_(out), seed_(seed), origin_(offset - out.size())
    {
    }
    /// Where the next frame begins in the file.
    [[nodiscard]] std::uint64_t offset() const noexcept { return origin_ + out_.size(); }

    void commit(Sequence first, const CommitMeta& meta);
    void event(Sequence sequence, std::uint32_t unit_index, std::uint32_t unit_size,
               const EventMeta& meta, std::string_view body);
    /// As above, from the parts of a StoredEvent, so that the commit path copies no routes.
    void event(const StoredEvent& event, std::uint32_t unit_index, std::uint32_t unit_size,
               Durability durability);
    void gap(Sequence first, const GapMeta& meta);

private:
    std::size_t begin();
    void end(std::size_t at, FrameHeader header, std::string_view body);

    std::string& out_;
    const FrameSeed& seed_;
    std::uint64_t origin_;
};

/// Upper bound of an event's frame, to see whether a block still fits.
[[nodiscard]] std::uint64_t frame_size_max(const StoredEvent& event) noexcept;

/// Short hash of an event id, kept in footers.
[[nodiscard]] std::uint32_t hash_of(const Id& event) noexcept;

}  // namespace eventyard::router
