// The reserve is there while there is room, gone when the state starves, and comes back.
#include <catch2/catch.hpp>

#include "router/reserve.hpp"
#include "tests/support/memory_disk.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

constexpr std::uint64_t mebibyte = 1U << 20;

struct Fixture {
    test::MemoryDisk disk;
    Fixture() { room(1000 * mebibyte); }
    void room(std::uint64_t free)
    {
        disk.free_bytes = free;
        disk.total_bytes = 10'000 * mebibyte;
    }
};

}  // namespace

TEST_CASE("the reserve is made piece by piece while there is room")
{
    Fixture f;
    Reserve reserve{f.disk, "/data", 100 * mebibyte, 3 * mebibyte};
    for (std::uint64_t held = 1; held <= 3; ++held) {
        reserve.tick(false);
        CHECK(reserve.held() == held * mebibyte);
    }
    reserve.tick(false);
    CHECK(reserve.held() == 3 * mebibyte);
    CHECK(*(*f.disk.open("/data/reserve", OpenMode::read))->size() == 3 * mebibyte);
    // The next start finds it.
    CHECK(Reserve(f.disk, "/data", 100 * mebibyte, 3 * mebibyte).held() == 3 * mebibyte);
}

TEST_CASE("the reserve is given up when the state starves for space, and made again when there is some")
{
    Fixture f;
    Reserve reserve{f.disk, "/data", 100 * mebibyte, 2 * mebibyte};
    reserve.tick(false);
    reserve.tick(false);
    reserve.tick(true);  // the state fails, but not for lack of space
    CHECK(reserve.held() == 2 * mebibyte);
    f.room(50 * mebibyte);
    reserve.tick(false);  // full, but nobody starves
    CHECK(reserve.held() == 2 * mebibyte);
    reserve.tick(true);
    CHECK(reserve.held() == 0);
    CHECK(!f.disk.exists("/data/reserve"));
    reserve.tick(true);
    f.room(101 * mebibyte);  // too little to keep it
    reserve.tick(false);
    CHECK(reserve.held() == 0);
    f.room(200 * mebibyte);
    reserve.tick(false);
    reserve.tick(false);
    CHECK(reserve.held() == 2 * mebibyte);
}

TEST_CASE("a reserve that cannot be written is tried again")
{
    Fixture f;
    Reserve reserve{f.disk, "/data", 100 * mebibyte, 2 * mebibyte};
    bool fails = true;
    f.disk.fault = [&](const std::string& call, const std::string&) -> std::optional<Error> {
        if (fails && call == "write") return fail(Errc::no_space, "full");
        return std::nullopt;
    };
    reserve.tick(false);
    CHECK(reserve.held() == 0);
    fails = false;
    reserve.tick(false);
    CHECK(reserve.held() == mebibyte);
}
