// Every byte of a small journal is cut off and flipped, one at a time: a start succeeds, invents
// nothing, recovers every intact event, and tells exactly the synced ones that are gone.
#include <catch2/catch.hpp>

#include "core/bytes.hpp"
#include "router/journal/scan.hpp"
#include "tests/router/journal/helpers.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::test;

namespace {

struct Piece {
    std::string path;
    std::uint64_t begin = 0, end = 0;
};
/// Says that everything up to `synced` was on disk, as long as its pieces are intact.
struct Mark {
    std::vector<Piece> pieces;
    Sequence synced = 0;
};
struct Frame {
    Piece piece;
    Sequence unit_first = 0;
    std::uint32_t unit_size = 0;
};

struct Base {
    Bench bench;
    Sequence last = 0;
    std::map<Sequence, Frame> frames;
    std::vector<Mark> marks;
    std::vector<std::string> paths;  // to be mutated
};

void map_segment(Base& base, const std::string& path, const std::string& name)
{
    const auto id = parse_segment_name(name)->second;
    const std::string content = base.bench.disk->content(path);
    auto file = base.bench.disk->open(path, OpenMode::read);
    const FrameSeed seed{id};
    const Scan scan = scan_segment(**file, content.size(), id);
    for (const ScannedEvent& event : scan.events) {
        const auto header = decode_frame_header(
            std::string_view{content}.substr(event.offset), seed.at(event.offset));
        base.frames[event.sequence] = {
            {path, event.offset,
             event.offset + frame_header_size + header->meta_length + header->body_length},
            event.sequence - event.unit_index,
            event.unit_size};
    }
    for (std::uint64_t at = segment_data_start; at + frame_header_size <= content.size(); at += 8) {
        const auto header =
            decode_frame_header(std::string_view{content}.substr(at), seed.at(at));
        if (!header || header->kind != FrameKind::commit) continue;
        const auto meta = decode_commit_meta(
            std::string_view{content}.substr(at + frame_header_size, header->meta_length));
        base.marks.push_back({{{path, at, at + commit_frame_size}}, meta->synced_before});
    }
    if (const auto header = decode_segment_header(content, id); header.has_value())
        for (const std::uint64_t at : {0U, 2048U})
            base.marks.push_back({{{path, at, at + 512}}, header->synced_before});
    const std::uint64_t at = content.size() - trailer_size;
    if (const auto trailer = decode_trailer(std::string_view{content}.substr(at), seed, at);
        trailer.has_value())
        base.marks.push_back({{{path, trailer->summary_offset, content.size()}}, scan.last});
}

/// Three segments: sealed by rolling, sealed by a restart, and an open one in a recycled file.
void build(Base& base)
{
    Bench& bench = base.bench;
    bench.options.segment_size = 6000;
    bench.options.spare_segments = 0;
    std::string former;
    for (int life = 0; life < 2; ++life) {
        if (life == 1) {
            std::string recycled = former + std::string(700, '\0');
            SeededRandom random{3};
            for (std::size_t i = recycled.size() - 700; i < recycled.size(); ++i)
                recycled[i] = static_cast<char>(random.next());
            bench.disk->set_content("/data/journal/spare-0.seg", recycled);
        }
        auto log = bench.open();
        REQUIRE(log.has_value());
        auto version = (*log)->versions().store_version(two_targets());
        REQUIRE(version.has_value());
        const std::uint64_t to = life == 0 ? 14 : 24;
        while (base.last < to) {
            std::vector<CommitUnit> units;
            for (std::uint32_t size : {1U, 3U}) {
                units.push_back(make_unit(base.last + 1, size, *version));
                base.last += size;
            }
            REQUIRE((*log)->commit(units).has_value());
            bench.chores(**log);
        }
        for (const SegmentInfo& info : (*log)->segments().infos())
            if (former.empty()) former = bench.disk->content("/data/journal/" + info.name);
    }
    for (const std::string& path : bench.disk->paths()) {
        base.paths.push_back(path);
        const std::string name = path.substr(path.rfind('/') + 1);
        if (parse_segment_name(name)) map_segment(base, path, name);
    }
    REQUIRE(base.frames.size() == base.last);
    REQUIRE(base.paths.size() >= 5);  // three segments, two copies of the routing version
}

using Hit = std::function<bool(const Piece&)>;  // whether a piece lost something

void check_start(Base& base, MemoryDisk& disk, const Hit& hit, bool with_state, bool twice,
                 const std::string& what)
{
    INFO(what);
    Sequence synced = with_state ? base.last : 0;
    for (const Mark& mark : base.marks)
        if (std::none_of(mark.pieces.begin(), mark.pieces.end(), hit))
            synced = std::max(synced, mark.synced);
    std::set<Sequence> alive, damaged;
    for (const auto& [sequence, frame] : base.frames) {
        bool lives = !hit(frame.piece);
        if (!lives && sequence <= synced) damaged.insert(sequence);
        if (sequence > synced)  // all of a unit or nothing
            for (std::uint32_t i = 0; i < frame.unit_size; ++i)
                lives = lives && !hit(base.frames.at(frame.unit_first + i).piece);
        if (lives) alive.insert(sequence);
    }

    std::set<Sequence> told;
    for (int start = 0; start < (twice ? 2 : 1); ++start) {
        INFO("start " << start);
        SeededRandom random{99};
        StillClock clock;
        JournalMarks marks;
        if (with_state) {
            marks.store = Id{};
            marks.synced = base.last;
        }
        auto log = Log::open(disk, clock, random, base.bench.options, marks);
        REQUIRE(log.has_value());
        const RecoveryReport& report = (*log)->recovery();
        for (const DamagedEvent& event : report.damaged) {
            REQUIRE(told.insert(event.sequence).second);  // never twice
            for (const auto& [rule, target] : event.routes) {
                REQUIRE((rule == "orders" || rule == "rare"));
                REQUIRE((target == "webhook" || target == "archive" || target == "pager"));
            }
        }
        REQUIRE(report.lost_first == 0);
        REQUIRE((*log)->appender().last() >= *alive.rbegin());
        std::set<Sequence> read, unreadable = told;
        for (Sequence n = 1; n <= base.last + 20; ++n) {
            auto event = (*log)->reader().read_event(n);
            if (event.has_value()) {
                read.insert(n);
                REQUIRE((*event)->event.body == body_of(n));
                REQUIRE((*event)->routes == routes_of(n));
            } else if (event.error().code == Errc::corrupt) {
                unreadable.insert(n);
            }
        }
        CHECK(read == alive);
        CHECK(unreadable == damaged);
        std::set<DeliveryKey> keys, keys_wanted, keys_damaged;
        const LaneContent content = read_all(**log, "webhook", 100);
        for (const Sequence n : alive)
            if (routes_of(n).front() == 0) keys_wanted.insert({n, 0});
        CHECK(content.keys == keys_wanted);
        for (const DamagedDelivery& one : content.damaged) {
            CHECK(damaged.contains(one.key.sequence));
            CHECK(one.rule == "orders");
        }
    }
}

/// A journal of so many small segments, all but the last sealed; closed again.
std::vector<SegmentInfo> segments_of(Bench& bench, std::size_t count)
{
    bench.options.segment_size = 6000;
    bench.options.spare_segments = 0;
    Sequence last = 0;
    auto log = bench.open();
    REQUIRE(log.has_value());
    const auto version = (*log)->versions().store_version(two_targets());
    REQUIRE(version.has_value());
    while ((*log)->segments().infos().size() < count) {
        REQUIRE((*log)->commit({make_unit(last + 1, 2, *version)}).has_value());
        last += 2;
        bench.chores(**log);
    }
    return (*log)->segments().infos();
}

}  // namespace

TEST_CASE("every cut of every file of a journal is survived and told exactly")
{
    Base base;
    build(base);
    unsigned count = 0;
    for (const std::string& path : base.paths) {
        const std::string content = base.bench.disk->content(path);
        for (std::size_t size = 0; size < content.size(); ++size) {
            const auto disk = base.bench.disk->clone();
            disk->set_content(path, content.substr(0, size));
            const Hit hit = [&](const Piece& piece) { return piece.path == path && piece.end > size; };
            ++count;
            check_start(base, *disk, hit, count % 2 == 0, count % 5 == 0,
                        path + " cut to " + std::to_string(size));
        }
    }
}

TEST_CASE("every flipped byte of every file of a journal is survived and told exactly")
{
    Base base;
    build(base);
    unsigned count = 0;
    SeededRandom random{11};
    for (const std::string& path : base.paths) {
        const std::string content = base.bench.disk->content(path);
        for (std::size_t at = 0; at < content.size(); ++at) {
            const auto disk = base.bench.disk->clone();
            std::string flipped = content;
            const bool bit = random.next() % 2 == 0;
            flipped[at] = static_cast<char>(
                flipped[at] ^ (bit ? 1 << (random.next() % 8) : 1 + random.next() % 255));
            disk->set_content(path, flipped);
            const Hit hit = [&](const Piece& piece) {
                return piece.path == path && piece.begin <= at && at < piece.end;
            };
            ++count;
            check_start(base, *disk, hit, count % 2 == 0, count % 5 == 0,
                        path + " flipped at " + std::to_string(at));
        }
    }
}

TEST_CASE("damage on both sides of a segment that is gone is told once")
{
    Bench bench;
    const std::vector<SegmentInfo> segments = segments_of(bench, 6);
    const Sequence last = segments.back().last;
    const auto path = [&](std::size_t i) { return bench.options.directory + "/" + segments[i].name; };
    const auto cut = [&](std::size_t i, std::size_t size) {
        bench.disk->set_content(path(i), bench.disk->content(path(i)).substr(0, size));
    };
    cut(0, segment_data_start);  // the header is left, the events are not
    bench.disk->remove(path(1));
    cut(2, 200);                 // not even that: only the segment after it knows where it began

    JournalMarks marks;
    marks.synced = last;
    auto log = bench.open(marks);
    REQUIRE(log.has_value());
    std::vector<Sequence> told, wanted;
    for (const DamagedEvent& event : (*log)->recovery().damaged) told.push_back(event.sequence);
    // Where the first ended and the second began nobody knows any more.
    for (Sequence n = 1; n <= segments[2].last; ++n) wanted.push_back(n);
    CHECK(told == wanted);
    Sequence end = 0;
    for (const SegmentInfo& info : (*log)->segments().infos()) {
        CHECK(info.first > end);
        end = std::max(end, info.last);
    }
}

// A bug once: the word that the footer is synced was part of the trailer's checksum. A power cut tore it, the start
// rebuilt the segment, and took what had stood in its released neighbour for damage.
TEST_CASE("a torn word about a footer's sync spoils no footer")
{
    Bench bench;
    const std::vector<SegmentInfo> segments = segments_of(bench, 4);
    const Sequence last = segments.back().last;
    const auto path = [&](std::size_t i) { return bench.options.directory + "/" + segments[i].name; };
    bench.disk->remove(path(1));
    const std::string sealed = bench.disk->content(path(0));
    const std::size_t word = sealed.size() - synced_word_from_end;
    REQUIRE(sealed.substr(word, synced_word.size()) == synced_word);
    for (std::size_t written = 0; written <= synced_word.size(); ++written) {
        std::string torn = sealed;
        std::fill(torn.begin() + static_cast<std::ptrdiff_t>(word + written),
                  torn.begin() + static_cast<std::ptrdiff_t>(word + synced_word.size()), '\0');
        bench.disk->set_content(path(0), torn);
        JournalMarks marks;
        marks.synced = last;
        auto log = bench.open(marks);
        REQUIRE(log.has_value());
        CHECK((*log)->recovery().damaged.empty());
        CHECK((*log)->segments().infos().front().last == segments[0].last);
        CHECK(bench.disk->content(path(0)) == sealed);
    }
}

// A bug once: what waits was counted with the sums of the footer, what of it had ended with an index made again from a
// scan, which no longer knows the events that rot took. A target then waited for one delivery more than there were.
TEST_CASE("where an index is lost and an event with it, everything is counted by the index made again")
{
    Bench bench;
    const std::vector<SegmentInfo> segments = segments_of(bench, 3);
    const std::string path = bench.options.directory + "/" + segments[0].name;
    const Sequence last = segments.back().last, rotten = 2;  // goes to both
    JournalMarks marks;
    marks.synced = last;
    auto log = bench.open(marks);
    REQUIRE(log.has_value());
    const auto count = [&] { return (*log)->reader().count_after("webhook", {0, UINT32_MAX}); };
    const auto tally = [&](const std::map<std::pair<std::string, std::string>, std::uint64_t>& counts) {
        std::uint64_t sum = 0;
        for (const auto& [route, n] : counts)
            if (route.second == "webhook") sum += n;
        return sum;
    };
    const std::uint64_t whole = *count();

    std::string content = bench.disk->content(path);
    const FrameSeed seed{(*log)->segments().all().front()->id};
    const std::size_t trailer_at = content.size() - trailer_size;
    const auto trailer = decode_trailer(content.substr(trailer_at), seed, trailer_at);
    REQUIRE(trailer.has_value());
    content[static_cast<std::size_t>(trailer->index_offset) + 3] ^= 1;
    content[content.find(R"({"n":2,)") - 20] ^= 1;  // where it says to whom it goes
    bench.disk->set_content(path, content);

    std::vector<DeliveryKey> ended{{rotten, 0}};
    CHECK(tally(*(*log)->reader().tally_of(ended)) == 0);
    CHECK(*count() == whole - 1);
    CHECK(tally(*(*log)->reader().tally(0, last)) == whole - 1);
}

// A bug once: the places moved up where a rewrite had dropped one before. What then ended was another delivery of the event.
TEST_CASE("the deliveries of a damaged event keep their places over rewrites")
{
    Bench bench;
    const std::vector<SegmentInfo> segments = segments_of(bench, 3);
    const std::string& name = segments[0].name;
    const std::string path = bench.options.directory + "/" + name;
    JournalMarks marks;
    marks.synced = segments.back().last;
    auto log = bench.open(marks);
    REQUIRE(log.has_value());
    const auto only_archive = [](const StoredEvent& event, std::uint32_t i) { return event.version->routes[event.routes[i]].target == "archive"; };
    const auto damaged = [&] { return read_all(**log, "archive").damaged; };
    const std::set<DamagedDelivery> wanted{{{2, 1}, "orders"}};

    REQUIRE((*log)->keeper().rewrite(name, only_archive).has_value());
    CHECK(damaged().empty());
    std::string content = bench.disk->content(path);
    content[content.find(R"({"n":2,)") - 20] ^= 1;
    bench.disk->set_content(path, content);
    log->reset();
    log = bench.open(marks);
    REQUIRE((*log)->keeper().rewrite(name, only_archive).has_value());
    CHECK(damaged() == wanted);
    REQUIRE((*log)->keeper().rewrite(name, only_archive).has_value());
    CHECK(damaged() == wanted);
    CHECK(read_all(**log, "webhook").bodies.count(1) == 0);

    // And by the words that stand among the events, where the footer is lost.
    log->reset();
    content = bench.disk->content(path);
    bench.disk->set_content(path, content.substr(0, content.size() - trailer_size));
    log = bench.open(marks);
    REQUIRE(log.has_value());
    CHECK(damaged() == wanted);
    CHECK(read_all(**log, "webhook").damaged.empty());
}
