// The examination of a data directory: what is good, doubtful and wrong, and how it is told.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "cli/checkup.hpp"
#include "cli/sync_cost.hpp"
#include "core/bytes.hpp"
#include "core/ids.hpp"
#include "router/journal/format.hpp"
#include "router/state/state.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::cli;
using support::TempDir;
using Mark = CheckupItem::Mark;
using std::chrono::microseconds;

namespace {

CheckupItem item(const Checkup& checkup, const std::string& name)
{
    for (const CheckupItem& one : checkup.items)
        if (one.name == name) return one;
    return {name, Mark::bad, "not examined", ""};
}

Checkup examine(const std::string& data_dir, std::uint64_t min_free = 64U << 20)
{
    PosixDisk disk;
    const SystemClock clock;
    return check_up(disk, clock, {data_dir, min_free, 0});
}

Id store_of(std::uint8_t n)
{
    Id id;
    id.bytes.fill(n);
    return id;
}

void write_segment(const TempDir& directory, const Id& store, std::uint64_t number, std::uint8_t version = 1)
{
    router::SegmentHeader header;
    header.store = store;
    header.segment = store_of(static_cast<std::uint8_t>(200 + number));
    header.number = number;
    header.first = 1;
    std::string block = router::encode_segment_header(header);
    if (version != 1) {  // the next format, with a good checksum
        for (const std::size_t at : {0U, 2048U}) {
            block[at + 8] = static_cast<char>(version);
            const std::uint32_t crc = crc32c(0, block.data() + at, 508);
            for (int i = 0; i < 4; ++i) block[at + 508 + static_cast<std::size_t>(i)] = static_cast<char>(crc >> (8 * i));
        }
    }
    directory.write("journal/" + router::segment_name(number, header.segment), block);
}

void write_state(const TempDir& directory, const Id& store)
{
    PosixDisk disk;
    const SystemClock clock;
    auto state = router::State::open(disk, clock, {.path = directory.file("state.db")});
    REQUIRE(state.has_value());
    REQUIRE((*state)->bind_store(store).has_value());
    (*state)->stop();
}

}  // namespace

TEST_CASE("the cost of syncs is told by its median and its slowest")
{
    std::vector<Duration> took;
    for (int i = 100; i > 0; --i) took.push_back(microseconds{i});
    const SyncCost cost = cost_of(took);
    CHECK(cost.appends == 100);
    CHECK(cost.median == microseconds{50});
    CHECK(cost.p99 == microseconds{99});
    CHECK(cost.max == microseconds{100});
    CHECK(cost_of({microseconds{7}}).p99 == microseconds{7});
}

TEST_CASE("a sync quicker than its device can be is doubted, but not called a lie")
{
    struct Case {
        int median;  // us
        Device device;
        bool doubted, slow;
    };
    const Case cases[] = {
        {3, {false, false}, true, false},   {3, {true, false}, false, false},    {40, {false, false}, false, false},
        {40, {false, true}, true, false},   {4000, {false, true}, false, false}, {30'000, {false, true}, false, true},
    };
    for (const Case& c : cases) DYNAMIC_SECTION(c.median << " us, memory " << c.device.memory << ", rotating " << c.device.rotating)
    {
        SyncCost cost;
        cost.median = microseconds{c.median};
        CHECK(doubt(cost, c.device).empty() != c.doubted);
        CHECK(doubt(cost, c.device).find(" lie") == std::string::npos);
        CHECK(slow(cost) == c.slow);
    }
}

TEST_CASE("measuring leaves no file behind, and an unwritable place is an error")
{
    TempDir directory;
    PosixDisk disk;
    const SystemClock clock;
    const auto cost = measure_syncs(disk, clock, directory.file("probe"), 10);
    REQUIRE(cost.has_value());
    CHECK(cost->appends == 10);
    CHECK(cost->median > Duration{0});
    CHECK_FALSE(disk.exists(directory.file("probe")));
    CHECK_FALSE(measure_syncs(disk, clock, directory.file("no/such"), 10).has_value());
}

TEST_CASE("a directory that a daemon has not used yet is examined where it would be made")
{
    TempDir directory;
    const Checkup checkup = examine(directory.file("a/b"));
    CHECK(item(checkup, "directory").mark == Mark::note);
    CHECK(item(checkup, "directory").found.find("below '" + directory.path() + "'") != std::string::npos);
    CHECK(item(checkup, "space").mark == Mark::good);
    CHECK(item(checkup, "sync_cost").found.rfind("100 appends of 4 KiB", 0) == 0);
    CHECK_FALSE(std::filesystem::exists(directory.file("a")));
    CHECK(std::filesystem::is_empty(directory.path()));

    directory.write("file", "");
    CHECK(item(examine(directory.file("file")), "directory").mark == Mark::bad);
    CHECK_FALSE(examine(directory.file("file")).good());
}

TEST_CASE("free space is held against min_free, and min_free against the reserve")
{
    TempDir directory;
    PosixDisk disk;
    const std::uint64_t free = disk.space(directory.path())->free;
    CHECK(item(examine(directory.path(), free + (1U << 30)), "space").mark == Mark::bad);
    CHECK(item(examine(directory.path(), free / 10 * 9), "space").mark == Mark::warning);
    CHECK(item(examine(directory.path(), 1U << 20), "space").mark == Mark::warning);
    CHECK(item(examine(directory.path(), 64U << 20), "space").mark == Mark::good);
}

TEST_CASE("journal and state of one store belong together, of two they do not")
{
    TempDir directory;
    write_state(directory, store_of(1));
    CHECK(item(examine(directory.path()), "state").mark == Mark::good);
    CHECK(item(examine(directory.path()), "journal").mark == Mark::note);
    write_segment(directory, store_of(1), 1);
    Checkup checkup = examine(directory.path());
    CHECK(item(checkup, "journal").mark == Mark::good);
    CHECK(item(checkup, "pair").mark == Mark::good);
    CHECK(item(checkup, "daemon").mark == Mark::good);
    CHECK_FALSE(std::filesystem::exists(directory.file("lock")));

    write_segment(directory, store_of(2), 2);
    checkup = examine(directory.path());
    CHECK(item(checkup, "journal").mark == Mark::bad);
    CHECK(item(checkup, "journal").found.find("2 journals") != std::string::npos);

    std::filesystem::remove_all(directory.file("journal"));
    write_segment(directory, store_of(2), 1);
    checkup = examine(directory.path());
    CHECK(item(checkup, "pair").mark == Mark::bad);
    CHECK(item(checkup, "pair").found.find(store_of(2).text()) != std::string::npos);
    CHECK_FALSE(checkup.good());

    std::filesystem::remove(directory.file("state.db"));
    CHECK(item(examine(directory.path()), "state").mark == Mark::warning);
}

TEST_CASE("newer formats and a damaged state are named")
{
    TempDir directory;
    write_state(directory, store_of(1));
    write_segment(directory, store_of(1), 1, 9);
    Checkup checkup = examine(directory.path());
    CHECK(item(checkup, "journal").mark == Mark::bad);
    CHECK(item(checkup, "journal").found.find("newer") != std::string::npos);
    directory.write("state.db", std::string(40'000, 'x'));
    checkup = examine(directory.path());
    CHECK(item(checkup, "state").mark == Mark::bad);
    CHECK(item(checkup, "state").advice.find("salvages") != std::string::npos);
}

TEST_CASE("while a daemon has the directory its journal and state are left alone")
{
    TempDir directory;
    write_state(directory, store_of(1));
    PosixDisk disk;
    const auto held = disk.lock(directory.file("lock"));
    REQUIRE(held.has_value());
    const Checkup checkup = examine(directory.path());
    CHECK(item(checkup, "daemon").mark == Mark::note);
    CHECK(item(checkup, "state").found == "not examined");
}

TEST_CASE("doctor prints a table or JSON, and its exit code tells whether all is good")
{
    TempDir directory;
    const auto json = support::run({EVENTYARD_BINARY, "doctor", "--data-dir", directory.file("data"), "--json"});
    const auto answer = nlohmann::json::parse(json.out);
    CHECK(answer.at("good").get<bool>() == (json.exit.code == 0));
    CHECK(answer.at("checks").at(0).at("check") == "directory");
    CHECK(answer.at("checks").at(0).at("mark") == "note");

    directory.write("file", "");
    const auto bad = support::run({EVENTYARD_BINARY, "doctor", "--data-dir", directory.file("file")});
    CHECK(bad.exit.code == 1);
    CHECK(bad.out.find("CHECK ") == 0);
    CHECK(bad.out.find("BAD") != std::string::npos);

    directory.write("eventyard.yaml", "data_dir: data\nlimits: {connections: 500000}\n");
    const auto configured = support::run({EVENTYARD_BINARY, "doctor", "--config", directory.file("eventyard.yaml")});
    INFO(configured.out << configured.err);
    CHECK(configured.out.find("the configuration may need 500128") != std::string::npos);

    directory.write("broken.yaml", "data_dirr: x\n");
    CHECK(support::run({EVENTYARD_BINARY, "doctor", "--config", directory.file("broken.yaml")}).exit.code == 2);
    CHECK(support::run({EVENTYARD_BINARY, "doctor"}).exit.code == 2);
}
