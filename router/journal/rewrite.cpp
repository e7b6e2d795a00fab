#include "router/journal/rewrite.hpp"

#include "router/journal/scan.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t flush_at = 1U << 20;

class Output {
public:
    Output(File& file, const FrameSeed& seed) : file_(file), seed_(seed) {}

    [[nodiscard]] FrameWriter frames() { return FrameWriter{buffer_, seed_, written_ + buffer_.size()}; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return written_ + buffer_.size(); }
    void raw(std::string_view bytes) { buffer_.append(bytes); }
    Result<void> flush(std::size_t above)
    {
        if (buffer_.size() <= above) return {};
        EVENTYARD_CHECK(file_.write_at(written_, {buffer_}));
        written_ += buffer_.size();
        buffer_.clear();
        return {};
    }

private:
    File& file_;
    const FrameSeed& seed_;
    std::string buffer_;
    std::uint64_t written_ = 0;
};

Result<Rewritten> fill(File& file, File& source, const SegmentHeader& header,
                       const std::vector<RewriteItem>& items, Versions& versions)
{
    const FrameSeed seed{header.segment};
    EVENTYARD_TRY(source_size, source.size());
    FileWindow window{source, source_size};
    Output out{file, seed};
    out.raw(encode_segment_header(header));
    Rewritten result;
    SegmentIndex& index = result.index;
    index.set_reserved(header.reserved);
    RoutingVersionPtr version;
    const auto damaged = [&](const RewriteItem& item) {
        auto names = item.names;
        for (const std::uint32_t route : item.dropped)
            if (route < names.size()) names[route] = {};
        out.frames().gap(item.first, {item.first, GapReason::damaged, names});
        index.add_damaged(item.first, names);
    };
    for (const RewriteItem& item : items) {
        switch (item.kind) {
            case RewriteItem::Kind::event: {
                auto read = decode_event(window.at(item.offset, item.size), seed.at(item.offset),
                                         item.first);
                // What cannot be read now is not damaged for good: the segment stays as it is.
                if (window.unreadable() > 0) return fail(Errc::unavailable, "the segment cannot be read");
                if (!read.has_value()) {
                    damaged(item);
                    result.damaged.push_back(item.first);
                    break;
                }
                if (item.erase) {
                    read->meta.format = EventFormat::erased;
                    read->body = erased_body;
                }
                const std::uint64_t at = out.offset();
                out.frames().event(item.first, read->header.unit_index, read->header.unit_size,
                                   read->meta, read->body);
                if (!version || version->number != read->meta.version) {
                    EVENTYARD_TRY(known, versions.look_up(read->meta.version));
                    version = std::move(known);
                }
                index.add(item.first, read->meta, version.get(), at,
                          static_cast<std::uint32_t>(out.offset() - at),
                          static_cast<std::uint32_t>(read->body.size()));
                if (version && index.events().back().routes_count == read->meta.routes.size())
                    for (const std::uint32_t route : item.dropped) index.drop_route(route);
                break;
            }
            case RewriteItem::Kind::damaged: damaged(item); break;
            case RewriteItem::Kind::gap:
                out.frames().gap(item.first, {item.last, item.reason, {}});
                index.add_gap({item.first, item.last, item.reason});
                break;
        }
        EVENTYARD_CHECK(out.flush(flush_at));
    }
    index.set_data_end(out.offset());
    std::string footer = encode_footer(index, seed, out.offset());
    // The file gets its name after its sync, so nobody meets this word before it is true.
    footer.replace(footer.size() - synced_word_from_end, synced_word.size(), synced_word);
    out.raw(footer);
    result.bytes = out.offset();
    EVENTYARD_CHECK(out.flush(0));
    EVENTYARD_CHECK(file.sync_all());
    return result;
}

}  // namespace

Result<Rewritten> rewrite_segment(Disk& disk, const std::string& directory, const std::string& name,
                                  File& source, const SegmentHeader& header,
                                  const std::vector<RewriteItem>& items, Versions& versions)
{
    const std::string path = directory + '/' + name;
    const std::string temp = path + ".tmp";
    if (disk.exists(temp)) EVENTYARD_CHECK(disk.unlink(temp));
    auto made = [&]() -> Result<Rewritten> {
        EVENTYARD_TRY(file, disk.open(temp, OpenMode::create_new));
        EVENTYARD_TRY(filled, fill(*file, source, header, items, versions));
        EVENTYARD_CHECK(disk.rename(temp, path));
        return filled;
    }();
    if (!made.has_value()) {
        (void)disk.unlink(temp);
        return made;
    }
    made->named = disk.sync_directory(directory).has_value();
    return made;
}

Result<std::uint64_t> write_footer(File& file, const std::string& footer, std::uint64_t offset)
{
    const std::uint64_t size = offset + footer.size();
    EVENTYARD_CHECK(file.write_at(offset, {footer}));
    EVENTYARD_CHECK(file.truncate(size));
    EVENTYARD_CHECK(file.sync_all());
    (void)file.write_at(size - synced_word_from_end, {synced_word});  // lost: the next start syncs again
    return size;
}

}  // namespace eventyard::router
