// The journal alone, beside what else could keep accepted events: SQLite, RocksDB, and a bare loop of writev and
// fdatasync on a file written before (the floor). Each takes the same batches of the same events and syncs each
// batch before the next. Sides alternate in rounds. Prints one JSON object a batch size.
//
//     bench_journal DIRECTORY [--rounds N] [--megabytes N] [--bytes N] [BATCH...]
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifdef EVENTYARD_BENCH_ROCKSDB
#include <rocksdb/db.h>
#endif

#include <nlohmann/json.hpp>

#include "core/disk.hpp"
#include "core/ids.hpp"
#include "router/journal/log.hpp"

using namespace eventyard;

namespace {

namespace fs = std::filesystem;

/// Takes batches of events; every call returns once they are on disk.
class Side {
public:
    virtual ~Side() = default;
    virtual void commit(const std::vector<std::string>& events) = 0;
};

void demand(bool good, const char* what)
{
    if (!good) throw std::runtime_error(what);
}

class Bare final : public Side {
public:
    explicit Bare(const std::string& directory)
    {
        const std::string path = directory + "/bare";
        file_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0640);
        demand(file_ >= 0, "cannot make a file");
        const std::string zeros(1U << 20, '\0');
        for (std::uint64_t at = 0; at < size; at += zeros.size())
            demand(::pwrite(file_, zeros.data(), zeros.size(), static_cast<off_t>(at)) > 0, "cannot write");
        demand(::fsync(file_) == 0, "cannot sync");
    }
    ~Bare() override { ::close(file_); }
    Bare(const Bare&) = delete;
    Bare& operator=(const Bare&) = delete;

    void commit(const std::vector<std::string>& events) override
    {
        pieces_.clear();
        std::uint64_t bytes = 0;
        for (const std::string& event : events) {
            pieces_.push_back({const_cast<char*>(event.data()), event.size()});
            bytes += event.size();
        }
        if (at_ + bytes > size) at_ = 0;
        demand(::pwritev(file_, pieces_.data(), static_cast<int>(pieces_.size()), static_cast<off_t>(at_)) ==
                   static_cast<ssize_t>(bytes), "a short write");
        demand(::fdatasync(file_) == 0, "cannot sync");
        at_ += bytes;
    }

private:
    static constexpr std::uint64_t size = 64U << 20;
    int file_ = -1;
    std::uint64_t at_ = 0;
    std::vector<iovec> pieces_;
};

/// As the daemon runs it: this thread commits, another one seals full segments and keeps spare ones ready, from those that
/// were delivered meanwhile. The bare file and SQLite's log begin again at their start as well.
class Ours final : public Side {
public:
    explicit Ours(const std::string& directory)
    {
        router::JournalOptions options;
        options.directory = directory + "/journal";
        options.min_free = 1;
        auto opened = router::Log::open(disk_, clock_, random_, options, {});
        demand(opened.has_value(), "the journal does not open");
        log_ = std::move(*opened);
        router::RoutingVersion version;
        version.buses = {"default"};
        version.routes = {{"paid", "out", {}, "", {}, {}}};
        auto stored = log_->versions().store_version(version);
        demand(stored.has_value(), "no routing version");
        version_ = *stored;
        log_->on_chores([this] { wake(); });
        // Enough for the keeper to make files ahead, and on to one: the bare file is written before it is measured, too.
        commit(std::vector<std::string>(10'000, std::string(1024, 'x')));
        log_->chores(log_->room());
        units_.clear();
        keeper_ = std::thread([this] { keep(); });
    }
    ~Ours() override
    {
        {
            const std::lock_guard lock{mutex_};
            stop_ = true;
        }
        woken_.notify_one();
        keeper_.join();
    }
    Ours(const Ours&) = delete;
    Ours& operator=(const Ours&) = delete;

    void commit(const std::vector<std::string>& events) override
    {
        if (units_.empty()) units_.push_back(made_of(events));  // the same each time, as for the other sides
        demand(log_->commit(units_).has_value(), "a commit failed");
    }

private:
    router::CommitUnit made_of(const std::vector<std::string>& events)
    {
        router::CommitUnit unit;
        for (const std::string& body : events) {
            auto event = std::make_shared<router::StoredEvent>();
            event->event.received = clock_.wall();
            event->event.id = new_event_id(event->event.received, random_);
            event->event.bus = "default";
            event->event.body = body;
            event->version = version_;
            event->routes = {0};
            unit.events.push_back(std::move(event));
        }
        return unit;
    }
    void wake()
    {
        {
            const std::lock_guard lock{mutex_};
            wanted_ = true;
        }
        woken_.notify_one();
    }
    void keep()
    {
        std::unique_lock lock{mutex_};
        while (!stop_) {
            woken_.wait(lock, [this] { return wanted_ || stop_; });
            wanted_ = false;
            lock.unlock();
            log_->chores(log_->room());
            std::vector<std::string> delivered;
            for (const router::SegmentInfo& segment : log_->segments().infos()) delivered.push_back(segment.name);
            if (!delivered.empty()) delivered.pop_back();
            log_->keeper().release(delivered);
            lock.lock();
        }
    }

    PosixDisk disk_;
    SystemClock clock_;
    SystemRandom random_;
    std::unique_ptr<router::Log> log_;
    router::RoutingVersionPtr version_;
    std::vector<router::CommitUnit> units_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool wanted_ = false, stop_ = false;
    std::thread keeper_;
};

/// A row an event, a transaction a batch, as one would set it up for this: WAL, synchronous=FULL, statements prepared.
class Sqlite final : public Side {
public:
    explicit Sqlite(const std::string& directory)
    {
        demand(sqlite3_open((directory + "/sqlite.db").c_str(), &db_) == SQLITE_OK, "SQLite does not open");
        run("PRAGMA journal_mode=WAL");
        run("PRAGMA synchronous=FULL");
        run("CREATE TABLE event(sequence INTEGER PRIMARY KEY, body BLOB)");
        demand(sqlite3_prepare_v2(db_, "INSERT INTO event(body) VALUES(?)", -1, &insert_, nullptr) == SQLITE_OK, "no insert");
    }
    ~Sqlite() override
    {
        sqlite3_finalize(insert_);
        sqlite3_close(db_);
    }
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;

    void commit(const std::vector<std::string>& events) override
    {
        run("BEGIN");
        for (const std::string& event : events) {
            sqlite3_bind_blob(insert_, 1, event.data(), static_cast<int>(event.size()), SQLITE_STATIC);
            demand(sqlite3_step(insert_) == SQLITE_DONE, "an insert failed");
            sqlite3_reset(insert_);
        }
        run("COMMIT");
    }

private:
    void run(const char* sql) { demand(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql); }
    sqlite3* db_ = nullptr;
    sqlite3_stmt* insert_ = nullptr;
};

#ifdef EVENTYARD_BENCH_ROCKSDB
class RocksDb final : public Side {
public:
    explicit RocksDb(const std::string& directory)
    {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.recycle_log_file_num = 4;
        rocksdb::DB* db = nullptr;
        demand(rocksdb::DB::Open(options, directory + "/rocksdb", &db).ok(), "RocksDB does not open");
        db_.reset(db);
        synced_.sync = true;
    }

    void commit(const std::vector<std::string>& events) override
    {
        rocksdb::WriteBatch batch;
        for (const std::string& event : events) {
            char key[8];
            for (int i = 0; i < 8; ++i) key[i] = static_cast<char>(next_ >> (56 - 8 * i));
            ++next_;
            demand(batch.Put({key, sizeof key}, event).ok(), "a put failed");
        }
        demand(db_->Write(synced_, &batch).ok(), "a write failed");
    }

private:
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::WriteOptions synced_;
    std::uint64_t next_ = 0;
};
#endif

double cpu_seconds()
{
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values.size() % 2 != 0 ? values[values.size() / 2] : (values[values.size() / 2 - 1] + values[values.size() / 2]) / 2;
}

struct Contender {
    std::string name;
    std::function<std::unique_ptr<Side>(const std::string&)> make;
    std::unique_ptr<Side> side{};
    std::vector<double> wall{}, cpu{};  // microseconds an event, a round
};

nlohmann::json compare(const std::string& directory, std::size_t batch, std::size_t event_bytes, std::size_t megabytes, int rounds)
{
    std::vector<Contender> contenders;
    contenders.push_back({"writev + fdatasync", [](const std::string& d) { return std::make_unique<Bare>(d); }});
    contenders.push_back({"eventyard", [](const std::string& d) { return std::make_unique<Ours>(d); }});
    contenders.push_back({"sqlite", [](const std::string& d) { return std::make_unique<Sqlite>(d); }});
#ifdef EVENTYARD_BENCH_ROCKSDB
    contenders.push_back({"rocksdb", [](const std::string& d) { return std::make_unique<RocksDb>(d); }});
#endif
    fs::create_directories(directory);
    for (Contender& contender : contenders) contender.side = contender.make(directory);

    std::vector<std::string> events(batch);
    for (std::size_t i = 0; i < batch; ++i) {
        events[i] = R"({"source":"shop.orders","detail-type":"OrderPaid","detail":{"n":)" + std::to_string(i) + R"(,"pad":")";
        events[i] += std::string(event_bytes - events[i].size() - 3, 'x') + "\"}}";
    }
    const std::size_t commits = std::max<std::size_t>(1, (megabytes << 20) / event_bytes / batch);
    for (int round = -1; round < rounds; ++round) {  // the first one is not counted
        for (Contender& contender : contenders) {
            const double cpu = cpu_seconds();
            const auto from = std::chrono::steady_clock::now();
            for (std::size_t i = 0; i < commits; ++i) contender.side->commit(events);
            const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
            if (round < 0) continue;
            contender.wall.push_back(wall / static_cast<double>(commits * batch) * 1e6);
            contender.cpu.push_back((cpu_seconds() - cpu) / static_cast<double>(commits * batch) * 1e6);
        }
    }
    nlohmann::json out{{"batch", batch}, {"event_bytes", event_bytes}, {"events_a_round", commits * batch}, {"rounds", rounds}};
    for (const Contender& contender : contenders)
        out["sides"].push_back({{"name", contender.name}, {"wall_us", median(contender.wall)}, {"cpu_us", median(contender.cpu)}});
    contenders.clear();
    fs::remove_all(directory);
    return out;
}

}  // namespace

int main(int argc, char** argv)
{
    std::string directory;
    std::vector<std::size_t> batches;
    int rounds = 5;
    std::size_t megabytes = 8, bytes = 1024;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto value = [&] { return i + 1 < argc ? std::strtoul(argv[++i], nullptr, 10) : 0; };
        if (argument == "--rounds") rounds = static_cast<int>(value());
        else if (argument == "--megabytes") megabytes = value();
        else if (argument == "--bytes") bytes = value();
        else if (directory.empty()) directory = argument;
        else batches.push_back(std::strtoul(argument.c_str(), nullptr, 10));
    }
    if (batches.empty()) batches = {1, 10, 100};
    if (directory.empty() || rounds < 1 || megabytes < 1 || bytes < 128 || std::count(batches.begin(), batches.end(), 0) > 0) {
        std::fprintf(stderr, "usage: bench_journal DIRECTORY [--rounds N] [--megabytes N] [--bytes N, from 128] [BATCH...]\n");
        return 2;
    }
    try {
        for (const std::size_t batch : batches)
            std::printf("%s\n", compare(directory + "/bench-journal", batch, bytes, megabytes, rounds).dump().c_str()), std::fflush(stdout);
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "bench_journal: %s\n", wrong.what());
        return 1;
    }
    return 0;
}
