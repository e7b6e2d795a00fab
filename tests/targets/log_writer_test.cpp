#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <filesystem>

#include "tests/support/breaking_disk.hpp"
#include "tests/support/temp_dir.hpp"
#include "targets/log_writer.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;
using namespace std::chrono_literals;

namespace {

const WallTime noon{std::chrono::seconds{1'764'072'000}};  // 2025-11-25T12:00:00Z

struct Setup {
    TempDir dir;
    std::shared_ptr<BreakingDisk> disk = std::make_shared<BreakingDisk>();
    std::string path = dir.file("logs/a.jsonl");
    std::vector<std::string> names() const
    {
        std::vector<std::string> all;
        for (const auto& entry : std::filesystem::directory_iterator(dir.file("logs")))
            all.push_back(entry.path().filename().string());
        std::sort(all.begin(), all.end());
        return all;
    }
};

std::string unpacked(const std::string& bytes)
{
    std::string out(1 << 22, '\0');
    const std::size_t size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(size) != 0) return "not zstd";
    out.resize(size);
    return out;
}

}  // namespace

TEST_CASE("lines are appended and synced once a batch, and the directory is made")
{
    Setup s;
    LogWriter log{{s.path, true, {}}, s.disk, "tested"};
    const auto done = log.append({"{\"a\":1}\n", "{\"a\":2}\n"}, noon);
    CHECK(done.settled == 2);
    CHECK_FALSE(done.error);
    CHECK(s.disk->syncs == 1);
    CHECK(log.append({"{\"a\":3}\n"}, noon).settled == 1);
    CHECK(read_text(s.path) == "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    CHECK(log.stats().lines == 3);
    CHECK(log.stats().size == 24);

    LogWriter careless{{s.dir.file("b"), false, {}}, s.disk, "tested"};
    CHECK(careless.append({"x\n"}, noon).settled == 1);
    CHECK(s.disk->syncs == 2);
}

TEST_CASE("a failed write settles nothing and leaves no half line behind")
{
    Setup s;
    LogWriter log{{s.path, true, {}}, s.disk, "tested"};
    REQUIRE(log.append({"first\n"}, noon).settled == 1);
    s.disk->fail_writes = 1;
    const auto failed = log.append({"second\n", "third\n"}, noon);
    CHECK(failed.settled == 0);
    REQUIRE(failed.error);
    CHECK(failed.error->code == Errc::no_space);
    CHECK(read_text(s.path) == "first\n");
    CHECK_FALSE(log.stats().last_error.empty());
    CHECK(log.append({"second\n"}, noon).settled == 1);
    CHECK(read_text(s.path) == "first\nsecond\n");
    CHECK(log.stats().last_error.empty());
    CHECK(log.stats().torn == 0);
}

TEST_CASE("a failed sync is not tried again: the file is cut back, opened anew and written again")
{
    Setup s;
    LogWriter log{{s.path, true, {}}, s.disk, "tested"};
    REQUIRE(log.append({"first\n"}, noon).settled == 1);
    s.disk->fail_syncs = 1;
    const auto failed = log.append({"second\n"}, noon);
    CHECK(failed.settled == 0);
    CHECK(read_text(s.path) == "first\n");
    const int opened = s.disk->opened;
    CHECK(log.append({"second\n"}, noon).settled == 1);
    CHECK(s.disk->opened == opened + 1);
    CHECK(read_text(s.path) == "first\nsecond\n");
}

TEST_CASE("on open a torn last line is moved to .partial, however the crash cut it")
{
    const std::string whole = "{\"a\":1}\n{\"b\":\"" + std::string(200'000, 'b') + "\"}\n{\"c\":3}\n";
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                  std::size_t{65'544}, std::size_t{200'000}, whole.size() - 1, whole.size()}) {
        DYNAMIC_SECTION("cut at " << cut)
        {
            Setup s;
            s.dir.write("logs/a.jsonl", whole.substr(0, cut));
            LogWriter log{{s.path, true, {}}, s.disk, "tested"};
            REQUIRE(log.append({"new\n"}, noon).settled == 1);
            const auto end = cut == 0 ? std::string::npos : whole.rfind('\n', cut - 1);
            const std::string kept = end == std::string::npos ? "" : whole.substr(0, end + 1);
            const std::string torn = whole.substr(kept.size(), cut - kept.size());
            CHECK(read_text(s.path) == kept + "new\n");
            CHECK(read_text(s.path + ".partial") == (torn.empty() ? "" : torn + "\n"));
            CHECK(log.stats().torn == (torn.empty() ? 0 : 1));
        }
    }
}

TEST_CASE("on open lines with holes are moved to .partial with all that was written after them")
{
    const std::string synced = "{\"a\":1}\n", zeros(512, '\0');
    for (const std::string& torn : {zeros, "{\"b\":" + zeros + "}\n", "{\"b\":" + zeros + "}\n{\"c\":3}\n",
                                    zeros + std::string(200'000, 'b') + "\n{\"c\":"}) {
        Setup s;
        s.dir.write("logs/a.jsonl", synced + torn);
        LogWriter log{{s.path, true, {}}, s.disk, "tested"};
        REQUIRE(log.append({"new\n"}, noon).settled == 1);
        CHECK(read_text(s.path) == synced + "new\n");
        CHECK(read_text(s.path + ".partial") == torn + "\n");
        CHECK(log.stats().torn == 1);
    }
}

TEST_CASE("nothing is written through a link, to a device or beside another writer")
{
    Setup s;
    s.dir.write("logs/real", "kept\n");
    std::filesystem::create_symlink(s.dir.file("logs/real"), s.path);
    LogWriter log{{s.path, true, {}}, s.disk, "tested"};
    const auto linked = log.append({"x\n"}, noon);
    REQUIRE(linked.error);
    CHECK(linked.error->what.find("symbolic link") != std::string::npos);
    CHECK(read_text(s.dir.file("logs/real")) == "kept\n");
    std::filesystem::remove(s.path);
    REQUIRE(::mkfifo(s.path.c_str(), 0600) == 0);
    const auto fifo = log.append({"x\n"}, noon);
    REQUIRE(fifo.error);
    CHECK(fifo.error->what.find("not a regular file") != std::string::npos);
    std::filesystem::remove(s.path);
    std::filesystem::create_directory(s.path);
    CHECK(log.append({"x\n"}, noon).error);
    std::filesystem::remove(s.path);
    CHECK(log.append({"x\n"}, noon).settled == 1);

    LogWriter second{{s.path, true, {}}, s.disk, "other"};
    const auto locked = second.append({"y\n"}, noon);
    REQUIRE(locked.error);
    CHECK(locked.error->code == Errc::conflict);
    log.close();
    CHECK(second.append({"y\n"}, noon).settled == 1);
    CHECK(read_text(s.path) == "x\ny\n");
}

TEST_CASE("a file is rotated before a line would take it beyond its size, and old ones go")
{
    Setup s;
    LogWriter log{{s.path, true, Rotation{10, Duration{0}, 2, false}}, s.disk, "tested"};
    // 5 bytes each: two a file
    const auto done = log.append({"1111\n", "2222\n", "3333\n", "4444\n", "5555\n"}, noon);
    CHECK(done.settled == 5);
    CHECK(read_text(s.path) == "5555\n");
    CHECK(read_text(s.path + ".20251125T120000Z.1") == "1111\n2222\n");
    CHECK(read_text(s.path + ".20251125T120000Z.2") == "3333\n4444\n");
    CHECK(log.append({"6666\n", "7777\n"}, noon + 1s).settled == 2);
    while (log.step()) {
    }
    CHECK(s.names() == std::vector<std::string>{"a.jsonl", "a.jsonl.20251125T120000Z.2",
                                                "a.jsonl.20251125T120001Z.1"});
    CHECK(log.stats().rotations == 3);
    // a line larger than the limit stands alone
    CHECK(log.append({"long long long line\n", "8\n"}, noon + 2s).settled == 2);
    CHECK(read_text(s.path) == "8\n");
}

TEST_CASE("a file is rotated at a time boundary, also when it was written before a restart")
{
    Setup s;
    const Rotation hourly{0, 1h, 0, false};
    {
        LogWriter log{{s.path, true, hourly}, s.disk, "tested"};
        CHECK(log.append({"a\n"}, noon + 59min).settled == 1);
        CHECK(log.append({"b\n"}, noon + 60min).settled == 1);
    }
    CHECK(read_text(s.path) == "b\n");
    CHECK(read_text(s.path + ".20251125T130000Z.1") == "a\n");
    // The file's own time of writing is the machine's, so "later" is counted from there.
    LogWriter later{{s.path, true, hourly}, s.disk, "tested"};
    const WallTime tomorrow = SystemClock{}.wall() + 24h;
    CHECK(later.append({"c\n"}, tomorrow).settled == 1);
    CHECK(read_text(s.path) == "c\n");
    CHECK(s.names().size() == 3);
}

TEST_CASE("rotated files are compressed in small steps, and left ones after a crash as well")
{
    Setup s;
    std::string line(3 << 20, 'z');
    line += '\n';
    s.dir.write("logs/a.jsonl.20240101T000000Z.1", line);
    s.dir.write("logs/a.jsonl.20240101T000000Z.1.zst.tmp", "half");
    LogWriter log{{s.path, true, Rotation{1024, Duration{0}, 0, true}}, s.disk, "tested"};
    CHECK(log.append({"1\n"}, noon).settled == 1);
    int steps = 1;
    while (log.step()) ++steps;
    CHECK(steps >= 3);
    CHECK(s.names() == std::vector<std::string>{"a.jsonl", "a.jsonl.20240101T000000Z.1.zst"});
    CHECK(unpacked(read_text(s.path + ".20240101T000000Z.1.zst").substr(0)) == line);
}

TEST_CASE("when a file cannot be rotated it grows on, and lines are not lost")
{
    Setup s;
    LogWriter log{{s.path, true, Rotation{6, Duration{0}, 0, false}}, s.disk, "tested"};
    s.disk->fail_renames = true;
    CHECK(log.append({"1111\n", "2222\n", "3333\n"}, noon).settled == 3);
    CHECK(read_text(s.path) == "1111\n2222\n3333\n");
    s.disk->fail_renames = false;
    CHECK(log.append({"4444\n"}, noon + 1s).settled == 1);  // not tried again yet
    CHECK(log.append({"5555\n"}, noon + 11s).settled == 1);
    CHECK(read_text(s.path) == "5555\n");
}

TEST_CASE("a reopen follows the path, and a file cut by others is written at its new end")
{
    Setup s;
    LogWriter log{{s.path, true, {}}, s.disk, "tested"};
    CHECK(log.append({"1\n"}, noon).settled == 1);
    std::filesystem::rename(s.path, s.path + ".old");
    CHECK(log.append({"2\n"}, noon).settled == 1);  // logrotate moved it, we were not told yet
    log.request_reopen();
    CHECK(log.append({"3\n"}, noon).settled == 1);
    CHECK(read_text(s.path + ".old") == "1\n2\n");
    CHECK(read_text(s.path) == "3\n");
    std::filesystem::resize_file(s.path, 0);
    CHECK(log.append({"4\n"}, noon).settled == 1);
    CHECK(read_text(s.path) == "4\n");
}
