// The data directory on a disk that somebody else fills, that is read-only, or that another daemon uses.
#include <set>

#include "tests/e2e/harness.hpp"
#include "tests/support/small_disk.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using support::SmallDisk;

namespace {

constexpr std::uint64_t mib = 1U << 20;

constexpr const char* rules = "rules:\n  - {name: all, pattern: {source: [full]}, targets: [up, down]}\n";

std::string configuration(const Sink& up, std::uint16_t down)
{
    return "journal: {segment_size: 1MiB, min_free: 16MiB}\n"
           "targets:\n"
           "  up:\n    webhook: {url: '" + up.url() + "'}\n"
           "  down:\n    webhook: {url: 'http://127.0.0.1:" + std::to_string(down) + "/'}\n"
           "    retry: {max_attempts: 1000, backoff: {initial: 50ms, max: 500ms}}\n";
}

std::string body_of(std::uint64_t n)
{
    return R"({"source":"full","n":)" + std::to_string(n) + R"(,"pad":")" + std::string(8000, 'x') + "\"}";
}

/// Posts events until one is refused; its answer. The ids of the others go to `accepted`.
support::HttpAnswer post_until_refused(const Daemon& daemon, std::set<std::string>& accepted, std::size_t most = SIZE_MAX)
{
    support::HttpAnswer answer;
    for (std::size_t n = 0; n < most; ++n) {
        answer = support::http_post(daemon.http(), "/v1/events", body_of(n));
        if (answer.status != 202) break;
        accepted.insert(nlohmann::json::parse(answer.body).at("id").get<std::string>());
    }
    return answer;
}

std::size_t missing(const Sink& sink, const std::set<std::string>& accepted, const std::string& target)
{
    const auto ids = sink.ids();
    std::size_t missing = 0;
    for (const std::string& id : accepted) missing += ids.count(delivery_of(id, "all", target)) == 0 ? 1 : 0;
    return missing;
}

support::Finished audit(const Daemon& daemon)
{
    return support::run({EVENTYARD_BINARY, "audit", "--admin", daemon.admin_address()});
}

}  // namespace

TEST_CASE("another process takes the last byte while a target is down: nothing is lost, and all goes on by itself")
{
    TempDir directory;
    std::filesystem::create_directory(directory.file("data"));
    SmallDisk disk{directory.file("data"), 96 * mib};
    if (!disk.mounted()) {
        WARN("not tested: this machine lets nobody mount a file system of his own");
        return;
    }
    Sink up;
    const std::uint16_t down_port = support::free_port();
    Daemon daemon{directory};
    daemon.configure(configuration(up, down_port), rules);
    daemon.run_by(disk.enter());
    daemon.start();

    // More is behind the target that is down than min_free, the reserve, which is made again first, and the log of
    // state.db take together.
    std::set<std::string> accepted;
    REQUIRE(post_until_refused(daemon, accepted, 4000).status == 202);
    REQUIRE(eventually([&] { return missing(up, accepted, "up") == 0; }));

    // To the last byte, and again when the daemon gives its reserve up.
    disk.fill("filler");
    REQUIRE(disk.free() == 0);
    const auto refused = [&] {
        const auto answer = support::http_post(daemon.http(), "/v1/events", body_of(0));
        if (answer.status == 202) accepted.insert(nlohmann::json::parse(answer.body).at("id").get<std::string>());
        return answer;
    };
    REQUIRE(eventually([&] { return refused().status == 503; }));
    const auto answer = refused();
    CHECK(answer.status == 503);
    CHECK_FALSE(answer.header("retry-after").empty());
    INFO(answer.body);
    CHECK(answer.body.find("min_free") != std::string::npos);
    CHECK(support::http_get(daemon.admin(), "/readyz").status == 503);
    disk.fill("filler");

    // The target comes back while the disk is full: what is delivered frees space, ingest resumes.
    Sink down{{}, down_port};
    const bool resumed = eventually([&] { return refused().status == 202; }, 120s, 100ms);
    INFO(daemon.process().err());
    REQUIRE(resumed);
    CHECK(disk.free() > 0);

    // Again, with space given back from outside.
    disk.fill("filler");
    REQUIRE(eventually([&] { return refused().status == 503; }));
    disk.remove("filler");
    REQUIRE(eventually([&] { return refused().status == 202; }));
    REQUIRE(eventually([&] { return support::http_get(daemon.admin(), "/readyz").status == 200; }));

    CHECK(eventually([&] { return missing(up, accepted, "up") == 0 && missing(down, accepted, "down") == 0; }));
    CHECK(daemon.settle().at("balanced") == true);
    const auto audited = audit(daemon);
    INFO(audited.out << audited.err);
    CHECK(audited.exit.code == 0);
    CHECK(daemon.terminate().code == 0);
    WARN(accepted.size() << " events answered 202 around a disk that was full twice");
}

TEST_CASE("a daemon whose disk was full when it was killed starts, delivers and frees space")
{
    TempDir directory;
    std::filesystem::create_directory(directory.file("data"));
    SmallDisk disk{directory.file("data"), 96 * mib};
    if (!disk.mounted()) {
        WARN("not tested: this machine lets nobody mount a file system of his own");
        return;
    }
    Sink up;
    const std::uint16_t down_port = support::free_port();
    Daemon daemon{directory};
    daemon.configure(configuration(up, down_port), rules);
    daemon.run_by(disk.enter());
    daemon.start();
    std::set<std::string> accepted;
    REQUIRE(post_until_refused(daemon, accepted, 4000).status == 202);
    disk.fill("filler");
    daemon.kill();
    disk.fill("filler");

    daemon.start_unready();
    Sink down{{}, down_port};
    REQUIRE(eventually([&] { return missing(down, accepted, "down") == 0; }));
    const bool ready = eventually([&] { return support::http_get(daemon.admin(), "/readyz").status == 200; });
    INFO(daemon.process().err());
    CHECK(ready);
    CHECK(eventually([&] { return missing(up, accepted, "up") == 0; }));
    CHECK(daemon.settle().at("balanced") == true);
    CHECK(audit(daemon).exit.code == 0);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a read-only data directory and one that another daemon uses are refused with the reason")
{
    TempDir directory;
    Sink up;
    Daemon daemon{directory};
    daemon.configure(configuration(up, support::free_port()), rules);
    daemon.start();
    const auto second = support::run(daemon.serve());
    INFO(second.err);
    CHECK(second.exit.code == 2);
    CHECK(second.err.find("another eventyard uses data_dir '" + directory.file("data") + "'") != std::string::npos);
    CHECK(support::http_get(daemon.admin(), "/readyz").status == 200);
    CHECK(daemon.terminate().code == 0);

    std::filesystem::remove_all(directory.file("data"));
    std::filesystem::create_directory(directory.file("data"));
    SmallDisk disk{directory.file("data"), 8 * mib};
    if (!disk.mounted()) return;
    auto remount = disk.enter();
    remount.insert(remount.end(), {"/bin/mount", "-o", "remount,ro", directory.file("data")});
    REQUIRE(support::run(remount).exit.code == 0);
    daemon.run_by(disk.enter());
    const auto read_only = support::run(daemon.serve());
    INFO(read_only.err);
    CHECK(read_only.exit.code == 2);
    CHECK(read_only.err.find("Read-only file system") != std::string::npos);
}
