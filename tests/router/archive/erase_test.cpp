// An archived event is erased: its body leaves its file, and a crash anywhere costs no other event.
#include <catch2/catch.hpp>

#include "router/archive/archive.hpp"
#include "tests/support/memory_disk.hpp"

using namespace eventyard;
using namespace eventyard::router;
using eventyard::test::MemoryDisk;

namespace {

constexpr std::uint64_t count = 900;

struct Filled {
    std::unique_ptr<MemoryDisk> disk = std::make_unique<MemoryDisk>();
    std::vector<Event> events;
    Id store;

    Filled()
    {
        store.bytes.fill(9);
        SeededRandom random{5};
        auto archive = open();
        auto draft = archive.begin(1, count);
        REQUIRE(draft.has_value());
        for (std::uint64_t n = 1; n <= count; ++n) {
            const WallTime received{std::chrono::seconds{1'800'000'000} + std::chrono::microseconds{n * 300}};
            events.push_back({new_event_id(received, random), received, EventFormat::json, "orders",
                              "{\"n\":" + std::to_string(n) + ",\"pad\":\"" + std::string(1000, 'x') + "\"}"});
            REQUIRE((*draft)->add(n, events.back()).has_value());
        }
        REQUIRE(archive.finish(**draft, 1, count).has_value());
    }
    BusArchive open()
    {
        auto archive = BusArchive::open(*disk, "/archive", "orders", store);
        REQUIRE(archive.has_value());
        return std::move(*archive);
    }
    /// All but `erased` (none: 0) as they were.
    void check(const BusArchive& archive, std::uint64_t erased)
    {
        REQUIRE(archive.files().size() == 1);
        const ArchiveFile& file = *archive.files().front();
        auto opened = disk->open(file.path, OpenMode::read);
        REQUIRE(opened.has_value());
        std::uint64_t n = 0;
        for (std::size_t i = 0; i < file.footer.blocks.size(); ++i) {
            const auto block = read_archive_block(**opened, file.footer, i);
            REQUIRE(block.has_value());
            for (const ArchivedEvent& one : *block) {
                const Event& was = events.at(n++);
                CHECK(one.sequence == n);
                CHECK(one.event.id == was.id);
                CHECK(one.event.received == was.received);
                CHECK(is_erased(one.event) == (n == erased));
                CHECK(one.event.body == (n == erased ? std::string{erased_body} : was.body));
            }
        }
        CHECK(n == count);
    }
};

}  // namespace

TEST_CASE("an archive file is rewritten without the body of one event")
{
    Filled filled;
    auto archive = filled.open();
    REQUIRE(archive.files().front()->footer.blocks.size() > 2);
    CHECK(archive.erase(archive.files().front(), filled.events[499].id).value());
    filled.check(archive, 500);
    CHECK(archive.files().front()->footer.last == count);
    CHECK(archive.erase(archive.files().front(), filled.events[499].id).value());  // again
    SeededRandom random{1};
    CHECK_FALSE(archive.erase(archive.files().front(), new_event_id(filled.events[499].received, random)).value());
    CHECK_FALSE(archive.erase(archive.files().front(), new_event_id(WallTime{}, random)).value());
    filled.check(filled.open(), 500);
    CHECK(filled.disk->paths().size() == 1);
}

TEST_CASE("a damaged block keeps an erase from no other, and files that cannot be read are named")
{
    Filled filled;
    auto archive = filled.open();
    const ArchiveFile file = *archive.files().front();
    {
        auto opened = filled.disk->open(file.path, OpenMode::read_write);
        REQUIRE(opened.has_value());
        REQUIRE((*opened)->write_at(file.footer.blocks[1].offset + 9, {"damage"}).has_value());
        auto other = filled.disk->open("/archive/orders/00000000000000000901-00000000000000000999-x.eya", OpenMode::create_new);
        REQUIRE(other.has_value());
        REQUIRE((*other)->write_at(0, {"no archive"}).has_value());
    }
    const std::uint64_t lost = file.footer.blocks[1].first;
    archive = filled.open();
    REQUIRE(archive.unread().size() == 1);
    CHECK(archive.unread().front().ends_with("-x.eya"));
    CHECK(archive.erase(archive.files().front(), filled.events[lost - 1].id).error().code == Errc::corrupt);
    CHECK(archive.erase(archive.files().front(), filled.events[lost - 2].id).value());  // the last of the block before
    auto opened = filled.disk->open(archive.files().front()->path, OpenMode::read);
    const auto first = read_archive_block(**opened, archive.files().front()->footer, 0);
    REQUIRE(first.has_value());
    CHECK(first->at(lost - 2).event.body == erased_body);
}

TEST_CASE("power that goes while an archived event is erased leaves the former file or the new one")
{
    SeededRandom random{11};
    bool finished = false;
    for (int step = 0; !finished; ++step) {
        INFO("step " << step);
        Filled filled;
        {
            auto archive = filled.open();
            int calls = 0;
            filled.disk->fault = [&](const std::string& call, const std::string&) -> std::optional<Error> {
                if (call == "read" || call == "open" || calls++ < step) return std::nullopt;
                return fail(Errc::io, "the power is gone");
            };
            finished = archive.erase(archive.files().front(), filled.events[7].id).has_value();
        }
        filled.disk->fault = nullptr;
        filled.disk->crash(random);
        auto archive = filled.open();
        if (finished) filled.check(archive, 8);
        CHECK(archive.erase(archive.files().front(), filled.events[7].id).value());
        filled.check(archive, 8);
    }
}
