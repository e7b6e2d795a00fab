// Batches, order over threads, crashes at any moment, a full disk, the bounds of the log.

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "router/state/checksum_vfs.hpp"
#include "router/state/inspect.hpp"
#include "router/state/rebind.hpp"
#include "router/state/salvage.hpp"
#include "router/state/schema.hpp"
#include "router/state/sqlite.hpp"
#include "router/state/store.hpp"
#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

using namespace std::chrono_literals;

TEST_CASE("changes of many submissions share a transaction")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 300ms;
    const auto state = open_state(dir.file("state.db"), options);
    for (Sequence n = 1; n <= 500; ++n)
        state->submit({ended("a", {n, 0}), CursorMoved{"a", n, {}}});
    CHECK(state->stats().settled_unsynced == 500);
    CHECK(state->stats().queued == 1000);
    REQUIRE(put(*state, {CursorMoved{"a", 501, {}}}).has_value());
    CHECK(state->stats().batches <= 3);
    CHECK(state->stats().changes == 1001);
    CHECK(state->stats().queued == 0);
    CHECK(state->stats().settled_unsynced == 0);
}

TEST_CASE("a full batch does not wait for the interval")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1h;
    options.batch_max = 100;
    const auto state = open_state(dir.file("state.db"), options);
    std::vector<Change> changes;
    for (Sequence n = 1; n <= 100; ++n) changes.push_back(ended("a", {n, 0}));
    REQUIRE(put(*state, std::move(changes)).has_value());
    CHECK(state->stats().batches == 1);
}

TEST_CASE("what a delivery waits for is committed at once")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1h;
    const auto state = open_state(dir.file("state.db"), options);
    for (std::uint64_t n = 1; n <= 3; ++n) {
        std::promise<bool> durable;
        state->submit({ended("a", {n, 0})}, [&](const Result<void>& done) { durable.set_value(done.has_value()); });
        state->hasten();
        CHECK(durable.get_future().get());
        CHECK(state->stats().batches == n);
    }
    state->hasten();  // nothing waits
    CHECK(due(*state, "a", 10).empty());
    CHECK(state->stats().batches == 3);
}

TEST_CASE("a read sees what its thread submitted before, and does not end the batch")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1h;
    const auto state = open_state(dir.file("state.db"), options);
    state->submit({retrying("a", {1, 0}, 5), dead("b", {2, 0}), ended("b", {3, 0})});
    CHECK(due(*state, "a", 10).size() == 1);
    CHECK(letters(*state).size() == 1);
    CHECK(row_of(ledger(*state), "rule", "b")->ended.at(Ending::delivered) == 1);
    CHECK(state->stats().batches == 0);
    CHECK(needed(*state, {{1, 9, 0}}).ranges[0].retries == 1);  // waits for the fsync
    CHECK(state->stats().batches == 1);
}

// A bug once, found by the simulator: SQLite takes a transaction back when the disk fails a read in the middle of it.
// What was applied then was stored at once, each on its own, and again when the batch was tried again.
TEST_CASE("of a transaction that SQLite has taken back nothing is stored, until it is tried again")
{
    const support::TempDir dir;
    auto opened = open_or_salvage(posix_disk, dir.file("state.db"), wall(0));
    REQUIRE(opened.has_value());
    Store& store = *opened->store;
    const auto counted = [&store] {
        std::uint64_t n = 0;
        for (const LedgerRow& row : store.ledger().value())
            for (const auto& [ending, count] : row.ended) n += count;
        return n;
    };
    REQUIRE(store.begin().has_value());
    REQUIRE(store.apply(ended("a", {1, 0})).has_value());
    REQUIRE(store.check_open().has_value());
    REQUIRE(store.database().run("ROLLBACK").has_value());  // as SQLite does
    CHECK_FALSE(store.check_open().has_value());
    SECTION("at the next change") { CHECK_FALSE(store.apply(retrying("a", {2, 0}, 5)).has_value()); }
    SECTION("at the end") { CHECK_FALSE(store.commit().has_value()); }
    store.rollback();
    CHECK(counted() == 0);
    CHECK(store.next_retries("a", WallTime::min(), {}, 10).value().empty());
    REQUIRE(store.begin().has_value());
    REQUIRE(store.apply(ended("a", {1, 0})).has_value());
    REQUIRE(store.commit().has_value());
    CHECK(counted() == 1);
}

TEST_CASE("changes of one thread keep their order whatever the others do")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1ms;
    options.batch_max = 50;
    auto state = open_state(dir.file("state.db"), options);
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            const std::string name = "t" + std::to_string(t);
            for (Sequence n = 1; n <= 300; ++n) {
                state->submit({CursorMoved{name, n, {}}, retrying(name, {n, 0}, 1)},
                              [&](const Result<void>& done) {
                                  if (done.has_value()) ++calls;
                              });
                if (n % 50 == 0) CHECK_NOTHROW(due(*state, name, 10));
                state->submit({ended(name, {n, 0})});
            }
        });
    for (auto& thread : threads) thread.join();
    state->stop();
    CHECK(calls == 1200);
    state = open_state(dir.file("state.db"));
    for (int t = 0; t < 4; ++t) {
        const auto* target = position(state->snapshot(), "t" + std::to_string(t));
        CHECK(target->cursor == 300);
        CHECK(target->retries == 0);
        CHECK(
            row_of(state->snapshot().ledger, "rule", target->target)->ended.at(Ending::delivered) ==
            300);
    }
}

TEST_CASE("after stop nothing is taken and everybody is answered")
{
    const support::TempDir dir;
    const auto state = open_state(dir.file("state.db"));
    state->submit({ended("a", {1, 0})});
    state->stop();
    CHECK(state->stats().queued == 0);
    CHECK_FALSE(std::filesystem::exists(dir.file("state.db-wal")));
    const auto refused = put(*state, {ended("a", {2, 0})});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::cancelled);
    const auto rows =
        wait<std::vector<RetryRow>>([&](auto done) { state->due_retries("a", wall(1), 1, done); });
    REQUIRE_FALSE(rows.has_value());
    CHECK(rows.error().code == Errc::cancelled);
}

/// Ten batches, each moving the cursor by one past one retry; checkpointed after the fourth.
struct Run {
    std::string db, wal;
};

Run run_without_end(const support::TempDir& dir)
{
    auto opened = open_or_salvage(posix_disk, dir.file("state.db"), wall(1));
    REQUIRE(opened.has_value());
    Store& store = *opened->store;
    for (Sequence n = 1; n <= 10; ++n) {
        REQUIRE(store.begin().has_value());
        for (std::uint32_t route = 0; route < 40; ++route)
            REQUIRE(
                store.apply(retrying("a", {n, route}, static_cast<std::int64_t>(n))).has_value());
        REQUIRE(store.apply(CursorMoved{"a", n, {}}).has_value());
        REQUIRE(store.commit().has_value());
        if (n == 4) REQUIRE(store.checkpoint(false).has_value());
    }
    return {support::read_text(dir.file("state.db")), support::read_text(dir.file("state.db-wal"))};
}

TEST_CASE("whatever of the log a crash leaves, the start finds whole batches")
{
    const support::TempDir dir;
    const Run run = run_without_end(dir);
    REQUIRE(run.wal.size() > 10 * 16384);
    std::set<Sequence> seen;
    SeededRandom random{11};
    std::vector<std::size_t> cuts;
    for (std::size_t at = 0; at <= run.wal.size(); at += at < 32 ? 32 : 24 + 16384)
        cuts.push_back(at);
    for (int i = 0; i < 20; ++i) cuts.push_back(random.next() % run.wal.size());
    cuts.push_back(run.wal.size());
    for (const std::size_t cut : cuts) {
        INFO("log cut at " << cut);
        const support::TempDir crashed;
        crashed.write("state.db", run.db);
        crashed.write("state.db-wal", run.wal.substr(0, cut));
        const auto opened = open_or_salvage(posix_disk, crashed.file("state.db"), wall(1));
        REQUIRE(opened.has_value());
        CHECK_FALSE(opened->report.set_aside);
        const auto snapshot = opened->store->snapshot();
        const auto* target = position(*snapshot, "a");
        REQUIRE(target != nullptr);
        CHECK(target->retries == 40 * target->cursor);
        CHECK(opened->store->due_retries("a", wall(100), 10'000)->size() == 40 * target->cursor);
        CHECK(target->cursor >= 4);
        seen.insert(target->cursor);
    }
    CHECK(*seen.begin() == 4);
    CHECK(*seen.rbegin() == 10);
}

namespace {

/// The real one, as long as it is only listened to.
class Watched final : public Disk {
public:
    bool fails = false;                 // syncs of the log do
    std::string written;                // of the log, before its sync
    std::vector<std::string> synced;    // what the log held then

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override
    {
        EVENTYARD_TRY(file, posix_disk.open(path, mode));
        if (!path.ends_with("-wal") || mode == OpenMode::read) return file;
        return std::unique_ptr<File>(std::make_unique<LogFile>(*this, std::move(file)));
    }
    Result<void> rename(const std::string& from, const std::string& to) override { return posix_disk.rename(from, to); }
    Result<void> unlink(const std::string& path) override { return posix_disk.unlink(path); }
    Result<void> sync_directory(const std::string& path) override { return posix_disk.sync_directory(path); }
    Result<void> make_directory(const std::string& path) override { return posix_disk.make_directory(path); }
    Result<std::vector<std::string>> list(const std::string& path) override { return posix_disk.list(path); }
    bool exists(const std::string& path) override { return posix_disk.exists(path); }
    Result<Space> space(const std::string& path) override { return posix_disk.space(path); }

private:
    class LogFile final : public File {
    public:
        LogFile(Watched& disk, std::unique_ptr<File> file) : disk_(disk), file_(std::move(file)) {}
        Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
        {
            CHECK(offset == disk_.written.size());
            for (const std::string_view piece : pieces) disk_.written += piece;
            return file_->write_at(offset, pieces);
        }
        Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
        {
            return file_->read_at(offset, size, out);
        }
        Result<void> sync_data() override
        {
            disk_.synced.push_back(std::exchange(disk_.written, {}));
            if (disk_.fails) return fail(Errc::io, "EIO");
            return file_->sync_data();
        }
        Result<void> sync_all() override { return sync_data(); }
        Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
        Result<std::uint64_t> size() override { return file_->size(); }

    private:
        Watched& disk_;
        std::unique_ptr<File> file_;
    };
};

}  // namespace

// The kernel tells of a failed sync once and drops the pages: what the next process syncs is not what it reads.
TEST_CASE("a start writes the log again before it believes it")
{
    const support::TempDir dir;
    const Run run = run_without_end(dir);
    const support::TempDir crashed;
    crashed.write("state.db", run.db);
    crashed.write("state.db-wal", run.wal);
    Watched disk;
    disk.fails = true;
    const auto refused = open_or_salvage(disk, crashed.file("state.db"), wall(1));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::io);
    CHECK(support::read_text(crashed.file("state.db")) == run.db);
    CHECK(support::read_text(crashed.file("state.db-wal")) == run.wal);
    disk.fails = false;
    const auto opened = open_or_salvage(disk, crashed.file("state.db"), wall(1));
    REQUIRE(opened.has_value());
    CHECK(position(*opened->store->snapshot(), "a")->cursor == 10);
    REQUIRE(disk.synced.size() >= 2);  // and again at each try
    for (const std::string& log : disk.synced) CHECK(log == run.wal);
}

TEST_CASE("flips in the log take back whole batches only")
{
    const support::TempDir dir;
    const Run run = run_without_end(dir);
    SeededRandom random{5};
    for (int i = 0; i < 60; ++i) {
        std::string bytes = run.wal;
        const std::size_t at = i < 32 ? static_cast<std::size_t>(i) : random.next() % bytes.size();
        INFO("flip at " << at);
        bytes[at] = static_cast<char>(bytes[at] ^ 4);
        const support::TempDir crashed;
        crashed.write("state.db", run.db);
        crashed.write("state.db-wal", bytes);
        const auto opened = open_or_salvage(posix_disk, crashed.file("state.db"), wall(1));
        REQUIRE(opened.has_value());
        const auto snapshot = opened->store->snapshot();
        const auto* target = position(*snapshot, "a");
        REQUIRE(target != nullptr);
        CHECK(target->retries == 40 * target->cursor);
        CHECK((target->cursor >= 4 && target->cursor <= 10));
    }
}

/// No file of this process grows beyond `bytes` meanwhile: the log finds no room, as on a full disk.
class FileLimit {
public:
    explicit FileLimit(std::uintmax_t bytes)
    {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit tight{static_cast<rlim_t>(bytes), before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &tight);
    }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

TEST_CASE("a log that cannot grow is merged, and its room used again")
{
    const support::TempDir dir;
    const auto state = open_state(dir.file("state.db"));
    Sequence n = 0;
    while (state->stats().wal_bytes < (512U << 10)) REQUIRE(put(*state, {CursorMoved{"a", ++n, {}}}).has_value());
    const FileLimit full{std::filesystem::file_size(dir.file("state.db-wal"))};
    std::atomic<int> durable{0};
    for (int i = 0; i < 20; ++i) {
        state->submit({CursorMoved{"a", ++n, {}}}, [&durable](const Result<void>& result) { durable += result.has_value() ? 1 : 0; });
        std::this_thread::sleep_for(50ms);
    }
    for (int i = 0; i < 100 && durable < 20; ++i) std::this_thread::sleep_for(20ms);
    CHECK(durable == 20);
}

TEST_CASE("a full disk keeps the changes, says so, and they are durable once there is room")
{
    const support::TempDir dir;
    auto opened = open_or_salvage(posix_disk, dir.file("state.db"), wall(1));
    REQUIRE(opened.has_value());
    Store& store = *opened->store;
    const std::string pages = *store.database().ask("PRAGMA page_count");
    REQUIRE(store.database().ask(("PRAGMA max_page_count=" + pages).c_str()).has_value());
    REQUIRE(store.begin().has_value());
    REQUIRE(store.apply(TargetKnown{"a", "file", 5}).has_value());
    REQUIRE(store.commit().has_value());

    REQUIRE(store.begin().has_value());
    REQUIRE(store.apply(CursorMoved{"a", 50, {}}).has_value());
    REQUIRE(store.apply(IdleThrough{0, 70}).has_value());
    REQUIRE(store.apply(Received{"default", "shop", 1, 0, 0, 1, 0}).has_value());
    const auto full = store.apply(dead("a", {1, 0}, std::string(200'000, 'x')));
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().code == Errc::no_space);
    store.rollback();
    // Nothing of the batch is left, neither in the file nor in memory.
    CHECK(store.needed({})->cursors == std::vector<std::pair<std::string, Sequence>>{{"a", 5}});
    CHECK(store.dead_letters({})->letters.empty());
    CHECK(store.event_totals()->empty());

    REQUIRE(store.database().ask("PRAGMA max_page_count=1000000").has_value());
    REQUIRE(store.begin().has_value());
    REQUIRE(store.apply(CursorMoved{"a", 50, {}}).has_value());
    REQUIRE(store.apply(dead("a", {1, 0}, std::string(200'000, 'x'))).has_value());
    REQUIRE(store.commit().has_value());
    CHECK(store.needed({})->cursors[0].second == 50);
    CHECK(store.dead_letters({})->letters.size() == 1);
}

TEST_CASE("while the file cannot be written the state fails loudly, drops nothing, and recovers")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 5ms;
    auto state = open_state(dir.file("state.db"), options);
    REQUIRE(put(*state, {TargetKnown{"a", "file", 1}}).has_value());
    {
        // Another connection that holds the write lock stands for a disk that refuses.
        auto other = Database::open(dir.file("state.db"), SQLITE_OPEN_READWRITE, nullptr);
        REQUIRE(other.has_value());
        REQUIRE(other->run("BEGIN IMMEDIATE").has_value());
        std::promise<Result<void>> durable;
        state->submit({CursorMoved{"a", 9, {}}, retrying("a", {10, 0}, 1)},
                      [&](Result<void> done) { durable.set_value(std::move(done)); });
        while (!state->stats().failing) std::this_thread::sleep_for(1ms);
        CHECK(state->stats().queued == 2);
        CHECK(needed(*state).cursors[0].second == 1);  // only what is durable
        CHECK(due(*state, "a", 100).empty());
        REQUIRE(other->run("ROLLBACK").has_value());
        CHECK(durable.get_future().get().has_value());
    }
    CHECK_FALSE(state->stats().failing);
    CHECK(needed(*state).cursors[0].second == 9);
    CHECK(due(*state, "a", 100).size() == 1);
}

TEST_CASE("the log is merged when it grows, and one that cannot be is an alert")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1ms;
    options.wal_max = 1U << 20;
    const auto state = open_state(dir.file("state.db"), options);
    const auto grow = [&] {
        for (int i = 0; i < 30; ++i)
            REQUIRE(
                put(*state, {dead("a", {static_cast<Sequence>(i), 0}, std::string(100'000, 'x')),
                             DeadLetterDiscarded{0}})
                    .has_value());
    };
    grow();
    needed(*state);
    CHECK(std::filesystem::file_size(dir.file("state.db-wal")) < 3U << 20);
    CHECK_FALSE(state->stats().wal_over);
    {
        auto reader = Database::open(dir.file("state.db"), SQLITE_OPEN_READONLY, nullptr);
        REQUIRE(reader.has_value());
        REQUIRE(reader->run("BEGIN").has_value());
        REQUIRE(reader->ask("SELECT count(*) FROM retry").has_value());
        for (Sequence n = 100; n < 130; ++n)
            REQUIRE(put(*state, {dead("a", {n, 0}, std::string(100'000, 'x'))}).has_value());
        REQUIRE(put(*state, {ended("a", {1, 1})}).has_value());
        CHECK(state->stats().wal_over);
    }
    REQUIRE(put(*state, {ended("a", {1, 2})}).has_value());
    REQUIRE(put(*state, {ended("a", {1, 3})}).has_value());
    CHECK_FALSE(state->stats().wal_over);
}

TEST_CASE("an exported copy opens as an ordinary database while the state goes on")
{
    const support::TempDir dir;
    StateOptions options;
    options.batch_interval = 1ms;
    const auto state = open_state(dir.file("state.db"), options);
    for (Sequence n = 1; n <= 40; ++n)
        state->submit({dead("a", {n, 0}, std::string(100'000, 'x'))});
    std::promise<Result<void>> done;
    state->export_copy(dir.file("copy.db"),
                       [&](Result<void> result) { done.set_value(std::move(result)); });
    for (Sequence n = 41; n <= 60; ++n) REQUIRE(put(*state, {dead("a", {n, 0}, "{}")}).has_value());
    REQUIRE(done.get_future().get().has_value());
    auto copy = Database::open(dir.file("copy.db"), SQLITE_OPEN_READONLY, nullptr);
    REQUIRE(copy.has_value());
    CHECK(*copy->ask("PRAGMA integrity_check") == "ok");
    CHECK(std::stoi(*copy->ask("SELECT count(*) FROM dead_letter")) >= 40);
    CHECK_FALSE(std::filesystem::exists(dir.file("copy.db-wal")));
    CHECK_FALSE(std::filesystem::exists(dir.file("copy.db.part")));
    const auto again =
        wait<void>([&](auto answer) { state->export_copy(dir.file("copy.db"), answer); });
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == Errc::conflict);
}

TEST_CASE("an exported copy can take the place of the state, and be given to another store")
{
    const support::TempDir dir;
    PosixDisk disk;
    const SystemClock clock;
    Id first, second;
    first.bytes.fill(1);
    second.bytes.fill(2);
    {
        const auto state = open_state(dir.file("state.db"));
        REQUIRE(state->bind_store(first).has_value());
        for (Sequence n = 1; n <= 9; ++n) REQUIRE(put(*state, {dead("a", {n, 0}, std::string(50'000, 'x'))}).has_value());
        REQUIRE(put(*state, {JournalMarked{70, 60}}).has_value());
        REQUIRE(wait<void>([&](auto answer) { state->export_copy(dir.file("copy.db"), answer); }).has_value());
    }
    const auto scan = scan_pages(disk, dir.file("copy.db"));
    REQUIRE(scan.has_value());
    CHECK(scan->bad.empty());
    auto marks = inspect_state(disk, dir.file("copy.db"));
    REQUIRE(marks.has_value());
    CHECK(marks->format == state_format);
    CHECK(marks->store == first);
    CHECK(marks->reserved == 70);
    CHECK(marks->synced == 60);
    REQUIRE(rebind_state(disk, clock, dir.file("copy.db"), second).has_value());
    CHECK(inspect_state(disk, dir.file("copy.db"))->store == second);
    const auto state = open_state(dir.file("copy.db"));
    CHECK_FALSE(state->report().set_aside);
    CHECK(state->snapshot().store == second);
    REQUIRE(state->snapshot().targets.size() == 1);
    CHECK(state->snapshot().targets[0].dead_letters == 9);
    CHECK_FALSE(rebind_state(disk, clock, dir.file("none.db"), second).has_value());
}

TEST_CASE("a hundred thousand retries are read by windows through the index")
{
    const support::TempDir dir;
    const auto state = open_state(dir.file("state.db"));
    std::vector<Change> changes;
    for (Sequence n = 1; n <= 100'000; ++n) {
        changes.push_back(
            retrying(n % 10 == 0 ? "b" : "a", {n, 0}, static_cast<std::int64_t>(n * 7919 % 1000)));
        if (changes.size() == 5000) state->submit(std::exchange(changes, {}));
    }
    REQUIRE(put(*state, {}).has_value());
    WallTime after_due{};
    DeliveryKey after{};
    std::size_t count = 0;
    for (;;) {
        const auto window = wait<std::vector<RetryRow>>(
            [&](auto done) { state->next_retries("b", after_due, after, 1024, done); });
        REQUIRE(window.has_value());
        if (window->empty()) break;
        for (const RetryRow& row : *window) {
            REQUIRE(std::pair(row.due, row.key) > std::pair(after_due, after));
            after_due = row.due;
            after = row.key;
        }
        count += window->size();
    }
    CHECK(count == 10'000);
    auto reader = Database::open(dir.file("state.db"), SQLITE_OPEN_READONLY, nullptr);
    auto plan = Statement::prepare(
        *reader,
        "EXPLAIN QUERY PLAN SELECT seq, rule FROM retry INDEXED BY retry_due"
        " WHERE target=1 AND (due, seq, route) > (1,2,3) ORDER BY due, seq, route LIMIT 5");
    REQUIRE(plan.has_value());
    std::string text;
    while (*plan->step()) text += plan->text(3) + "\n";
    CHECK(text.find("INDEX retry_due (target=? AND ") != std::string::npos);
    INFO(text);
    CHECK(text.find("TEMP B-TREE") == std::string::npos);
}

}  // namespace
}  // namespace eventyard::router
