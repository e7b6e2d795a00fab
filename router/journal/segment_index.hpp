// router/journal/segment_index.hpp — which events a segment holds, where, and for whom. Pure.
//
// Built while a segment is written (or scanned) and stored as its footer when it is sealed:
//     index section | summary section | trailer (fixed size, the file's last bytes)
// A start reads trailers and summaries only; a reader that needs the segment loads the index.
// Names of rules and targets stand in the footer itself, so it can be read without the routing
// versions. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "router/journal/format.hpp"

namespace eventyard::router {

/// Deliveries of one rule to one target within a segment.
struct RouteCount {
    std::string rule;
    std::string target;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;   // of bodies
};

struct Gap {
    Sequence first = 0;
    Sequence last = 0;         // inclusive
    GapReason reason = GapReason::none;
    bool operator==(const Gap&) const = default;
};

struct SegmentSummary {
    Sequence first = 0;             // range that the segment accounts for, gaps included
    Sequence last = 0;
    std::uint64_t events = 0;       // readable when it was sealed
    std::uint64_t damaged = 0;
    Sequence reserved = 0;
    std::uint64_t data_end = 0;     // offset behind the last frame
    std::vector<std::uint64_t> versions;
    std::vector<RouteCount> routes;
};

constexpr std::uint32_t route_dropped = 0xffffffff;

struct IndexedEvent {
    Sequence sequence = 0;
    std::uint64_t offset = 0;       // of its frame; 0: no frame
    std::uint32_t length = 0;       // of its frame
    std::uint32_t body_length = 0;
    std::uint32_t routes_first = 0; // into SegmentIndex::routes()
    std::uint32_t routes_count = 0;
    std::uint32_t id_hash = 0;
    bool damaged = false;           // declared unreadable
};

class SegmentIndex {
public:
    void add(const StoredEvent& event, std::uint64_t offset, std::uint32_t length);
    /// @param version  null: both copies were lost; the event cannot be delivered and counts as damaged.
    void add(Sequence sequence, const EventMeta& meta, const RoutingVersion* version,
             std::uint64_t offset, std::uint32_t length, std::uint32_t body_length);
    /// @param routes  (rule, target) by place among the event's routes; both empty where nobody needs the route any more
    void add_damaged(Sequence sequence, const std::vector<std::pair<std::string, std::string>>& routes);
    /// Drops one route of the last event added (a rewrite that no longer needs it).
    void drop_route(std::uint32_t route);
    void add_gap(const Gap& gap);
    /// Widens the range that is accounted for.
    void cover(Sequence first, Sequence last);
    void set_reserved(Sequence reserved) { summary_.reserved = reserved; }
    void set_data_end(std::uint64_t offset) { summary_.data_end = offset; }

    [[nodiscard]] const SegmentSummary& summary() const noexcept { return summary_; }
    [[nodiscard]] const std::vector<IndexedEvent>& events() const noexcept { return events_; }
    /// Indices into summary().routes, or route_dropped; see IndexedEvent::routes_first.
    [[nodiscard]] const std::vector<std::uint32_t>& routes() const noexcept { return routes_; }
    [[nodiscard]] const std::vector<Gap>& gaps() const noexcept { return gaps_; }
    /// First event at or above `sequence`, as a place in events().
    [[nodiscard]] std::size_t lower_bound(Sequence sequence) const noexcept;
    [[nodiscard]] const IndexedEvent* find(Sequence sequence) const noexcept;
    /// (rule, target) by place among the event's routes; both empty where nobody needs the route any more.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> names_of(const IndexedEvent& event) const;
    [[nodiscard]] std::optional<Gap> gap_of(Sequence sequence) const noexcept;
    [[nodiscard]] std::size_t memory() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return events_.empty() && gaps_.empty(); }

    /// The index section, without checksum.
    [[nodiscard]] std::string encode() const;
    static Result<SegmentIndex> decode(std::string_view section, SegmentSummary summary);

private:
    std::uint32_t pair_of(const std::string& rule, const std::string& target);
    std::uint32_t pair_of(std::uint64_t version, std::uint32_t route, const RoutingVersion& names);
    void append(IndexedEvent event);
    void use_version(std::uint64_t version);

    SegmentSummary summary_;
    std::vector<IndexedEvent> events_;
    std::vector<std::uint32_t> routes_;
    std::vector<Gap> gaps_;
    std::map<std::pair<std::string, std::string>, std::uint32_t> pairs_;
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> pairs_of_version_;  // pair + 1; 0: unknown yet
};

// --- The footer ----------------------------------------------------------------------------------

constexpr std::size_t trailer_size = 64;
/// Says that the footer is on disk: written into the trailer after its sync, and not synced itself. A start that finds
/// a footer without it cannot tell whether a sync failed and a power cut would bring back what the footer was written
/// over. No checksum covers it: half of it, or none, is a footer without word, never a footer lost.
constexpr std::string_view synced_word = "SYNC";
constexpr std::size_t synced_word_from_end = 8;  // of the file
constexpr std::uint64_t footer_section_max = 1ULL << 30;  // bytes, unpacked

struct Trailer {
    std::uint64_t index_offset = 0;
    std::uint64_t index_stored = 0;    // bytes in the file
    std::uint64_t index_size = 0;      // bytes unpacked; equal to stored: not packed
    std::uint64_t summary_offset = 0;
    std::uint32_t summary_size = 0;
    std::uint32_t index_crc = 0;       // of the stored bytes
    std::uint32_t summary_crc = 0;
    bool synced = false;               // the word is there
};

/// Everything that follows the data at `offset`, to the file's end.
[[nodiscard]] std::string encode_footer(const SegmentIndex& index, const FrameSeed& seed,
                                        std::uint64_t offset);
/// @param bytes   the file's last trailer_size bytes; @param offset  where they stand
Result<Trailer> decode_trailer(std::string_view bytes, const FrameSeed& seed, std::uint64_t offset);
Result<SegmentSummary> decode_summary(std::string_view bytes, const Trailer& trailer,
                                      const FrameSeed& seed);
Result<SegmentIndex> decode_index(std::string_view bytes, const Trailer& trailer,
                                  const FrameSeed& seed, SegmentSummary summary);

}  // namespace eventyard::router
