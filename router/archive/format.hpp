// router/archive/format.hpp — one archive file: the events of one bus from one sealed segment.
//
//     header (16) | blocks, each compressed with zstd | footer | trailer (40)
// docs/archive.md shows the layout. Every byte is under a checksum that is tied to its place, and the
// parts lie end to end, so a file that was cut or changed is refused; it never gives an event that was
// not put in. A file is complete when it has its name: it is written under another one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/event.hpp"
#include "core/result.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

constexpr std::uint32_t archive_format = 1;  // newer ones are refused by name

struct ArchivedEvent {
    Sequence sequence = 0;
    Event event;
};

struct ArchiveBlock {
    std::uint64_t offset = 0;
    std::uint32_t stored = 0;   // bytes in the file
    std::uint64_t size = 0;     // bytes unpacked
    std::uint32_t crc = 0;      // of the stored bytes
    Sequence first = 0, last = 0;
    WallTime from{}, to{};      // earliest and latest receipt
    std::uint64_t events = 0;
};

struct ArchiveFooter {
    Id store;                   // of the journal
    std::string bus;
    Sequence first = 0, last = 0;  // of the segment: every event to be archived from there is here
    WallTime from{}, to{};      // earliest and latest receipt; meaningless without events
    std::uint64_t events = 0;
    std::vector<ArchiveBlock> blocks;
};

/// Writes one file from its start. Not thread-safe.
class ArchiveWriter {
public:
    /// The file is empty and outlives this.
    ArchiveWriter(File& file, const Id& store, std::string bus);
    /// In order of sequence.
    Result<void> add(Sequence sequence, const Event& event);
    /// Writes the rest and syncs. Nothing is added afterwards.
    Result<void> seal(Sequence first, Sequence last);
    [[nodiscard]] const ArchiveFooter& footer() const noexcept { return footer_; }
    /// Of the file, after seal().
    [[nodiscard]] std::uint64_t bytes() const noexcept { return offset_; }

private:
    Result<void> flush();
    Result<void> write(std::string_view bytes);

    File& file_;
    ArchiveFooter footer_;
    ArchiveBlock block_;
    std::string raw_;
    std::uint64_t offset_ = 0;
};

/// Errc::corrupt: cut or changed; unsupported: a newer format.
Result<ArchiveFooter> read_archive_footer(File& file);
Result<std::vector<ArchivedEvent>> read_archive_block(File& file, const ArchiveFooter& footer, std::size_t block);

}  // namespace eventyard::router
