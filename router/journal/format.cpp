#include "router/journal/format.hpp"

#include <charconv>
#include <cstring>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view header_magic = "EYJSEGMT";
constexpr std::size_t header_copy_size = 512;  // one sector: written whole or not at all
constexpr std::size_t header_copy_at[] = {0, 2048};
constexpr std::uint32_t frame_magic = 0x31665945;  // "EYf1"
constexpr std::size_t seal_at = frame_header_size - 4;

std::string_view view_of(const Id& id) noexcept
{
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

Id read_id(ByteReader& reader) noexcept
{
    Id id;
    const std::string_view raw = reader.raw(id.bytes.size());
    if (raw.size() == id.bytes.size()) std::memcpy(id.bytes.data(), raw.data(), raw.size());
    return id;
}

std::uint32_t crc_of(std::uint32_t seed, std::string_view bytes) noexcept
{
    return crc32c(seed, bytes.data(), bytes.size());
}

void write_envelope(ByteWriter& writer, const Id& id, WallTime received, EventFormat format,
                    Durability durability, std::uint64_t version, std::uint32_t bus,
                    const std::vector<std::uint32_t>& routes)
{
    writer.raw(view_of(id));
    writer.fixed<std::int64_t>(received.time_since_epoch().count());
    writer.fixed(static_cast<std::uint8_t>(format));
    writer.fixed(static_cast<std::uint8_t>(durability));
    writer.varint(version);
    writer.varint(bus);
    writer.varint(routes.size());
    std::uint32_t before = 0;
    for (const std::uint32_t route : routes) {
        writer.varint(route - before);
        before = route;
    }
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header)
{
    std::string copy;
    ByteWriter writer{copy};
    writer.raw(header_magic);
    writer.fixed(journal_format);
    writer.fixed<std::uint32_t>(0);
    writer.raw(view_of(header.store));
    writer.raw(view_of(header.segment));
    writer.fixed(header.number);
    writer.fixed(header.first);
    writer.fixed(header.synced_before);
    writer.fixed(header.hole_first);
    writer.fixed(static_cast<std::uint64_t>(header.hole_reason));
    writer.fixed(header.reserved);
    writer.fixed<std::int64_t>(header.created.time_since_epoch().count());
    writer.fixed(header.previous_number);
    writer.fixed(header.previous_first);
    copy.resize(header_copy_size - 4, '\0');
    writer.fixed(crc_of(0, copy));

    std::string block(segment_data_start, '\0');
    for (const std::size_t at : header_copy_at) block.replace(at, copy.size(), copy);
    return block;
}

Result<SegmentHeader> decode_segment_header(std::string_view block, const Id& segment)
{
    for (const std::size_t at : header_copy_at) {
        if (block.size() < at + header_copy_size) continue;
        const std::string_view copy = block.substr(at, header_copy_size);
        ByteReader seal{copy.substr(header_copy_size - 4)};
        if (seal.fixed<std::uint32_t>() != crc_of(0, copy.substr(0, header_copy_size - 4))) continue;
        ByteReader reader{copy};
        if (reader.raw(header_magic.size()) != header_magic) continue;
        // Magic, version, and the checksum's place stay as they are in every later format.
        const auto version = reader.fixed<std::uint32_t>();
        (void)reader.fixed<std::uint32_t>();
        if (version > journal_format)
            return fail(Errc::unsupported, "journal format " + std::to_string(version) +
                                               " is newer than format " +
                                               std::to_string(journal_format) +
                                               ", the newest this program reads");
        SegmentHeader header;
        header.store = read_id(reader);
        header.segment = read_id(reader);
        header.number = reader.fixed<std::uint64_t>();
        header.first = reader.fixed<std::uint64_t>();
        header.synced_before = reader.fixed<std::uint64_t>();
        header.hole_first = reader.fixed<std::uint64_t>();
        header.hole_reason = static_cast<GapReason>(reader.fixed<std::uint64_t>());
        header.reserved = reader.fixed<std::uint64_t>();
        header.created = WallTime{Duration{reader.fixed<std::int64_t>()}};
        header.previous_number = reader.fixed<std::uint64_t>();
        header.previous_first = reader.fixed<std::uint64_t>();
        if (header.segment == segment) return header;
    }
    return fail(Errc::corrupt, "no intact header");
}

std::string segment_name(std::uint64_t number, const Id& segment)
{
    const std::string digits = std::to_string(number);
    return std::string(20 - digits.size(), '0') + digits + '-' + to_hex(view_of(segment)) + ".seg";
}

std::optional<std::pair<std::uint64_t, Id>> parse_segment_name(std::string_view name)
{
    if (name.size() != 57 || name[20] != '-' || name.substr(53) != ".seg") return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + 20, number);
    const auto id = from_hex(name.substr(21, 32));
    if (error != std::errc{} || end != name.data() + 20 || !id) return std::nullopt;
    std::pair<std::uint64_t, Id> parsed{number, {}};
    std::memcpy(parsed.second.bytes.data(), id->data(), id->size());
    return parsed;
}

FrameSeed::FrameSeed(const Id& segment) noexcept : of_id_(crc_of(0, view_of(segment))) {}

std::uint32_t FrameSeed::at(std::uint64_t offset) const noexcept
{
    return crc32c(of_id_, &offset, sizeof offset);
}

bool looks_like_frame(const char* bytes) noexcept
{
    std::uint32_t magic = 0;
    std::memcpy(&magic, bytes, sizeof magic);
    return magic == frame_magic;
}

std::optional<FrameHeader> decode_frame_header(std::string_view bytes, std::uint32_t seed) noexcept
{
    if (bytes.size() < frame_header_size || !looks_like_frame(bytes.data())) return std::nullopt;
    ByteReader seal{bytes.substr(seal_at, 4)};
    if (seal.fixed<std::uint32_t>() != crc_of(seed, bytes.substr(0, seal_at))) return std::nullopt;
    ByteReader reader{bytes.substr(4)};
    FrameHeader header;
    header.kind = static_cast<FrameKind>(reader.fixed<std::uint32_t>());
    header.sequence = reader.fixed<std::uint64_t>();
    header.meta_length = reader.fixed<std::uint32_t>();
    header.body_length = reader.fixed<std::uint32_t>();
    header.unit_index = reader.fixed<std::uint32_t>();
    header.unit_size = reader.fixed<std::uint32_t>();
    header.meta_crc = reader.fixed<std::uint32_t>();
    header.body_crc = reader.fixed<std::uint32_t>();
    if (header.meta_length > meta_length_max) return std::nullopt;
    return header;
}

bool meta_intact(const FrameHeader& header, std::string_view meta, std::uint32_t seed) noexcept
{
    return meta.size() == header.meta_length && crc_of(seed, meta) == header.meta_crc;
}

bool body_intact(const FrameHeader& header, std::string_view body, std::uint32_t seed) noexcept
{
    return body.size() == header.body_length && crc_of(seed, body) == header.body_crc;
}

std::optional<EventMeta> decode_event_meta(std::string_view bytes)
{
    ByteReader reader{bytes};
    EventMeta meta;
    meta.id = read_id(reader);
    meta.received = WallTime{Duration{reader.fixed<std::int64_t>()}};
    meta.format = static_cast<EventFormat>(reader.fixed<std::uint8_t>());
    meta.durability = static_cast<Durability>(reader.fixed<std::uint8_t>());
    meta.version = reader.varint();
    meta.bus = static_cast<std::uint32_t>(reader.varint());
    const std::uint64_t count = reader.varint();
    if (!reader.ok() || count > reader.left()) return std::nullopt;
    meta.routes.reserve(static_cast<std::size_t>(count));
    std::uint32_t route = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        route += static_cast<std::uint32_t>(reader.varint());
        meta.routes.push_back(route);
    }
    if (!reader.ok()) return std::nullopt;
    return meta;
}

std::optional<CommitMeta> decode_commit_meta(std::string_view bytes)
{
    ByteReader reader{bytes};
    CommitMeta meta;
    meta.last = reader.fixed<std::uint64_t>();
    meta.synced_before = reader.fixed<std::uint64_t>();
    meta.reserved = reader.fixed<std::uint64_t>();
    if (!reader.ok()) return std::nullopt;
    return meta;
}

std::optional<GapMeta> decode_gap_meta(std::string_view bytes)
{
    ByteReader reader{bytes};
    GapMeta meta;
    meta.last = reader.fixed<std::uint64_t>();
    meta.reason = static_cast<GapReason>(reader.fixed<std::uint8_t>());
    const std::uint64_t count = reader.varint();
    if (!reader.ok() || count > reader.left()) return std::nullopt;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::string rule{reader.text()};
        std::string target{reader.text()};
        meta.routes.emplace_back(std::move(rule), std::move(target));
    }
    if (!reader.ok()) return std::nullopt;
    return meta;
}

std::size_t FrameWriter::begin()
{
    const std::size_t at = out_.size();
    out_.append(frame_header_size, '\0');
    return at;
}

void FrameWriter::end(std::size_t at, FrameHeader header, std::string_view body)
{
    const std::uint32_t seed = seed_.at(origin_ + at);
    const std::size_t meta_at = at + frame_header_size;
    header.meta_length = static_cast<std::uint32_t>(out_.size() - meta_at);
    EVENTYARD_ASSERT(header.meta_length <= meta_length_max, "matches an event can have are limited");
    header.body_length = static_cast<std::uint32_t>(body.size());
    header.meta_crc = crc_of(seed, std::string_view{out_}.substr(meta_at));
    header.body_crc = crc_of(seed, body);
    out_.append(body);

    char fixed[frame_header_size];
    char* to = fixed;
    const auto put = [&to](auto value) {
        std::memcpy(to, &value, sizeof value);
        to += sizeof value;
    };
    put(frame_magic);
    put(static_cast<std::uint32_t>(header.kind));
    put(header.sequence);
    put(header.meta_length);
    put(header.body_length);
    put(header.unit_index);
    put(header.unit_size);
    put(header.meta_crc);
    put(header.body_crc);
    put(std::uint32_t{0});
    put(crc_of(seed, {fixed, seal_at}));
    std::memcpy(out_.data() + at, fixed, sizeof fixed);
    out_.append(static_cast<std::size_t>(header.size() - (out_.size() - at)), '\0');
}

void FrameWriter::commit(Sequence first, const CommitMeta& meta)
{
    const std::size_t at = begin();
    ByteWriter writer{out_};
    writer.fixed(meta.last);
    writer.fixed(meta.synced_before);
    writer.fixed(meta.reserved);
    FrameHeader header;
    header.kind = FrameKind::commit;
    header.sequence = first;
    end(at, header, {});
}

void FrameWriter::event(Sequence sequence, std::uint32_t unit_index, std::uint32_t unit_size,
                        const EventMeta& meta, std::string_view body)
{
    const std::size_t at = begin();
    ByteWriter writer{out_};
    write_envelope(writer, meta.id, meta.received, meta.format, meta.durability, meta.version,
                   meta.bus, meta.routes);
    FrameHeader header;
    header.sequence = sequence;
    header.unit_index = unit_index;
    header.unit_size = unit_size;
    end(at, header, body);
}

void FrameWriter::event(const StoredEvent& stored, std::uint32_t unit_index,
                        std::uint32_t unit_size, Durability durability)
{
    const std::size_t at = begin();
    ByteWriter writer{out_};
    write_envelope(writer, stored.event.id, stored.event.received, stored.event.format, durability,
                   stored.version->number, stored.bus, stored.routes);
    FrameHeader header;
    header.sequence = stored.sequence;
    header.unit_index = unit_index;
    header.unit_size = unit_size;
    end(at, header, stored.event.body);
}

void FrameWriter::gap(Sequence first, const GapMeta& meta)
{
    const std::size_t at = begin();
    ByteWriter writer{out_};
    writer.fixed(meta.last);
    writer.fixed(static_cast<std::uint8_t>(meta.reason));
    writer.varint(meta.routes.size());
    for (const auto& [rule, target] : meta.routes) {
        writer.text(rule);
        writer.text(target);
    }
    FrameHeader header;
    header.kind = FrameKind::gap;
    header.sequence = first;
    end(at, header, {});
}

std::uint64_t frame_size_max(const StoredEvent& event) noexcept
{
    return frame_header_size + 64 + 5 * event.routes.size() + event.event.body.size() + 8;
}

std::uint32_t hash_of(const Id& event) noexcept { return crc_of(0, view_of(event)); }

}  // namespace eventyard::router
