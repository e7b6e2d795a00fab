// state.db flipped, cut, missing and older: the start succeeds, nothing is invented, losses are
// told.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "router/state/checksum_vfs.hpp"
#include "router/state/salvage.hpp"
#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t page = state_page_size;
constexpr Sequence many = 700;  // enough retries and dead letters for several pages each
constexpr Sequence few = 10;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t long_step = 7;  // a start takes several times as long
#else
constexpr std::size_t long_step = 1;
#endif

// Hundreds of starts, a dozen fsyncs each, and none of them needs a disk.
const bool in_memory = ::access("/dev/shm", W_OK) == 0 && ::setenv("TMPDIR", "/dev/shm", 0) == 0;

/// What was written, to compare with: the body and the rule tell row from row.
std::string body_of(Sequence n)
{
    return "{\"n\":" + std::to_string(n) + ",\"pad\":\"" + std::string(n * 37 % 900, 'p') + "\"}";
}

void fill(State& state, Sequence rows)
{
    std::vector<Change> changes{TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "file", 0},
                                TargetKnown{"c", "file", 0}};
    for (Sequence n = 1; n <= rows; ++n) {
        changes.push_back(retrying(n % 2 == 0 ? "a" : "b", {n, 0}, static_cast<std::int64_t>(n)));
        if (n % 5 == 0) changes.push_back(dead(n % 2 == 0 ? "a" : "b", {n, 1}, body_of(n)));
    }
    changes.push_back(dead("a", {10'000, 0}, std::string(70'000, 'o')));  // overflow pages
    changes.push_back(CursorMoved{"a", 1000, {{1005, 0}, {1007, 1}}});
    changes.push_back(CursorMoved{"b", 900, {}});
    changes.push_back(CursorMoved{"c", 800, {}});
    changes.push_back(LaneIdle{"c", 0});
    changes.push_back(IdleThrough{0, 2000});
    changes.push_back(TargetPaused{"b", "410"});
    changes.push_back(JournalMarked{5000, 3000});
    changes.push_back(Routed{3000, {{{"rule", "a"}, 11}}});
    changes.push_back(Received{"default", "shop", 9, 0, 0, 9, 0});
    REQUIRE(put(state, std::move(changes)).has_value());
}

/// A state file with everything merged, as bytes.
std::string filled_file(Sequence rows = many)
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(state->bind_store(id_of(3)).has_value());
    fill(*state, rows);
    // Freed pages as well.
    const Sequence freed = 20'000 + (rows == many ? 900 : 300);
    std::vector<Change> gone;
    for (Sequence n = 20'000; n < freed; ++n) gone.push_back(retrying("a", {n, 0}, 1));
    REQUIRE(put(*state, gone).has_value());
    gone.clear();
    for (Sequence n = 20'000; n < freed; ++n) gone.push_back(ended("a", {n, 0}));
    REQUIRE(put(*state, gone).has_value());
    state->stop();
    REQUIRE_FALSE(std::filesystem::exists(dir.file("state.db-wal")));
    return support::read_text(dir.file("state.db"));
}

struct Outcome {
    bool set_aside = false;
    std::size_t retries = 0, letters = 0;
};

/// Opens what lies in `dir` and holds every loaded row against what was written.
Outcome check_start(const support::TempDir& dir, Sequence rows = many)
{
    auto opened = open_or_salvage(posix_disk, dir.file("state.db"), wall(1'000'000));
    if (!opened.has_value()) FAIL(opened.error().what);
    Store& store = *opened->store;
    const StateReport& report = opened->report;
    const auto snapshot = store.snapshot();
    REQUIRE(snapshot.has_value());

    Outcome outcome;
    outcome.set_aside = report.set_aside;
    std::map<std::string, const TargetPosition*> targets;
    for (const TargetPosition& target : snapshot->targets) {
        targets[target.target] = &target;
        CAPTURE(target.target);
        REQUIRE((target.target == "a" || target.target == "b" || target.target == "c"));
        if (target.trusted) {
            REQUIRE(target.cursor == (target.target == "a"   ? 1000U
                                      : target.target == "b" ? 900U
                                                             : target.cursor));
            if (target.target == "c") REQUIRE((target.cursor == 2000 || target.cursor == 800));
            REQUIRE(target.settled == (target.target == "a"
                                           ? std::vector<DeliveryKey>{{1005, 0}, {1007, 1}}
                                           : std::vector<DeliveryKey>{}));
        } else {
            REQUIRE((target.cursor == 0 && target.settled.empty()));
        }
    }
    for (const char* const name : {"a", "b"}) {
        const auto due = store.due_retries(name, wall(1'000'000), 100'000);
        REQUIRE(due.has_value());
        for (const RetryRow& row : *due) {
            REQUIRE((row.key.sequence >= 1 && row.key.sequence <= rows && row.key.route == 0));
            REQUIRE(name[0] == (row.key.sequence % 2 == 0 ? 'a' : 'b'));
            REQUIRE(row.due == wall(static_cast<std::int64_t>(row.key.sequence)));
            REQUIRE((row.event == id_of(7) && row.rule == "rule" && row.attempts == 1 &&
                     row.received == wall(1)));
        }
        outcome.retries += due->size();
        // The rule that matters: a trusted cursor has all the retries it vouches for.
        if (targets.count(name) != 0 && targets[name]->trusted) REQUIRE(due->size() == rows / 2);
        if (targets.count(name) != 0) REQUIRE(targets[name]->retries == due->size());
    }
    DeadLetterFilter all;
    all.limit = 10'000;
    const auto found = store.dead_letters(all);
    REQUIRE(found.has_value());
    for (const DeadLetter& one : found->letters) {
        const auto whole = store.dead_letter(one.id);
        REQUIRE(whole.has_value());
        const Sequence n = one.key.sequence;
        REQUIRE(whole->body == (n == 10'000 ? std::string(70'000, 'o') : body_of(n)));
        REQUIRE(whole->target == (n % 2 == 0 ? "a" : "b"));
        for (const AttemptRecord& attempt : *store.attempts(*whole)) REQUIRE(attempt.status == 500);
    }
    outcome.letters = found->letters.size();
    for (const LedgerRow& row : snapshot->ledger) {
        if (row.routed != 0) REQUIRE((row.target == "a" && row.routed == 11));
        REQUIRE((row.target == "a" || row.target == "b"));
    }
    REQUIRE((snapshot->reserved == 5000 || snapshot->reserved == 0));
    REQUIRE((snapshot->store == id_of(3) || snapshot->store.is_nil()));

    // Losses are told.
    const std::size_t all_letters = rows / 5 + 1;
    if (targets.size() < 3) REQUIRE(report.cursors_lost);
    if (outcome.set_aside) {
        REQUIRE(report.salvaged_retries == outcome.retries);
        REQUIRE(report.salvaged_dead_letters == outcome.letters);
        REQUIRE((report.cursors_lost || report.lost_dead_letters == all_letters - outcome.letters));
        REQUIRE(std::filesystem::exists(report.moved_to));
        REQUIRE_FALSE(report.why.empty());
    } else if (!report.created) {
        REQUIRE(outcome.retries == rows);
        REQUIRE(outcome.letters == all_letters);
        REQUIRE(targets.size() == 3);
    }
    return outcome;
}

TEST_CASE("any flipped byte of any page is harmless or found, and the other pages are salvaged")
{
    const std::string file = filled_file();
    const std::size_t pages = file.size() / page;
    REQUIRE(file.size() % page == 0);
    REQUIRE(pages > 20);
    std::size_t found = 0, harmless = 0, most_retries_lost = 0, most_letters_lost = 0;
    for (std::size_t number = 0; number < pages; ++number) {
        // Header, cell pointers, cells at the end, checksum.
        for (const std::size_t offset : {number * 7 % 90, 110 + number * 13 % 300,
                                         page - 100 - number % 50, page - 1 - number % 8}) {
            INFO("page " << number + 1 << " offset " << offset);
            const support::TempDir dir;
            std::string bytes = file;
            bytes[number * page + offset] =
                static_cast<char>(bytes[number * page + offset] ^ (1 << (offset % 8)));
            dir.write("state.db", bytes);
            const Outcome outcome = check_start(dir);
            ++(outcome.set_aside ? found : harmless);
            most_retries_lost = std::max(most_retries_lost, many - outcome.retries);
            most_letters_lost = std::max(most_letters_lost, many / 5 + 1 - outcome.letters);
        }
    }
    CHECK(found > 15 * 4);
    CHECK(harmless % 4 == 0);      // free pages only
    CHECK(most_retries_lost > 0);  // the test reaches what it is about
    CHECK(most_letters_lost > 0);
}

/// In parts, so that each ends in time when every byte is taken.
TEMPLATE_TEST_CASE_SIG("every byte of a small file may flip", "", ((std::size_t part), part), 1, 2, 3, 4, 5, 6, 7, 8,
                       9, 10, 11, 12, 13, 14, 15, 16)
{
    const std::string file = filled_file(few);
    // Without EVENTYARD_LONG one byte of so many: it meets another place of each page.
    const std::size_t step = std::getenv("EVENTYARD_LONG") != nullptr ? long_step : 601;
    const support::TempDir dir;
    std::size_t found = 0;
    for (std::size_t at = (part - 1) * file.size() / 16; at < part * file.size() / 16; at += step) {
        INFO("page " << at / page + 1 << " offset " << at % page);
        std::string bytes = file;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
        dir.write("state.db", bytes);
        if (check_start(dir, few).set_aside) ++found;
        for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
            std::filesystem::remove_all(entry.path());
    }
    CHECK(found > 0);
}

TEST_CASE("every byte of the first page may flip")
{
    const std::string file = filled_file();
    const support::TempDir dir;
    for (std::size_t offset = 0; offset < page; offset += offset < 100 ? 3 : 499) {
        INFO("offset " << offset);
        std::string bytes = file;
        bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
        dir.write("state.db", bytes);
        const Outcome outcome = check_start(dir);
        CHECK(outcome.set_aside);
        // Page 1 only leads to the tables: all of them are found without it.
        CHECK(outcome.retries == many);
        CHECK(outcome.letters == many / 5 + 1);
        std::filesystem::remove_all(dir.path());
        std::filesystem::create_directory(dir.path());
    }
}

TEST_CASE("a file cut at any page or sector is set aside and read as far as it goes")
{
    const std::string file = filled_file();
    for (std::size_t size = 0; size < file.size(); size += size < page ? 512 : page / 2) {
        INFO("size " << size);
        const support::TempDir dir;
        dir.write("state.db", file.substr(0, size));
        CHECK(check_start(dir).set_aside);
    }
    const support::TempDir dir;
    dir.write("state.db", file + std::string(page, 'x'));
    CHECK(check_start(dir).set_aside);
}

TEST_CASE("whole pages lost at once leave what the others hold")
{
    const std::string file = filled_file();
    SeededRandom random{7};
    for (int round = 0; round < 40; ++round) {
        INFO("round " << round);
        std::string bytes = file;
        for (std::uint64_t n = 1 + random.next() % 8; n > 0; --n) {
            const std::size_t at = random.next() % (file.size() / page) * page;
            const std::string junk(page, round % 2 == 0 ? '\0' : 'j');
            bytes.replace(at, page,
                          round % 3 == 0
                              ? file.substr(random.next() % (file.size() / page) * page, page)
                              : junk);
        }
        const support::TempDir dir;
        dir.write("state.db", bytes);
        check_start(dir);
    }
}

TEST_CASE("after salvage the state goes on, and a second start finds nothing wrong")
{
    std::string bytes = filled_file();
    bytes[5 * page + 1000] = static_cast<char>(bytes[5 * page + 1000] ^ 1);
    const support::TempDir dir;
    dir.write("state.db", bytes);
    {
        const auto state = open_state(dir.file("state.db"));
        CHECK(state->report().set_aside);
        CHECK(state->report().moved_to.find("state.db.damaged-") != std::string::npos);
        CHECK(state->bind_store(id_of(3)).has_value());
        REQUIRE(put(*state, {CursorMoved{"a", 1100, {}}, dead("a", {20'000, 0})}).has_value());
    }
    const auto state = open_state(dir.file("state.db"));
    CHECK_FALSE(state->report().set_aside);
    CHECK(position(state->snapshot(), "a")->cursor == 1100);
    CHECK(position(state->snapshot(), "a")->trusted);
}

// A bug once, found by the simulator: a page of rows rotted while nothing else needed it, so they were read in vain for
// ever, and nobody was told.
TEST_CASE("a page that rots while the state runs is told of when it is read, and until a start has saved the others")
{
    const support::TempDir dir;
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(id_of(3)).has_value());
        REQUIRE(put(*state, {TargetKnown{"a", "webhook", 0}, TargetKnown{"b", "file", 0}}).has_value());
        for (Sequence n = 1; n <= 20; ++n)  // more than SQLite keeps in memory
            REQUIRE(put(*state, {dead("a", {n, 0}, std::string(1U << 20, 'x'))}).has_value());
    }
    // True: each letter can be read, or is gone.
    const auto read_letters = [](State& state) {
        bool intact = true;
        for (std::int64_t id = 1; id <= 20; ++id) {
            const auto letter = wait<DeadLetter>([&](auto done) { state.dead_letter(id, [done](auto one, const auto&) { done(one); }); });
            intact = intact && (letter.has_value() || letter.error().code != Errc::corrupt);
        }
        return intact;
    };
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(id_of(3)).has_value());
        std::string bytes = support::read_text(dir.file("state.db"));
        for (std::size_t at = 30 * page; at < bytes.size(); at += page) bytes[at] = static_cast<char>(bytes[at] ^ 1);
        std::fstream{dir.file("state.db"), std::ios::in | std::ios::out | std::ios::binary} << bytes;
        CHECK_FALSE(state->stats().damaged);
        CHECK_FALSE(read_letters(*state));
        CHECK(state->stats().damaged);
        CHECK_FALSE(state->stats().failing);
        REQUIRE(put(*state, {TargetPaused{"b", "429"}}).has_value());  // of an intact page
        CHECK(state->stats().damaged);
    }
    const auto state = open_state(dir.file("state.db"));
    CHECK(state->report().set_aside);
    CHECK_FALSE(state->stats().damaged);
    CHECK(read_letters(*state));
}

TEST_CASE("a missing state starts empty and says that cursors may be lost")
{
    const support::TempDir dir;
    open_state(dir.file("state.db"))->stop();
    std::filesystem::remove(dir.file("state.db"));
    dir.write("state.db-wal", "what another file left behind");
    const auto state = open_state(dir.file("state.db"));
    CHECK(state->report().created);
    CHECK(state->report().cursors_lost);
    CHECK(state->snapshot().targets.empty());
    state->stop();
    CHECK(open_state(dir.file("state.db"))->report().cursors_lost);  // nobody has named targets yet
}

TEST_CASE("an older state gives its older rows, whole")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {CursorMoved{"a", 10, {}}, retrying("a", {5, 0}, 1)}).has_value());
    state->stop();
    const std::string older = support::read_text(dir.file("state.db"));
    state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {CursorMoved{"a", 90, {}}, ended("a", {5, 0})}).has_value());
    state->stop();
    dir.write("state.db", older);
    state = open_state(dir.file("state.db"));
    CHECK_FALSE(state->report().set_aside);
    CHECK(position(state->snapshot(), "a")->cursor == 10);
    CHECK(due(*state, "a", 10).size() == 1);
}

// What a log leaves that lost its end to rot after that had been merged.
TEST_CASE("a file of which each page is intact, but not of the same age, stops no start")
{
    const support::TempDir dir;
    const std::string path = dir.file("state.db");
    const auto add = [&](Sequence first, Sequence last) {
        auto state = open_state(path);
        std::vector<Change> changes;
        for (Sequence n = first; n <= last; ++n) {
            changes.push_back(retrying("a", {n, 0}, static_cast<std::int64_t>(n)));
            changes.push_back(dead(n % 2 == 0 ? "a" : "b", {n, 1}, std::string(200, 'b')));
            if (n % 3 == 0 && n > 3) changes.push_back(ended("a", {n - 3, 0}));
            changes.push_back(CursorMoved{"a", n, {}});
        }
        REQUIRE(put(*state, std::move(changes)).has_value());
        state->stop();
        return support::read_text(path);
    };
    const std::string older = add(1, 300), newer = add(301, 700);
    REQUIRE(newer.size() > older.size());
    std::size_t set_aside = 0, pages = older.size() / state_page_size;
    for (std::size_t n = 0; n < pages; ++n) {
        INFO("page " << n + 1 << " is older");
        const support::TempDir mixed;
        mixed.write("state.db", std::string{newer}.replace(n * state_page_size, state_page_size, older, n * state_page_size,
                                                           state_page_size));
        const auto opened = open_or_salvage(posix_disk, mixed.file("state.db"), wall(1));
        REQUIRE(opened.has_value());
        CHECK(opened->store->snapshot().has_value());
        set_aside += opened->report.set_aside ? 1 : 0;
    }
    CHECK(set_aside > 0);
}

TEST_CASE("the state of another journal is set aside")
{
    const support::TempDir dir;
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(id_of(1)).has_value());
        REQUIRE(put(*state, {CursorMoved{"a", 10, {}}, dead("a", {1, 0})}).has_value());
    }
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(id_of(1)).has_value());
        CHECK_FALSE(state->report().set_aside);
        CHECK(state->snapshot().targets.size() == 1);
    }
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(id_of(2)).has_value());
        CHECK(state->report().set_aside);
        CHECK(state->report().cursors_lost);
        CHECK(state->report().lost_dead_letters == 1);
        CHECK(std::filesystem::exists(state->report().moved_to));
        CHECK(state->snapshot().targets.empty());
        CHECK(state->snapshot().store == id_of(2));
        REQUIRE(put(*state, {CursorMoved{"a", 3, {}}}).has_value());
    }
    const auto state = open_state(dir.file("state.db"));
    CHECK(state->snapshot().store == id_of(2));
    CHECK(position(state->snapshot(), "a")->cursor == 3);
}

TEST_CASE("a newer format is refused by name, and its file is left alone")
{
    const support::TempDir dir;
    open_state(dir.file("state.db"))->stop();
    std::string bytes = support::read_text(dir.file("state.db"));
    bytes[63] = 9;
    std::string first = bytes.substr(0, page);
    seal_page(first, 1);
    bytes.replace(0, page, first);
    dir.write("state.db", bytes);
    StateOptions options;
    options.path = dir.file("state.db");
    const auto opened = State::open(posix_disk, system_clock, options);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::unsupported);
    CHECK(opened.error().what.find("format 9") != std::string::npos);
    CHECK(support::read_text(dir.file("state.db")) == bytes);
}

TEST_CASE("a crash between setting aside and renaming loses nothing that was salvaged")
{
    const support::TempDir dir;
    dir.write("state.db.new", filled_file());  // complete, but not named yet
    CHECK_FALSE(check_start(dir).set_aside);
    const support::TempDir half;
    half.write("state.db.new", filled_file().substr(0, 3 * page));
    const auto opened = open_or_salvage(posix_disk, half.file("state.db"), wall(1));
    REQUIRE(opened.has_value());
    CHECK(opened->report.created);
}

}  // namespace

// A bug once: SQLite keeps its locks on the page at 1 GiB and never writes it, so it has no checksum.
TEST_CASE("a file beyond 1 GiB is no damage")
{
    const support::TempDir dir;
    const std::string path = dir.file("state.db");
    { const auto state = open_state(path); }
    {
        auto database = Database::open(path, SQLITE_OPEN_READWRITE, checksum_vfs());
        REQUIRE(database.has_value());
        for (const char* sql : {"PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "CREATE TABLE filler(x)",
                                "INSERT INTO filler VALUES(zeroblob(550000000))", "INSERT INTO filler VALUES(zeroblob(550000000))",
                                "DROP TABLE filler", "PRAGMA journal_mode=WAL"}) {
            CAPTURE(sql);
            REQUIRE(database->ask(sql).has_value());
        }
    }
    REQUIRE(std::filesystem::file_size(path) > 1U << 30);
    PosixDisk disk;
    const auto scan = scan_pages(disk, path);
    REQUIRE(scan.has_value());
    CHECK(scan->bad.empty());
    CHECK_FALSE(scan->cut);
    const auto state = open_state(path);
    CHECK_FALSE(state->report().set_aside);
}

}  // namespace eventyard::router
