// The footer's bytes: sections, their checksums and packing, and the trailer that finds them.
#include <zstd.h>

#include "core/bytes.hpp"
#include "router/journal/segment_index.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view trailer_magic = "EYJINDEX";
constexpr std::size_t synced_at = trailer_size - synced_word_from_end;  // zeros before there was such a word
constexpr std::size_t pack_from = 4096;  // bytes; smaller indexes are not worth packing

std::string encode_summary(const SegmentSummary& summary)
{
    std::string out;
    ByteWriter writer{out};
    writer.varint(summary.first);
    writer.varint(summary.last);
    writer.varint(summary.events);
    writer.varint(summary.damaged);
    writer.varint(summary.reserved);
    writer.varint(summary.data_end);
    writer.varint(summary.versions.size());
    for (const std::uint64_t version : summary.versions) writer.varint(version);
    writer.varint(summary.routes.size());
    for (const RouteCount& route : summary.routes) {
        writer.text(route.rule);
        writer.text(route.target);
        writer.varint(route.count);
        writer.varint(route.bytes);
    }
    return out;
}

std::uint32_t sealed(const FrameSeed& seed, std::uint64_t offset, std::string_view bytes) noexcept
{
    return crc32c(seed.at(offset), bytes.data(), bytes.size());
}

/// As if the word were not there: it is written alone, and a power cut must not spoil the trailer with it.
std::uint32_t sealed_trailer(const FrameSeed& seed, std::uint64_t offset, std::string_view trailer)
{
    std::string bytes{trailer.substr(0, synced_at)};
    bytes.resize(trailer_size - 4, '\0');
    return sealed(seed, offset, bytes);
}

}  // namespace

std::string encode_footer(const SegmentIndex& index, const FrameSeed& seed, std::uint64_t offset)
{
    Trailer trailer;
    std::string out = index.encode();
    trailer.index_size = out.size();
    if (out.size() >= pack_from) {
        std::string packed(ZSTD_compressBound(out.size()), '\0');
        const std::size_t size = ZSTD_compress(packed.data(), packed.size(), out.data(), out.size(), 1);
        if (ZSTD_isError(size) == 0 && size < out.size()) {
            packed.resize(size);
            out.swap(packed);
        }
    }
    trailer.index_offset = offset;
    trailer.index_stored = out.size();
    trailer.index_crc = sealed(seed, offset, out);

    const std::string summary = encode_summary(index.summary());
    trailer.summary_offset = offset + out.size();
    trailer.summary_size = static_cast<std::uint32_t>(summary.size());
    trailer.summary_crc = sealed(seed, trailer.summary_offset, summary);
    out += summary;

    std::string fixed;
    ByteWriter writer{fixed};
    writer.raw(trailer_magic);
    writer.fixed(journal_format);
    writer.fixed(trailer.summary_size);
    writer.fixed(trailer.index_offset);
    writer.fixed(trailer.index_stored);
    writer.fixed(trailer.index_size);
    writer.fixed(trailer.summary_offset);
    writer.fixed(trailer.index_crc);
    writer.fixed(trailer.summary_crc);
    fixed.resize(trailer_size - 4, '\0');
    writer.fixed(sealed_trailer(seed, offset + out.size(), fixed));
    return out + fixed;
}

Result<Trailer> decode_trailer(std::string_view bytes, const FrameSeed& seed, std::uint64_t offset)
{
    if (bytes.size() != trailer_size) return fail(Errc::corrupt, "no trailer");
    ByteReader seal{bytes.substr(trailer_size - 4)};
    if (seal.fixed<std::uint32_t>() != sealed_trailer(seed, offset, bytes))
        return fail(Errc::corrupt, "no intact trailer");
    ByteReader reader{bytes};
    if (reader.raw(trailer_magic.size()) != trailer_magic)
        return fail(Errc::corrupt, "no trailer");
    if (reader.fixed<std::uint32_t>() > journal_format)
        return fail(Errc::unsupported, "the segment's index has a newer format");
    Trailer trailer;
    trailer.summary_size = reader.fixed<std::uint32_t>();
    trailer.index_offset = reader.fixed<std::uint64_t>();
    trailer.index_stored = reader.fixed<std::uint64_t>();
    trailer.index_size = reader.fixed<std::uint64_t>();
    trailer.summary_offset = reader.fixed<std::uint64_t>();
    trailer.index_crc = reader.fixed<std::uint32_t>();
    trailer.summary_crc = reader.fixed<std::uint32_t>();
    trailer.synced = bytes.substr(synced_at, synced_word.size()) == synced_word;
    if (trailer.index_stored > offset || trailer.index_size > footer_section_max ||
        trailer.summary_offset > offset)
        return fail(Errc::corrupt, "the trailer points outside the file");
    return trailer;
}

Result<SegmentSummary> decode_summary(std::string_view bytes, const Trailer& trailer,
                                      const FrameSeed& seed)
{
    if (bytes.size() != trailer.summary_size ||
        sealed(seed, trailer.summary_offset, bytes) != trailer.summary_crc)
        return fail(Errc::corrupt, "the segment's summary fails its checksum");
    ByteReader reader{bytes};
    SegmentSummary summary;
    summary.first = reader.varint();
    summary.last = reader.varint();
    summary.events = reader.varint();
    summary.damaged = reader.varint();
    summary.reserved = reader.varint();
    summary.data_end = reader.varint();
    const std::uint64_t versions = reader.varint();
    for (std::uint64_t i = 0; i < versions && reader.ok(); ++i)
        summary.versions.push_back(reader.varint());
    const std::uint64_t routes = reader.varint();
    for (std::uint64_t i = 0; i < routes && reader.ok(); ++i) {
        RouteCount route;
        route.rule = reader.text();
        route.target = reader.text();
        route.count = reader.varint();
        route.bytes = reader.varint();
        summary.routes.push_back(std::move(route));
    }
    if (!reader.ok()) return fail(Errc::corrupt, "the segment's summary is shorter than it claims");
    return summary;
}

Result<SegmentIndex> decode_index(std::string_view bytes, const Trailer& trailer,
                                  const FrameSeed& seed, SegmentSummary summary)
{
    if (bytes.size() != trailer.index_stored ||
        sealed(seed, trailer.index_offset, bytes) != trailer.index_crc)
        return fail(Errc::corrupt, "the segment's index fails its checksum");
    if (trailer.index_stored == trailer.index_size)
        return SegmentIndex::decode(bytes, std::move(summary));
    std::string unpacked(static_cast<std::size_t>(trailer.index_size), '\0');
    const std::size_t size =
        ZSTD_decompress(unpacked.data(), unpacked.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(size) != 0 || size != unpacked.size())
        return fail(Errc::corrupt, "the segment's index cannot be unpacked");
    return SegmentIndex::decode(unpacked, std::move(summary));
}

}  // namespace eventyard::router
