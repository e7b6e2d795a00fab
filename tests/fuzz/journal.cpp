// Damage to a journal, spelled as edits of its files: a start succeeds, no event is invented, and
// every event that a whole mark calls synced is read, or told to be damaged or missing.
//
// Each edit is seven bytes: what is done, to which file, at what offset (3 bytes, little-endian), and
// two bytes of argument. The bytes after a zero edit are read as frames and their parts.
#include <functional>

#include "router/journal/format.hpp"
#include "tests/fuzz/expect.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;
using fuzz::expect;

namespace {

/// Two segments sealed and one open, with the files of the routing version beside them.
struct Base {
    Bench bench;
    Sequence last = 0;
    Base()
    {
        bench.options.segment_size = 6000;
        bench.options.spare_segments = 0;
        for (int life = 0; life < 2; ++life) {
            auto log = bench.open();
            expect(log.has_value(), "the journal opens");
            const auto version = (*log)->versions().store_version(two_targets());
            expect(version.has_value(), "the version is stored");
            for (int commit = 0; commit < 4; ++commit) {
                std::vector<CommitUnit> units;
                for (std::uint32_t size : {1U, 3U}) {
                    units.push_back(make_unit(last + 1, size, *version));
                    last += size;
                }
                expect((*log)->commit(units).has_value(), "the commit is written");
                bench.chores(**log);
            }
        }
    }
};

void edit(MemoryDisk& disk, const std::vector<std::string>& paths, std::string_view seven)
{
    const auto byte = [&seven](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(seven[i]); };
    const std::string& path = paths[byte(1) % paths.size()];
    if (!disk.exists(path)) return;
    std::string content = disk.content(path);
    const std::uint32_t offset = byte(2) | byte(3) << 8U | byte(4) << 16U;
    const std::size_t at = offset % (content.size() + 1);
    const std::size_t size = std::min<std::size_t>(byte(6) + 1U, content.size() - at);
    switch (byte(0) % 8) {
        case 0: return;
        case 1: content.resize(at); break;
        case 2:
            if (at < content.size()) content[at] = static_cast<char>(content[at] ^ seven[5] ^ 1);
            break;
        case 3: content.replace(at, size, size, seven[5]); break;
        case 4: {  // bytes of another place, as a disk that mixes up sectors would write
            const std::size_t from = byte(5) * 64U % (content.size() + 1);
            content.replace(at, size, content.substr(from, size));
            break;
        }
        case 5: content.insert(at, size, seven[5]); break;
        case 6: disk.remove(path); return;
        case 7: disk.set_content(paths[byte(5) % paths.size()], content); return;  // a file of other content
    }
    disk.set_content(path, std::move(content));
}

void check_start(const Base& base, MemoryDisk& disk, bool with_state, bool removed)
{
    SeededRandom random{99};
    StillClock clock;
    JournalMarks marks;
    if (with_state) marks.synced = marks.answered = base.last;
    std::set<Sequence> readable;
    for (int start = 0; start < 2; ++start) {
        auto log = Log::open(disk, clock, random, base.bench.options, marks);
        expect(log.has_value(), "a start succeeds", log.has_value() ? "" : log.error().what);
        const RecoveryReport& report = (*log)->recovery();
        std::set<Sequence> missing;
        for (const DamagedEvent& event : report.damaged) {
            expect(missing.insert(event.sequence).second, "damage is told once");
            for (const auto& [rule, target] : event.routes)
                expect((rule == "orders" || rule == "rare") &&
                           (target == "webhook" || target == "archive" || target == "pager"),
                       "no route is invented", rule);
        }
        std::set<Sequence> read;
        for (Sequence n = 1; n <= base.last + 5; ++n) {
            const auto event = (*log)->reader().read_event(n);
            if (event.has_value()) {
                read.insert(n);
                expect(n <= base.last && (*event)->event.body == body_of(n), "no event is invented");
                expect((*event)->routes == routes_of(n), "an event keeps its routes");
            } else if (event.error().code == Errc::corrupt ||
                       (report.lost_first <= n && n <= report.lost_last)) {
                missing.insert(n);
            }
        }
        if (with_state && !removed)
            for (Sequence n = 1; n <= base.last; ++n)
                expect(read.contains(n) || missing.contains(n), "what was synced is read or told missing",
                       std::to_string(n));
        expect(start == 0 || read == readable, "a second start reads the same events");
        readable = read;
        expect((*log)->appender().last() >= (with_state ? base.last : read.empty() ? 0 : *read.rbegin()),
               "no sequence is given twice");
        const LaneContent lane = read_all(**log, "webhook", 100);
        for (const DeliveryKey& key : lane.keys)
            expect(read.contains(key.sequence), "a lane reads only what is readable");
        for (const Sequence n : read)
            expect(routes_of(n).front() != 0 || lane.keys.contains({n, 0}), "a lane misses no event");
    }
}

/// What decodes is written again and compared. Only bytes with a right checksum get here in a
/// journal; this asks that wrong ones do no harm.
void check_parts(std::string_view bytes)
{
    (void)decode_event_meta(bytes);
    (void)decode_commit_meta(bytes);
    (void)decode_gap_meta(bytes);
    (void)decode_segment_header(bytes, Id{});
    (void)parse_segment_name(bytes.substr(0, 64));
    if (bytes.size() < frame_header_size) return;
    const std::uint32_t seed = FrameSeed{Id{}}.at(segment_data_start);
    if (looks_like_frame(bytes.data())) (void)decode_frame_header(bytes, seed);
    FrameHeader header;
    header.meta_length = static_cast<std::uint32_t>(bytes.size());
    (void)meta_intact(header, bytes, seed);
    if (const auto meta = decode_event_meta(bytes)) {
        std::string out;
        FrameSeed frames{Id{}};
        FrameWriter writer{out, frames, segment_data_start};
        writer.event(1, 0, 1, *meta, "{}");
        const auto again = decode_frame_header(out, frames.at(segment_data_start));
        expect(again.has_value(), "a frame that is written can be read");
        const auto same = decode_event_meta(std::string_view{out}.substr(frame_header_size, again->meta_length));
        expect(same && same->id == meta->id && same->routes == meta->routes && same->bus == meta->bus &&
                   same->version == meta->version,
               "an envelope reads the same again");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Base base;
    static const std::vector<std::string> paths = base.bench.disk->paths();
    constexpr std::size_t edit_size = 7;
    std::string_view rest = fuzz::text_of(data, size);
    if (rest.empty()) return 0;
    const bool with_state = rest.front() % 2 == 1;
    rest.remove_prefix(1);
    const auto disk = base.bench.disk->clone();
    bool removed = false;
    for (int edits = 0; edits < 8 && rest.size() >= edit_size; ++edits) {
        const unsigned kind = static_cast<unsigned char>(rest.front()) % 8U;
        if (kind == 0) break;
        // A segment that is gone may have been released: only the state knows what was still needed.
        removed = removed || kind == 6;
        edit(*disk, paths, rest.substr(0, edit_size));
        rest.remove_prefix(edit_size);
    }
    check_start(base, *disk, with_state, removed);
    check_parts(rest);
    return 0;
}
