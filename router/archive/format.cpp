#include "router/archive/format.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view header_magic = "EYARCHIV", trailer_magic = "EYARCEND";
constexpr std::size_t header_size = 16, trailer_size = 40;
constexpr std::size_t block_size = 256U << 10;  // unpacked; a block ends with the event that reaches it
constexpr int compression_level = 3;
constexpr std::uint64_t footer_size_max = 1U << 30;

std::string header_bytes()
{
    std::string out{header_magic};
    ByteWriter writer{out};
    writer.fixed(archive_format);
    writer.fixed(crc32c(0, out.data(), out.size()));
    return out;
}

/// Bytes that were moved to another place fail it.
std::uint32_t crc_at(std::uint64_t offset, std::string_view bytes)
{
    return crc32c(crc32c(0, &offset, sizeof offset), bytes.data(), bytes.size());
}

void put_id(ByteWriter& writer, const Id& id)
{
    writer.raw({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
}

Id take_id(ByteReader& reader)
{
    Id id;
    const std::string_view bytes = reader.raw(id.bytes.size());
    if (bytes.size() == id.bytes.size()) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    return id;
}

void put_time(ByteWriter& writer, WallTime time) { writer.fixed<std::int64_t>(time.time_since_epoch().count()); }
WallTime take_time(ByteReader& reader) { return WallTime{Duration{reader.fixed<std::int64_t>()}}; }

void widen(WallTime& from, WallTime& to, bool first, WallTime time)
{
    from = first ? time : std::min(from, time);
    to = first ? time : std::max(to, time);
}

std::string encode(const ArchiveFooter& footer)
{
    std::string out;
    ByteWriter writer{out};
    put_id(writer, footer.store);
    writer.text(footer.bus);
    writer.fixed(footer.first);
    writer.fixed(footer.last);
    writer.varint(footer.blocks.size());
    for (const ArchiveBlock& block : footer.blocks) {
        writer.fixed(block.stored);
        writer.fixed(block.size);
        writer.fixed(block.crc);
        writer.fixed(block.first);
        writer.fixed(block.last);
        put_time(writer, block.from);
        put_time(writer, block.to);
        writer.varint(block.events);
    }
    return out;
}

Error damaged(const char* what) { return fail(Errc::corrupt, std::string("the archive file is damaged: ") + what); }

/// @param end  where the blocks must end
Result<ArchiveFooter> decode(std::string_view bytes, std::uint64_t end)
{
    ByteReader reader{bytes};
    ArchiveFooter footer;
    footer.store = take_id(reader);
    footer.bus = reader.text();
    footer.first = reader.fixed<std::uint64_t>();
    footer.last = reader.fixed<std::uint64_t>();
    const std::uint64_t count = reader.varint();
    std::uint64_t offset = header_size;
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        ArchiveBlock block;
        block.offset = offset;
        block.stored = reader.fixed<std::uint32_t>();
        block.size = reader.fixed<std::uint64_t>();
        block.crc = reader.fixed<std::uint32_t>();
        block.first = reader.fixed<std::uint64_t>();
        block.last = reader.fixed<std::uint64_t>();
        block.from = take_time(reader);
        block.to = take_time(reader);
        block.events = reader.varint();
        offset += block.stored;
        widen(footer.from, footer.to, footer.blocks.empty(), block.from);
        footer.to = std::max(footer.to, block.to);
        footer.events += block.events;
        footer.blocks.push_back(block);
    }
    if (!reader.ok() || reader.left() > 0 || offset != end) return damaged("its index does not fit it");
    return footer;
}

}  // namespace

ArchiveWriter::ArchiveWriter(File& file, const Id& store, std::string bus) : file_(file)
{
    footer_.store = store;
    footer_.bus = std::move(bus);
}

Result<void> ArchiveWriter::write(std::string_view bytes)
{
    EVENTYARD_CHECK(file_.write_at(offset_, {bytes}));
    offset_ += bytes.size();
    return {};
}

Result<void> ArchiveWriter::add(Sequence sequence, const Event& event)
{
    ByteWriter writer{raw_};
    writer.fixed(sequence);
    put_id(writer, event.id);
    put_time(writer, event.received);
    writer.fixed(static_cast<std::uint8_t>(event.format));
    writer.text(event.body);
    widen(block_.from, block_.to, block_.events == 0, event.received);
    widen(footer_.from, footer_.to, footer_.events == 0, event.received);
    if (block_.events++ == 0) block_.first = sequence;
    block_.last = sequence;
    ++footer_.events;
    return raw_.size() < block_size ? Result<void>{} : flush();
}

Result<void> ArchiveWriter::flush()
{
    if (offset_ == 0) EVENTYARD_CHECK(write(header_bytes()));
    if (raw_.empty()) return {};
    std::string packed(ZSTD_compressBound(raw_.size()), '\0');
    const std::size_t size = ZSTD_compress(packed.data(), packed.size(), raw_.data(), raw_.size(), compression_level);
    if (ZSTD_isError(size) != 0) return fail(Errc::io, std::string("zstd: ") + ZSTD_getErrorName(size));
    if (size > UINT32_MAX) return fail(Errc::too_large, "an event is too large for the archive");
    packed.resize(size);
    block_.offset = offset_;
    block_.stored = static_cast<std::uint32_t>(size);
    block_.size = raw_.size();
    block_.crc = crc_at(offset_, packed);
    EVENTYARD_CHECK(write(packed));
    footer_.blocks.push_back(block_);
    block_ = {};
    raw_.clear();
    return {};
}

Result<void> ArchiveWriter::seal(Sequence first, Sequence last)
{
    EVENTYARD_CHECK(flush());
    footer_.first = first;
    footer_.last = last;
    const std::string bytes = encode(footer_);
    std::string trailer;
    ByteWriter writer{trailer};
    writer.fixed(offset_);
    writer.fixed<std::uint64_t>(bytes.size());
    writer.fixed(crc_at(offset_, bytes));
    writer.fixed(archive_format);
    writer.fixed<std::uint32_t>(0);
    writer.fixed(crc_at(offset_ + bytes.size(), trailer));
    trailer += trailer_magic;
    EVENTYARD_CHECK(write(bytes));
    EVENTYARD_CHECK(write(trailer));
    return file_.sync_all();
}

Result<ArchiveFooter> read_archive_footer(File& file)
{
    EVENTYARD_TRY(size, file.size());
    if (size < header_size + trailer_size) return damaged("it is too short");
    std::string bytes;
    EVENTYARD_CHECK(file.read_at(0, header_size, bytes));
    // Magic, version and their checksum keep their places in every later format.
    ByteReader head{bytes};
    const bool ours = head.raw(header_magic.size()) == header_magic;
    const auto version = head.fixed<std::uint32_t>();
    if (!ours || head.fixed<std::uint32_t>() != crc32c(0, bytes.data(), header_size - 4)) return damaged("its header");
    if (version > archive_format)
        return fail(Errc::unsupported, "archive format " + std::to_string(version) + " is newer than format " +
                                           std::to_string(archive_format) + ", the newest this program reads");
    const std::uint64_t trailer_at = size - trailer_size;
    EVENTYARD_CHECK(file.read_at(trailer_at, trailer_size, bytes));
    ByteReader reader{bytes};
    const auto footer_at = reader.fixed<std::uint64_t>();
    const auto footer_size = reader.fixed<std::uint64_t>();
    const auto footer_crc = reader.fixed<std::uint32_t>();
    (void)reader.fixed<std::uint32_t>();
    (void)reader.fixed<std::uint32_t>();
    constexpr std::size_t sealed = trailer_size - 12;
    if (bytes.size() != trailer_size || std::string_view{bytes}.substr(sealed + 4) != trailer_magic ||
        reader.fixed<std::uint32_t>() != crc_at(trailer_at, std::string_view{bytes}.substr(0, sealed)))
        return damaged("its end is missing or changed");
    if (footer_size > footer_size_max || footer_at > trailer_at || footer_at + footer_size != trailer_at)
        return damaged("its index does not fit it");
    EVENTYARD_CHECK(file.read_at(footer_at, static_cast<std::size_t>(footer_size), bytes));
    if (bytes.size() != footer_size || crc_at(footer_at, bytes) != footer_crc) return damaged("its index");
    return decode(bytes, footer_at);
}

Result<std::vector<ArchivedEvent>> read_archive_block(File& file, const ArchiveFooter& footer, std::size_t number)
{
    const ArchiveBlock& block = footer.blocks[number];
    std::string packed;
    EVENTYARD_CHECK(file.read_at(block.offset, block.stored, packed));
    if (packed.size() != block.stored || crc_at(block.offset, packed) != block.crc) return damaged("a block of events");
    std::string raw(static_cast<std::size_t>(block.size), '\0');
    const std::size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
    if (ZSTD_isError(size) != 0 || size != raw.size()) return damaged("a block of events cannot be unpacked");
    std::vector<ArchivedEvent> events;
    ByteReader reader{raw};
    while (reader.ok() && reader.left() > 0) {
        ArchivedEvent one;
        one.sequence = reader.fixed<std::uint64_t>();
        one.event.id = take_id(reader);
        one.event.received = take_time(reader);
        one.event.format = static_cast<EventFormat>(reader.fixed<std::uint8_t>());
        one.event.bus = footer.bus;
        one.event.body = reader.text();
        events.push_back(std::move(one));
    }
    if (!reader.ok() || events.size() != block.events) return damaged("a block of events");
    return events;
}

}  // namespace eventyard::router
