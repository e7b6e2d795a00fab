// The file target as a whole: what the suite does not ask of all kinds.
#include <catch2/catch.hpp>
#include <filesystem>

#include "targets/file.hpp"
#include "tests/support/breaking_disk.hpp"
#include "tests/support/target_runner.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::support;
using namespace eventyard::targets;

namespace {

std::string status_of(const Target& target, const std::string& key)
{
    for (const StatusItem& item : target.status())
        if (item.key == key) return item.value;
    return {};
}

}  // namespace

TEST_CASE("file: a file that a crash cut is mended before anything is added")
{
    TempDir dir;
    const std::string path = dir.write("a.jsonl", "{\"n\":1}\n{\"n\":2,\"half");
    TargetRunner runner;
    const auto target = runner.make(read_target("file", R"({"path":")" + path + "\"}"));
    CHECK(runner.deliver(*target, "{\"n\":2}").verdict == Verdict::delivered);
    CHECK(read_text(path) == "{\"n\":1}\n{\"n\":2}\n");
    CHECK(read_text(path + ".partial") == "{\"n\":2,\"half\n");
    CHECK(status_of(*target, "torn_lines") == "1");
}

TEST_CASE("file: a full disk and a failed sync are worth another attempt, and settle nothing")
{
    TempDir dir;
    const auto disk = std::make_shared<BreakingDisk>();
    const std::string path = dir.file("a.jsonl");
    TargetRunner runner;
    const auto target = runner.make(
        read_settings(R"({"path":")" + path + "\"}",
                      [&](Fields& fields) { return read_file_target_on(fields, disk); }));
    CHECK(runner.deliver(*target, "{\"n\":1}").verdict == Verdict::delivered);
    disk->fail_writes = 1;
    const Outcome full = runner.deliver(*target, "{\"n\":2}");
    CHECK(full.verdict == Verdict::retry);
    CHECK(full.cause == Cause::disk);
    CHECK(full.detail.find("No space left on device") != std::string::npos);
    disk->fail_syncs = 1;
    CHECK(runner.deliver(*target, "{\"n\":2}").cause == Cause::disk);
    CHECK_FALSE(status_of(*target, "last_error").empty());
    CHECK(runner.deliver(*target, "{\"n\":2}").verdict == Verdict::delivered);
    CHECK(read_text(path) == "{\"n\":1}\n{\"n\":2}\n");
    CHECK(status_of(*target, "last_error").empty());
}

TEST_CASE("file: deliveries that wait together share one sync")
{
    TempDir dir;
    const auto disk = std::make_shared<BreakingDisk>();
    TargetRunner runner;
    const auto target = runner.make(
        read_settings(R"({"path":")" + dir.file("a.jsonl") + "\"}",
                      [&](Fields& fields) { return read_file_target_on(fields, disk); }));
    runner.deliver(*target, "{}");
    disk->syncs = 0;
    std::vector<Event> events;
    for (int i = 0; i < 500; ++i) events.push_back(make_event("{}"));
    for (const Outcome& outcome : runner.deliver(*target, events, 500))
        CHECK(outcome.verdict == Verdict::delivered);
    CHECK(disk->syncs < 250);
    CHECK(disk->syncs > 0);
}

TEST_CASE("file: reopen follows a renamed file, two targets cannot share one, and status names the risk")
{
    TempDir dir;
    const std::string path = dir.file("a.jsonl");
    TargetRunner runner;
    auto target = runner.make(read_target("file", R"({"path":")" + path + R"(","fsync":"never"})"));
    CHECK(status_of(*target, "fsync").find("may lose") != std::string::npos);
    CHECK(runner.deliver(*target, "{\"n\":1}").verdict == Verdict::delivered);
    std::filesystem::rename(path, path + ".1");
    target->reopen();
    CHECK(runner.deliver(*target, "{\"n\":2}").verdict == Verdict::delivered);
    CHECK(read_text(path) == "{\"n\":2}\n");

    const auto second = runner.make(read_target("file", R"({"path":")" + path + "\"}"));
    const Outcome refused = runner.deliver(*second, "{}");
    CHECK(refused.verdict == Verdict::retry);
    CHECK(refused.detail.find("being written by another") != std::string::npos);
    target->close();
    target.reset();
    CHECK(runner.run_until([&] { return runner.deliver(*second, "{}").verdict == Verdict::delivered; },
                           std::chrono::seconds{5}));
    CHECK(status_of(*second, "fsync") == "batch");
}
