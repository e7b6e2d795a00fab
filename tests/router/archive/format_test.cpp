// An archive file gives back what was put in, or says that it is damaged; never anything else.
#include <catch2/catch.hpp>

#include "router/archive/archive.hpp"
#include "tests/support/memory_disk.hpp"

using namespace eventyard;
using namespace eventyard::router;
using eventyard::test::MemoryDisk;

namespace {

Id id_of(std::uint64_t n)
{
    Id id;
    for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    return id;
}

Event event_of(std::uint64_t n, std::size_t pad = 0)
{
    return {id_of(n), WallTime{std::chrono::seconds{1'800'000'000 + n}}, EventFormat::json, "orders",
            "{\"n\":" + std::to_string(n) + ",\"pad\":\"" + std::string(pad, 'x') + "\"}"};
}

Result<std::vector<ArchivedEvent>> read_all(File& file)
{
    EVENTYARD_TRY(footer, read_archive_footer(file));
    std::vector<ArchivedEvent> all;
    for (std::size_t i = 0; i < footer.blocks.size(); ++i) {
        EVENTYARD_TRY(events, read_archive_block(file, footer, i));
        all.insert(all.end(), events.begin(), events.end());
    }
    return all;
}

std::string small_file(MemoryDisk& disk)
{
    auto file = disk.open("/f", OpenMode::create_new);
    ArchiveWriter writer{**file, id_of(99), "orders"};
    for (std::uint64_t n = 3; n < 9; ++n) REQUIRE(writer.add(n, event_of(n)).has_value());
    REQUIRE(writer.seal(1, 10).has_value());
    std::string bytes;
    REQUIRE((*file)->read_at(0, 1U << 20, bytes).has_value());
    REQUIRE(bytes.size() == writer.bytes());
    return bytes;
}

/// A file of these bytes.
std::unique_ptr<File> file_of(MemoryDisk& disk, const std::string& bytes)
{
    if (disk.exists("/g")) REQUIRE(disk.unlink("/g").has_value());
    auto file = disk.open("/g", OpenMode::create_new);
    if (!bytes.empty()) REQUIRE((*file)->write_at(0, {bytes}).has_value());
    return std::move(*file);
}

}  // namespace

TEST_CASE("an archive file gives back its events in order, over many blocks")
{
    MemoryDisk disk;
    auto file = disk.open("/f", OpenMode::create_new);
    ArchiveWriter writer{**file, id_of(7), "orders"};
    for (std::uint64_t n = 1; n <= 2000; ++n) REQUIRE(writer.add(n, event_of(n, 1000)).has_value());
    REQUIRE(writer.seal(1, 2005).has_value());
    const auto footer = read_archive_footer(**file);
    REQUIRE(footer.has_value());
    CHECK(footer->store == id_of(7));
    CHECK(footer->bus == "orders");
    CHECK(footer->first == 1);
    CHECK(footer->last == 2005);
    CHECK(footer->events == 2000);
    CHECK(footer->from == event_of(1).received);
    CHECK(footer->to == event_of(2000).received);
    CHECK(footer->blocks.size() > 3);
    const auto events = read_all(**file);
    REQUIRE(events.has_value());
    REQUIRE(events->size() == 2000);
    for (std::uint64_t n = 1; n <= 2000; ++n) {
        const ArchivedEvent& one = (*events)[n - 1];
        REQUIRE(one.sequence == n);
        REQUIRE(one.event.id == id_of(n));
        REQUIRE(one.event.received == event_of(n).received);
        REQUIRE(one.event.bus == "orders");
        REQUIRE(one.event.body == event_of(n, 1000).body);
    }
}

TEST_CASE("an archive file that was cut anywhere is refused")
{
    MemoryDisk disk;
    const std::string bytes = small_file(disk);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto file = file_of(disk, bytes.substr(0, size));
        const auto events = read_all(*file);
        INFO(size);
        REQUIRE_FALSE(events.has_value());
        REQUIRE(events.error().code == Errc::corrupt);
    }
}

TEST_CASE("an archive file with any bit changed is refused, and bytes after its end as well")
{
    MemoryDisk disk;
    const std::string bytes = small_file(disk);
    for (std::size_t at = 0; at < bytes.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
            const auto file = file_of(disk, changed);
            INFO(at << " bit " << bit);
            REQUIRE_FALSE(read_all(*file).has_value());
        }
    CHECK_FALSE(read_all(*file_of(disk, bytes + "x")).has_value());
    CHECK_FALSE(read_all(*file_of(disk, "x" + bytes)).has_value());
}

TEST_CASE("a segment that is archived again after a crash stands in the archive once")
{
    MemoryDisk disk;
    {
        auto archive = BusArchive::open(disk, "/a", "orders", id_of(1));
        REQUIRE(archive.has_value());
        auto draft = archive->begin(1, 10);
        REQUIRE(draft.has_value());
        REQUIRE((*draft)->add(4, event_of(4)).has_value());
        REQUIRE(archive->finish(**draft, 1, 10).has_value());
        // A crash here: `through` was not written.
    }
    auto archive = BusArchive::open(disk, "/a", "orders", id_of(1));
    REQUIRE(archive.has_value());
    CHECK(archive->through() == 0);
    CHECK(archive->files().size() == 1);
    auto draft = archive->begin(1, 10);
    REQUIRE((*draft)->add(4, event_of(4)).has_value());
    REQUIRE(archive->finish(**draft, 1, 10).has_value());
    REQUIRE(archive->set_through(10).has_value());
    CHECK(archive->files().size() == 1);

    auto again = BusArchive::open(disk, "/a", "orders", id_of(1));
    CHECK(again->through() == 10);
    CHECK(again->files().size() == 1);
    // Another journal gives these sequences to other events.
    CHECK(BusArchive::open(disk, "/a", "orders", id_of(2))->through() == 0);
}

TEST_CASE("a draft that is not finished leaves nothing, nor does one that a crash left")
{
    MemoryDisk disk;
    auto archive = BusArchive::open(disk, "/a", "orders", id_of(1));
    {
        auto draft = archive->begin(1, 10);
        REQUIRE((*draft)->add(4, event_of(4)).has_value());
    }
    CHECK(disk.list("/a/orders")->empty());
    (void)disk.open("/a/orders/x.eya.tmp", OpenMode::create_new);
    CHECK(BusArchive::open(disk, "/a", "orders", id_of(1))->files().empty());
    CHECK(disk.list("/a/orders")->empty());
}
