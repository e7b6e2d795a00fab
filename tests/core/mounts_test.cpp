#include "core/mounts.hpp"

#include <catch2/catch.hpp>

using namespace eventyard;

namespace {

constexpr const char* mountinfo =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "25 22 0:22 / /tmp rw,nosuid - tmpfs tmpfs rw,size=100k\n"
    "31 22 8:1 / /srv rw - ext3 /dev/sda1 rw,barrier=0\n"
    "32 22 8:17 /sub /srv/data\\040dir rw,noatime shared:5 master:1 - xfs /dev/sdb1 rw\n"
    "33 22 0:40 / /srv/data\\040dir rw - nfs4 host:/x rw,vers=4.2\n"
    "40 22 broken\n";

}  // namespace

TEST_CASE("the mount of a path is the deepest one above it, and the latest of those in one place")
{
    struct Case {
        const char* path;
        const char* type;
        const char* point;
    };
    const Case cases[] = {
        {"/", "ext4", "/"},
        {"/var/lib/eventyard", "ext4", "/"},
        {"/tmp", "tmpfs", "/tmp"},
        {"/tmp/x/y", "tmpfs", "/tmp"},
        {"/tmpx", "ext4", "/"},
        {"/srv/data", "ext3", "/srv"},
        {"/srv/data dir/journal", "nfs4", "/srv/data dir"},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.path)
    {
        const auto mount = mount_of(mountinfo, c.path);
        REQUIRE(mount);
        CHECK(mount->type == c.type);
        CHECK(mount->point == c.point);
    }
    CHECK_FALSE(mount_of("", "/"));
}

TEST_CASE("a mount's options are those of the mount and of its file system")
{
    const auto mount = mount_of(mountinfo, "/srv/x");
    REQUIRE(mount);
    CHECK(mount->device == "8:1");
    CHECK(has_option(*mount, "barrier=0"));
    CHECK(has_option(*mount, "rw"));
    CHECK_FALSE(has_option(*mount, "barrier"));
}

TEST_CASE("file systems are told apart by what they keep")
{
    CHECK(keeping_of("ext4") == Keeping::disk);
    CHECK(keeping_of("tmpfs") == Keeping::memory);
    CHECK(keeping_of("overlay") == Keeping::layered);
    CHECK(keeping_of("fuse.sshfs") == Keeping::network);
    CHECK(keeping_of("nfs4") == Keeping::network);
    CHECK(keeping_of("squeezefs") == Keeping::unknown);
}
