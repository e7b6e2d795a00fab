// router/journal/scan.hpp — finds every frame of a segment, whatever happened to the bytes between.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.hpp"
#include "router/journal/format.hpp"

namespace eventyard::router {

/// Reads, and tries again a few times: what fails once may be a path that is switched over.
Result<void> read_patiently(File& file, std::uint64_t offset, std::size_t size, std::string& out);

/// Reads a file in large pieces. What the disk cannot read comes back as zeros, so that a bad
/// sector is damage like any other; unreadable() tells.
class FileWindow {
public:
    FileWindow(File& file, std::uint64_t size) : file_(file), size_(size) {}
    /// Up to `wanted` bytes at `offset`; fewer only at the file's end. Valid until the next call.
    std::string_view at(std::uint64_t offset, std::uint64_t wanted);
    /// Bytes that came back as zeros so far.
    [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }

private:
    void load(std::uint64_t offset, std::uint64_t wanted);
    File& file_;
    std::uint64_t size_;
    std::uint64_t begin_ = 0;
    std::uint64_t unreadable_ = 0;
    std::string buffer_;
};

struct ScannedEvent {
    Sequence sequence = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;         // of the frame
    std::uint32_t unit_index = 0;
    std::uint32_t unit_size = 0;
    std::uint32_t body_length = 0;
    bool meta_ok = false;
    bool body_ok = false;
    EventMeta meta;                 // when meta_ok
    [[nodiscard]] bool intact() const noexcept { return meta_ok && body_ok; }
};

struct ScannedGap {
    Sequence first = 0;
    GapMeta meta;
};

struct Extent {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

struct Scan {
    std::vector<ScannedEvent> events;        // ascending
    std::vector<ScannedGap> gaps;
    std::vector<Extent> garbage;             // between frames
    std::uint64_t end = segment_data_start;  // behind the last frame found
    std::uint64_t file_size = 0;
    Sequence synced_before = 0;              // highest mark of any commit frame
    Sequence reserved = 0;
    Sequence first = 0, last = 0;            // lowest and highest sequence any frame names; 0: none
    bool unread = false;                     // the disk gave nothing at all: it says nothing about the file
};

[[nodiscard]] Scan scan_segment(File& file, std::uint64_t size, const Id& segment);

/// One event's frame, checked. Errc::corrupt when anything of it fails its checksum.
struct ReadEvent {
    FrameHeader header;
    EventMeta meta;
    std::string body;
};
Result<ReadEvent> decode_event(std::string_view frame, std::uint32_t seed, Sequence sequence);

}  // namespace eventyard::router
