// router/journal/appender.hpp — the commit path: numbers, writes and syncs blocks of units.
//
// One write and one fdatasync a block. A write or sync that failed is never tried again on that
// file: the segment is closed behind its last good block, the numbers of the failed one become a
// declared hole, and the next block goes to a new file that has just passed a write and a sync.
// Not thread-safe: the writer thread's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "router/journal/segments.hpp"
#include "router/journal/spares.hpp"

namespace eventyard::router {

class Appender {
public:
    struct Start {
        Id store;
        Sequence next = 1;  // first sequence to give
        Sequence end = 0;   // last one accounted for: [end + 1, next - 1] is a hole
    };
    /// @param closed  takes each segment that gets no more events, with whether its writes failed
    Appender(const Clock& clock, SegmentSet& segments, Spares& spares, std::uint64_t segment_size,
             Start start, std::function<void(SegmentPtr, bool failed)> closed);

    /// Makes room for a block of at most `block_max` bytes: rolls, or opens a new file after a
    /// failure. An error means that nothing was numbered or written.
    Result<void> ready(std::uint64_t block_max);
    /// Gives the units' events their sequences. After ready().
    void number(const std::vector<CommitUnit>& units);
    /// Writes the units just numbered, and syncs them and everything before when `sync`.
    /// An error means "outcome unknown".
    Result<void> write(const std::vector<CommitUnit>& units, bool sync);

    /// The segment being written gets no more events, if it has any, and the file of the one that does holds nothing
    /// else: recycled, it would hold the bodies of a former life.
    /// @param roll  false: it goes on, and only what stands behind its last block goes
    Result<void> clear_tail(bool roll);

    [[nodiscard]] Sequence last() const noexcept { return last_; }      // given
    [[nodiscard]] Sequence synced() const noexcept { return synced_; }  // on disk
    void set_reserved(Sequence reserved) noexcept { reserved_ = reserved; }
    [[nodiscard]] bool broken() const noexcept { return !active_; }
    [[nodiscard]] std::uint64_t sync_nanoseconds() const noexcept { return sync_nanoseconds_; }
    [[nodiscard]] std::uint64_t written_bytes() const noexcept { return written_bytes_; }
    /// Syncs what `os` and `memory` units left un-synced.
    Result<void> sync();

private:
    Result<void> open_next(bool probe);
    Result<void> roll();
    void fail_active();
    Result<void> sync_file(File& file);

    const Clock& clock_;
    SegmentSet& segments_;
    Spares& spares_;
    const std::uint64_t segment_size_;
    const Id store_;
    std::function<void(SegmentPtr, bool)> closed_;

    SegmentPtr active_;             // null: the last file failed, or none was opened yet
    std::uint64_t offset_ = 0;      // where the next block goes
    bool header_pending_ = false;   // goes out with the first block
    std::string buffer_;
    struct Place {
        std::uint64_t offset;
        std::uint32_t length;
    };
    std::vector<Place> places_;

    Sequence last_ = 0;             // given
    Sequence good_ = 0;             // last one that is in a segment
    Sequence synced_ = 0;
    Sequence reserved_ = 0;
    GapReason hole_reason_ = GapReason::reserved;
    std::uint64_t previous_number_ = 0;
    Sequence previous_first_ = 0;
    std::uint64_t sync_nanoseconds_ = 0;
    std::uint64_t written_bytes_ = 0;
};

/// Upper bound of the block that holds these units.
[[nodiscard]] std::uint64_t block_size_max(const std::vector<CommitUnit>& units) noexcept;

}  // namespace eventyard::router
