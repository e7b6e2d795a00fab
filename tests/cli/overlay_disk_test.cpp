#include "cli/overlay_disk.hpp"

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.hpp"

using namespace eventyard;

namespace {

std::string content(Disk& disk, const std::string& path)
{
    auto file = disk.open(path, OpenMode::read);
    REQUIRE(file.has_value());
    std::string out;
    REQUIRE((*file)->read_at(0, 1000, out).has_value());
    return out;
}

}  // namespace

TEST_CASE("what is done over an overlay is seen through it and leaves the files below alone")
{
    support::TempDir directory;
    directory.write("one", "first");
    directory.write("two", "second");
    const std::string one = directory.file("one"), two = directory.file("two"), three = directory.file("three");
    const std::string folder = one.substr(0, one.rfind('/'));
    PosixDisk below;
    OverlayDisk disk{below};
    {
        auto file = disk.open(one, OpenMode::read_write);
        REQUIRE(file.has_value());
        auto reader = disk.open(one, OpenMode::read);
        REQUIRE((*file)->write_at(3, {"-", "more"}).has_value());
        std::string out;
        REQUIRE((*reader)->read_at(0, 100, out).has_value());
        CHECK(out == "fir-more");
        REQUIRE((*file)->truncate(4).has_value());
        CHECK(*(*reader)->size() == 4);
        CHECK((*file)->sync_data().has_value());
    }
    REQUIRE(disk.rename(one, three).has_value());
    REQUIRE(disk.unlink(two).has_value());
    CHECK_FALSE(disk.exists(one));
    CHECK_FALSE(disk.exists(two));
    CHECK(content(disk, three) == "fir-");
    CHECK(*disk.list(folder) == std::vector<std::string>{"three"});
    CHECK(disk.open(two, OpenMode::read).error().code == Errc::not_found);
    CHECK_FALSE(disk.open(three, OpenMode::create_new).has_value());
    REQUIRE(disk.open(two, OpenMode::create_new).has_value());
    CHECK(content(disk, two).empty());

    CHECK(content(below, one) == "first");
    CHECK(content(below, two) == "second");
    CHECK_FALSE(below.exists(three));
}
