#include "router/journal/scan.hpp"

#include <algorithm>

namespace eventyard::router {
namespace {

constexpr std::uint64_t window_size = 1U << 20;
constexpr std::uint64_t page = 4096;
constexpr int tries_max = 5;

void note_sequence(Scan& scan, Sequence first, Sequence last)
{
    if (scan.first == 0 || first < scan.first) scan.first = first;
    scan.last = std::max(scan.last, last);
}

/// Returns whether the frame says something; a frame of unknown kind is passed over like garbage.
bool take_frame(Scan& scan, FileWindow& window, const FrameHeader& header, std::uint64_t at,
                std::uint32_t seed)
{
    const std::string_view meta = window.at(at + frame_header_size, header.meta_length);
    const bool meta_ok = meta_intact(header, meta, seed);
    switch (header.kind) {
        case FrameKind::event: {
            ScannedEvent event;
            event.sequence = header.sequence;
            event.offset = at;
            event.size = header.size();
            event.unit_index = header.unit_index;
            event.unit_size = header.unit_size;
            event.body_length = header.body_length;
            if (meta_ok)
                if (auto parsed = decode_event_meta(meta)) {
                    event.meta_ok = true;
                    event.meta = std::move(*parsed);
                }
            const std::uint64_t body_at = at + frame_header_size + header.meta_length;
            event.body_ok = body_intact(header, window.at(body_at, header.body_length), seed);
            note_sequence(scan, event.sequence, event.sequence);
            scan.events.push_back(std::move(event));
            return true;
        }
        case FrameKind::commit: {
            note_sequence(scan, header.sequence, header.sequence);
            const auto parsed = meta_ok ? decode_commit_meta(meta) : std::nullopt;
            if (!parsed) return true;
            note_sequence(scan, header.sequence, parsed->last);
            scan.synced_before = std::max(scan.synced_before, parsed->synced_before);
            scan.reserved = std::max(scan.reserved, parsed->reserved);
            return true;
        }
        case FrameKind::gap: {
            note_sequence(scan, header.sequence, header.sequence);
            auto parsed = meta_ok ? decode_gap_meta(meta) : std::nullopt;
            if (!parsed) return true;
            note_sequence(scan, header.sequence, parsed->last);
            scan.gaps.push_back({header.sequence, std::move(*parsed)});
            return true;
        }
    }
    return false;
}

}  // namespace

Result<void> read_patiently(File& file, std::uint64_t offset, std::size_t size, std::string& out)
{
    auto read = file.read_at(offset, size, out);
    for (int tries = 1; !read.has_value() && tries < tries_max; ++tries) read = file.read_at(offset, size, out);
    return read;
}

std::string_view FileWindow::at(std::uint64_t offset, std::uint64_t wanted)
{
    if (offset >= size_) return {};
    wanted = std::min(wanted, size_ - offset);
    if (offset < begin_ || offset + wanted > begin_ + buffer_.size()) load(offset, wanted);
    return std::string_view{buffer_}.substr(static_cast<std::size_t>(offset - begin_),
                                            static_cast<std::size_t>(wanted));
}

void FileWindow::load(std::uint64_t offset, std::uint64_t wanted)
{
    begin_ = offset;
    const std::uint64_t size = std::min(std::max(wanted, window_size), size_ - offset);
    const bool read = file_.read_at(offset, static_cast<std::size_t>(size), buffer_).has_value();
    if (read && buffer_.size() == size) return;
    buffer_.assign(static_cast<std::size_t>(size), '\0');
    std::string piece;
    for (std::uint64_t at = 0; at < size; at += page) {
        const std::uint64_t length = std::min(page, size - at);
        if (read_patiently(file_, offset + at, static_cast<std::size_t>(length), piece).has_value())
            buffer_.replace(static_cast<std::size_t>(at), piece.size(), piece);
        else
            unreadable_ += length;
    }
}

Scan scan_segment(File& file, std::uint64_t size, const Id& segment)
{
    const FrameSeed seeds{segment};
    FileWindow window{file, size};
    Scan scan;
    scan.file_size = size;
    std::uint64_t at = segment_data_start;
    while (at + frame_header_size <= size) {
        // Most places of a damaged or former region hold no magic: step through them in one piece.
        const std::string_view piece = window.at(at, std::min<std::uint64_t>(size - at, 64U << 10));
        std::size_t skip = 0;
        while (skip + frame_header_size <= piece.size() && !looks_like_frame(piece.data() + skip))
            skip += 8;
        at += skip;
        if (skip + frame_header_size > piece.size()) continue;

        const std::uint32_t seed = seeds.at(at);
        const auto header = decode_frame_header(piece.substr(skip, frame_header_size), seed);
        if (!header || !take_frame(scan, window, *header, at, seed)) {
            at += 8;
            continue;
        }
        if (at > scan.end) scan.garbage.push_back({scan.end, at - scan.end});
        at += header->size();
        scan.end = std::min(at, size);
    }
    scan.unread = size > segment_data_start && window.unreadable() >= size - segment_data_start;
    std::stable_sort(scan.events.begin(), scan.events.end(),
                     [](const ScannedEvent& a, const ScannedEvent& b) { return a.sequence < b.sequence; });
    return scan;
}

Result<ReadEvent> decode_event(std::string_view frame, std::uint32_t seed, Sequence sequence)
{
    const auto header = decode_frame_header(frame, seed);
    if (!header || header->kind != FrameKind::event || header->sequence != sequence ||
        frame.size() < frame_header_size + header->meta_length)  // padding may be cut off
        return fail(Errc::corrupt, "event " + std::to_string(sequence) + " is unreadable");
    const std::string_view meta = frame.substr(frame_header_size, header->meta_length);
    const std::string_view body =
        frame.substr(frame_header_size + header->meta_length, header->body_length);
    auto parsed = meta_intact(*header, meta, seed) ? decode_event_meta(meta) : std::nullopt;
    if (!parsed || !body_intact(*header, body, seed))
        return fail(Errc::corrupt, "event " + std::to_string(sequence) + " fails its checksum");
    return ReadEvent{*header, std::move(*parsed), std::string{body}};
}

}  // namespace eventyard::router
