#include "router/state/schema.hpp"

#include <iterator>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.hpp"
#include "router/state/checksum_vfs.hpp"

namespace eventyard::router {
namespace {

// Times and durations are nanoseconds, sequences and counts plain integers. Long columns come last,
// so that filters do not read the pages they spill to. Statements, not one script: the order fixes
// the root pages, see rebuilt_page_one().
constexpr const char* tables_6[] = {
    // One row. `unsure`: see StateReport::cursors_lost. `format`: a column
    // more tells the format when page 1 cannot, see salvage.cpp.
    "CREATE TABLE meta(id INTEGER PRIMARY KEY, store BLOB, reserved INTEGER, synced INTEGER,"
    " routed_through INTEGER, next_dead_letter INTEGER, unsure INTEGER, format INTEGER,"
    " counted_through INTEGER)",
    // `settled`: see rows.hpp. `shard`: NULL unless idle. `retries`, `dead_letters`: rows that
    // belong to it, so that a start need not count them and salvage knows what is missing; `held`,
    // `delayed`: of the retries. `rate_full`: see TargetRate. `drain`: see TargetDraining; while it is not 0,
    // `paused` has the reason of that, and the target is not paused.
    "CREATE TABLE target(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, cursor INTEGER,"
    " shard INTEGER, retries INTEGER, held INTEGER, delayed INTEGER, dead_letters INTEGER, trusted INTEGER,"
    " rate_full INTEGER, drain INTEGER, paused TEXT, settled BLOB)",
    // How far the idle targets of a shard have no work.
    "CREATE TABLE idle_mark(shard INTEGER PRIMARY KEY, through INTEGER)",
    // Clustered by sequence: segments ask whether anything in their range is still needed. `letter`: the
    // dead letter that keeps the body of a redriven delivery, 0: the journal does. What is held has the last
    // time there is as `due`. `routed_to`: the target its rule named, of a delivery moved from there; else ''.
    "CREATE TABLE retry(seq INTEGER, route INTEGER, target INTEGER, due INTEGER, delay INTEGER,"
    " attempts INTEGER, received INTEGER, event BLOB, rule TEXT, letter INTEGER, earlier INTEGER, expires INTEGER,"
    " order_key TEXT, routed_to TEXT, PRIMARY KEY(seq, route, target)) WITHOUT ROWID",
    "CREATE INDEX retry_due ON retry(target, due, seq, route)",
    // Failed attempts of deliveries that wait or are dead-lettered.
    "CREATE TABLE attempt(seq INTEGER, route INTEGER, target INTEGER, n INTEGER, at INTEGER,"
    " status INTEGER, latency INTEGER, cause TEXT, detail TEXT, response BLOB,"
    " PRIMARY KEY(seq, route, target, n)) WITHOUT ROWID",
    // `name`: the target's when it died, for salvage without the target's row. `grp`: of dead_group;
    // 0: redriven, its delivery is a retry again. `routed_to`: as of a retry. `input`: what its rule made of the body.
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, target INTEGER, seq INTEGER, route INTEGER,"
    " grp INTEGER, redrives INTEGER, name TEXT, rule TEXT, bus TEXT, forward_to TEXT, routed_to TEXT, event BLOB,"
    " delivery TEXT, format INTEGER, attempts INTEGER, received INTEGER, dead INTEGER, reason TEXT,"
    " cause TEXT, last_status INTEGER, last_detail TEXT, last_response BLOB, body BLOB, input TEXT)",
    "CREATE UNIQUE INDEX dead_letter_key ON dead_letter(seq, route, target)",
    "CREATE INDEX dead_letter_target ON dead_letter(target, id)",
    "CREATE INDEX dead_letter_forward ON dead_letter(forward_to, id) WHERE forward_to <> ''",
    "CREATE INDEX dead_letter_group ON dead_letter(grp, id)",
    // Counts of what dead_letter holds: a list by reason reads no letter but the newest of each.
    "CREATE TABLE dead_group(id INTEGER PRIMARY KEY, target INTEGER, cause TEXT, fingerprint TEXT,"
    " n INTEGER, bytes INTEGER, UNIQUE(target, cause, fingerprint))",
    // JSON, since nothing asks for its parts.
    "CREATE TABLE redrive(id INTEGER PRIMARY KEY, job TEXT)",
    // `what`: an Ending, or 100 routed, 101 replayed, 102 counted in the journal up to counted_through,
    // 103 moved in from other targets.
    "CREATE TABLE ledger(id INTEGER PRIMARY KEY, target TEXT, rule TEXT, what INTEGER, n INTEGER,"
    " UNIQUE(target, rule, what))",
    "CREATE TABLE event_total(id INTEGER PRIMARY KEY, bus TEXT, source TEXT, accepted INTEGER,"
    " duplicate INTEGER, refused INTEGER, matched INTEGER, unmatched INTEGER, UNIQUE(bus, source))",
    "CREATE INDEX retry_order ON retry(target, order_key, seq, route) WHERE order_key <> ''",
    // Keys of ordered targets, with the rows of retry that have it: those held, and others; `hold`: see KeyHeld.
    "CREATE TABLE parked(target INTEGER, order_key TEXT, held INTEGER, others INTEGER, hold INTEGER,"
    " PRIMARY KEY(target, order_key)) WITHOUT ROWID",
    // Keys of events that their buses take only once, see KeysKnown.
    "CREATE TABLE known(seq INTEGER PRIMARY KEY, bus TEXT, key BLOB, event BLOB, since INTEGER, until INTEGER)",
    "CREATE INDEX known_bus ON known(bus, seq)",
    "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1, 6, 0)",
};

// The former ones as released; never edited. Format 5 is 6 without `known`, 4 is 5 but for these.
constexpr const char* meta_5 = "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1, 5, 0)";
constexpr const char* dead_letter_4 =
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, target INTEGER, seq INTEGER, route INTEGER,"
    " grp INTEGER, redrives INTEGER, name TEXT, rule TEXT, bus TEXT, forward_to TEXT, routed_to TEXT, event BLOB,"
    " delivery TEXT, format INTEGER, attempts INTEGER, received INTEGER, dead INTEGER, reason TEXT,"
    " cause TEXT, last_status INTEGER, last_detail TEXT, last_response BLOB, body BLOB)";
constexpr const char* meta_4 = "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1, 4, 0)";

constexpr const char* tables_3[] = {
    // One row. `unsure`: see StateReport::cursors_lost. `format`: a column
    // more tells the format when page 1 cannot, see salvage.cpp.
    "CREATE TABLE meta(id INTEGER PRIMARY KEY, store BLOB, reserved INTEGER, synced INTEGER,"
    " routed_through INTEGER, next_dead_letter INTEGER, unsure INTEGER, format INTEGER,"
    " counted_through INTEGER)",
    // `settled`: see rows.hpp. `shard`: NULL unless idle. `retries`, `dead_letters`: rows that
    // belong to it, so that a start need not count them and salvage knows what is missing; `held`,
    // `delayed`: of the retries. `rate_full`: see TargetRate.
    "CREATE TABLE target(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, cursor INTEGER,"
    " shard INTEGER, retries INTEGER, held INTEGER, delayed INTEGER, dead_letters INTEGER, trusted INTEGER,"
    " rate_full INTEGER, paused TEXT, settled BLOB)",
    // How far the idle targets of a shard have no work.
    "CREATE TABLE idle_mark(shard INTEGER PRIMARY KEY, through INTEGER)",
    // Clustered by sequence: segments ask whether anything in their range is still needed. `letter`: the
    // dead letter that keeps the body of a redriven delivery, 0: the journal does. What is held has the last
    // time there is as `due`.
    "CREATE TABLE retry(seq INTEGER, route INTEGER, target INTEGER, due INTEGER, delay INTEGER,"
    " attempts INTEGER, received INTEGER, event BLOB, rule TEXT, letter INTEGER, earlier INTEGER, expires INTEGER,"
    " order_key TEXT, PRIMARY KEY(seq, route, target)) WITHOUT ROWID",
    "CREATE INDEX retry_due ON retry(target, due, seq, route)",
    // Failed attempts of deliveries that wait or are dead-lettered.
    "CREATE TABLE attempt(seq INTEGER, route INTEGER, target INTEGER, n INTEGER, at INTEGER,"
    " status INTEGER, latency INTEGER, cause TEXT, detail TEXT, response BLOB,"
    " PRIMARY KEY(seq, route, target, n)) WITHOUT ROWID",
    // `name`: the target's when it died, for salvage without the target's row. `grp`: of dead_group;
    // 0: redriven, its delivery is a retry again.
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, target INTEGER, seq INTEGER, route INTEGER,"
    " grp INTEGER, redrives INTEGER, name TEXT, rule TEXT, bus TEXT, forward_to TEXT, event BLOB,"
    " delivery TEXT, format INTEGER, attempts INTEGER, received INTEGER, dead INTEGER, reason TEXT,"
    " cause TEXT, last_status INTEGER, last_detail TEXT, last_response BLOB, body BLOB)",
    "CREATE UNIQUE INDEX dead_letter_key ON dead_letter(seq, route, target)",
    "CREATE INDEX dead_letter_target ON dead_letter(target, id)",
    "CREATE INDEX dead_letter_forward ON dead_letter(forward_to, id) WHERE forward_to <> ''",
    "CREATE INDEX dead_letter_group ON dead_letter(grp, id)",
    // Counts of what dead_letter holds: a list by reason reads no letter but the newest of each.
    "CREATE TABLE dead_group(id INTEGER PRIMARY KEY, target INTEGER, cause TEXT, fingerprint TEXT,"
    " n INTEGER, bytes INTEGER, UNIQUE(target, cause, fingerprint))",
    // JSON, since nothing asks for its parts.
    "CREATE TABLE redrive(id INTEGER PRIMARY KEY, job TEXT)",
    // `what`: an Ending, or 100 routed, 101 replayed, 102 counted in the journal up to counted_through.
    "CREATE TABLE ledger(id INTEGER PRIMARY KEY, target TEXT, rule TEXT, what INTEGER, n INTEGER,"
    " UNIQUE(target, rule, what))",
    "CREATE TABLE event_total(id INTEGER PRIMARY KEY, bus TEXT, source TEXT, accepted INTEGER,"
    " duplicate INTEGER, refused INTEGER, matched INTEGER, unmatched INTEGER, UNIQUE(bus, source))",
    "CREATE INDEX retry_order ON retry(target, order_key, seq, route) WHERE order_key <> ''",
    // Keys of ordered targets, with the rows of retry that have it: those held, and others; `hold`: see KeyHeld.
    "CREATE TABLE parked(target INTEGER, order_key TEXT, held INTEGER, others INTEGER, hold INTEGER,"
    " PRIMARY KEY(target, order_key)) WITHOUT ROWID",
    "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1, 3, 0)",
};

constexpr const char* tables_2[] = {
    // One row. `unsure`: see StateReport::cursors_lost. `format`: a column
    // more tells the format when page 1 cannot, see salvage.cpp.
    "CREATE TABLE meta(id INTEGER PRIMARY KEY, store BLOB, reserved INTEGER, synced INTEGER,"
    " routed_through INTEGER, next_dead_letter INTEGER, unsure INTEGER, format INTEGER,"
    " counted_through INTEGER)",
    // `settled`: see rows.hpp. `shard`: NULL unless idle. `retries`, `dead_letters`: rows that
    // belong to it, so that a start need not count them and salvage knows what is missing.
    "CREATE TABLE target(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, cursor INTEGER,"
    " shard INTEGER, retries INTEGER, dead_letters INTEGER, trusted INTEGER, paused TEXT, settled BLOB)",
    // How far the idle targets of a shard have no work.
    "CREATE TABLE idle_mark(shard INTEGER PRIMARY KEY, through INTEGER)",
    // Clustered by sequence: segments ask whether anything in their range is still needed. `letter`: the
    // dead letter that keeps the body of a redriven delivery, 0: the journal does.
    "CREATE TABLE retry(seq INTEGER, route INTEGER, target INTEGER, due INTEGER, delay INTEGER,"
    " attempts INTEGER, received INTEGER, event BLOB, rule TEXT, letter INTEGER, earlier INTEGER,"
    " PRIMARY KEY(seq, route, target)) WITHOUT ROWID",
    "CREATE INDEX retry_due ON retry(target, due, seq, route)",
    // Failed attempts of deliveries that wait or are dead-lettered.
    "CREATE TABLE attempt(seq INTEGER, route INTEGER, target INTEGER, n INTEGER, at INTEGER,"
    " status INTEGER, latency INTEGER, cause TEXT, detail TEXT, response BLOB,"
    " PRIMARY KEY(seq, route, target, n)) WITHOUT ROWID",
    // `name`: the target's when it died, for salvage without the target's row. `grp`: of dead_group;
    // 0: redriven, its delivery is a retry again.
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, target INTEGER, seq INTEGER, route INTEGER,"
    " grp INTEGER, redrives INTEGER, name TEXT, rule TEXT, bus TEXT, forward_to TEXT, event BLOB,"
    " delivery TEXT, format INTEGER, attempts INTEGER, received INTEGER, dead INTEGER, reason TEXT,"
    " cause TEXT, last_status INTEGER, last_detail TEXT, last_response BLOB, body BLOB)",
    "CREATE UNIQUE INDEX dead_letter_key ON dead_letter(seq, route, target)",
    "CREATE INDEX dead_letter_target ON dead_letter(target, id)",
    "CREATE INDEX dead_letter_forward ON dead_letter(forward_to, id) WHERE forward_to <> ''",
    "CREATE INDEX dead_letter_group ON dead_letter(grp, id)",
    // Counts of what dead_letter holds: a list by reason reads no letter but the newest of each.
    "CREATE TABLE dead_group(id INTEGER PRIMARY KEY, target INTEGER, cause TEXT, fingerprint TEXT,"
    " n INTEGER, bytes INTEGER, UNIQUE(target, cause, fingerprint))",
    // JSON, since nothing asks for its parts.
    "CREATE TABLE redrive(id INTEGER PRIMARY KEY, job TEXT)",
    // `what`: an Ending, or 100 routed, 101 replayed, 102 counted in the journal up to counted_through.
    "CREATE TABLE ledger(id INTEGER PRIMARY KEY, target TEXT, rule TEXT, what INTEGER, n INTEGER,"
    " UNIQUE(target, rule, what))",
    "CREATE TABLE event_total(id INTEGER PRIMARY KEY, bus TEXT, source TEXT, accepted INTEGER,"
    " duplicate INTEGER, refused INTEGER, matched INTEGER, unmatched INTEGER, UNIQUE(bus, source))",
    "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1, 2, 0)",
};

constexpr const char* tables_1[] = {
    // One row. `unsure`: see StateReport::cursors_lost.
    "CREATE TABLE meta(id INTEGER PRIMARY KEY, store BLOB, reserved INTEGER, synced INTEGER,"
    " routed_through INTEGER, next_dead_letter INTEGER, unsure INTEGER)",
    // `settled`: see rows.hpp. `shard`: NULL unless idle. `retries`, `dead_letters`: rows that
    // belong
    // to it, so that a start need not count them and salvage knows what is missing.
    "CREATE TABLE target(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, cursor "
    "INTEGER,"
    " shard INTEGER, retries INTEGER, dead_letters INTEGER, trusted INTEGER, paused TEXT, settled "
    "BLOB)",
    // How far the idle targets of a shard have no work.
    "CREATE TABLE idle_mark(shard INTEGER PRIMARY KEY, through INTEGER)",
    // Clustered by sequence: segments ask whether anything in their range is still needed.
    "CREATE TABLE retry(seq INTEGER, route INTEGER, target INTEGER, due INTEGER, delay INTEGER,"
    " attempts INTEGER, received INTEGER, event BLOB, rule TEXT, PRIMARY KEY(seq, route, target)) "
    "WITHOUT ROWID",
    "CREATE INDEX retry_due ON retry(target, due, seq, route)",
    // Failed attempts of deliveries that wait or are dead-lettered.
    "CREATE TABLE attempt(seq INTEGER, route INTEGER, target INTEGER, n INTEGER, at INTEGER,"
    " status INTEGER, latency INTEGER, cause TEXT, detail TEXT, response BLOB,"
    " PRIMARY KEY(seq, route, target, n)) WITHOUT ROWID",
    // `name`: the target's when it died, for salvage without the target's row.
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, target INTEGER, seq INTEGER, route INTEGER,"
    " name TEXT, rule TEXT, bus TEXT, forward_to TEXT, event BLOB, delivery TEXT, format INTEGER, "
    "attempts INTEGER,"
    " received INTEGER, dead INTEGER, reason TEXT, cause TEXT, last_status INTEGER, last_detail "
    "TEXT,"
    " last_response BLOB, body BLOB)",
    "CREATE UNIQUE INDEX dead_letter_key ON dead_letter(seq, route, target)",
    "CREATE INDEX dead_letter_target ON dead_letter(target, id)",
    "CREATE INDEX dead_letter_forward ON dead_letter(forward_to, id) WHERE forward_to <> ''",
    // `what`: an Ending, or 100 routed, 101 replayed.
    "CREATE TABLE ledger(id INTEGER PRIMARY KEY, target TEXT, rule TEXT, what INTEGER, n INTEGER,"
    " UNIQUE(target, rule, what))",
    "CREATE TABLE event_total(id INTEGER PRIMARY KEY, bus TEXT, source TEXT, accepted INTEGER,"
    " duplicate INTEGER, refused INTEGER, matched INTEGER, unmatched INTEGER, UNIQUE(bus, source))",
    "INSERT INTO meta VALUES(1, NULL, 0, 0, 0, 1, 1)",
};

std::vector<const char*> tables_5()
{
    std::vector<const char*> tables{std::begin(tables_6), std::end(tables_6)};
    tables.resize(tables.size() - 2);
    tables.back() = meta_5;
    return tables;
}

std::vector<const char*> tables_4()
{
    std::vector<const char*> tables = tables_5();
    for (const char*& table : tables)
        if (std::string_view(table).starts_with("CREATE TABLE dead_letter(")) table = dead_letter_4;
    tables.back() = meta_4;
    return tables;
}

std::span<const char* const> tables_of(int format)
{
    static const std::vector<const char*> four = tables_4(), five = tables_5();
    if (format == 1) return tables_1;
    if (format == 2) return tables_2;
    if (format == 3) return tables_3;
    if (format == 4) return four;
    if (format == 5) return five;
    return tables_6;
}

Result<void> reserve_checksum_space(Database& database)
{
    int bytes = static_cast<int>(state_page_reserve);
    const int code =
        sqlite3_file_control(database.handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
    if (code != SQLITE_OK) return database.error(code, "reserve bytes for checksums");
    return {};
}

Error newer(const std::string& version)
{
    return fail(Errc::unsupported, "state.db has format " + version +
                                       ", which is newer than this binary's " +
                                       std::to_string(state_format) + "; use a newer eventyard");
}

/// The tables' definitions as SQLite keeps them, for comparison.
Result<std::string> definitions(Database& database)
{
    EVENTYARD_TRY(
        statement,
        Statement::prepare(database,
                           "SELECT type, name, rootpage, sql FROM sqlite_schema ORDER BY name"));
    std::string all;
    for (;;) {
        EVENTYARD_TRY(row, statement.step());
        if (!row) return all;
        for (int column = 0; column < 4; ++column) all += statement.text(column) + '\n';
    }
}

/// A private empty database tells how SQLite words our definitions; once for each format.
Result<std::string> wanted_definitions(int format)
{
    static std::mutex mutex;
    static std::map<int, std::string> known;
    const std::lock_guard lock{mutex};
    if (const auto found = known.find(format); found != known.end()) return found->second;
    EVENTYARD_TRY(model, Database::open(":memory:", SQLITE_OPEN_READWRITE, nullptr));
    for (const char* const statement : tables_of(format)) EVENTYARD_CHECK(model.run(statement));
    EVENTYARD_TRY(wanted, definitions(model));
    return known[format] = std::move(wanted);
}

}  // namespace

Result<void> check_header(Disk& disk, const std::string& path)
{
    std::string page;
    EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
    EVENTYARD_CHECK(file->read_at(0, state_page_size, page));
    const auto field = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = at; i < at + 4; ++i)
            value = value << 8 | static_cast<unsigned char>(page[i]);
        return static_cast<std::int32_t>(value);
    };
    const bool plausible = header_plausible(page);
    if (page.size() >= 100 && field(68) == state_application && field(60) > state_format &&
        (!plausible || (page.size() == state_page_size && page_intact(page.data(), 1))))
        return newer(std::to_string(field(60)));
    if (!plausible) return fail(Errc::corrupt, "the file does not begin like a state file");
    return {};
}

Result<Database> open_state_file(const std::string& path, bool salvage)
{
    EVENTYARD_TRY(database, Database::open(path, SQLITE_OPEN_READWRITE, checksum_vfs()));
    int was = 0;
    sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, salvage ? 1 : 0, &was);
    sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, &was);
    sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &was);
    sqlite3_extended_result_codes(database.handle(), 1);
    EVENTYARD_CHECK(reserve_checksum_space(database));
    EVENTYARD_CHECK(database.run("PRAGMA mmap_size=0"));
    EVENTYARD_CHECK(database.run("PRAGMA cache_size=-8192"));
    EVENTYARD_CHECK(database.run("PRAGMA temp_store=MEMORY"));
    EVENTYARD_CHECK(database.run("PRAGMA wal_autocheckpoint=0"));
    EVENTYARD_CHECK(database.run("PRAGMA synchronous=FULL"));
    // What is deleted is overwritten: a body that was erased must not stay in free pages, nor one whose delivery has ended.
    EVENTYARD_CHECK(database.run("PRAGMA secure_delete=ON"));
    if (salvage) {
        EVENTYARD_CHECK(database.run("PRAGMA query_only=1"));
        return database;
    }
    EVENTYARD_TRY(mode, database.ask("PRAGMA journal_mode=WAL"));
    if (mode != "wal")
        return fail(Errc::corrupt, "state: '" + path + "' cannot use a write-ahead log");
    return database;
}

Result<void> create_state_file(Disk& disk, const std::string& path, int format)
{
    // SQLite would create it for all to read; -wal and -shm take their mode from it.
    EVENTYARD_CHECK(disk.open(path, OpenMode::create_new));
    EVENTYARD_TRY(database, Database::open(path, SQLITE_OPEN_READWRITE, checksum_vfs()));
    EVENTYARD_CHECK(reserve_checksum_space(database));
    EVENTYARD_CHECK(database.run(("PRAGMA page_size=" + std::to_string(state_page_size)).c_str()));
    EVENTYARD_CHECK(database.run("PRAGMA auto_vacuum=NONE"));
    EVENTYARD_CHECK(database.run("PRAGMA encoding='UTF-8'"));
    EVENTYARD_CHECK(database.run("PRAGMA synchronous=FULL"));
    EVENTYARD_CHECK(database.run("BEGIN IMMEDIATE"));
    for (const char* const statement : tables_of(format)) EVENTYARD_CHECK(database.run(statement));
    EVENTYARD_CHECK(
        database.run(("PRAGMA application_id=" + std::to_string(state_application)).c_str()));
    EVENTYARD_CHECK(database.run(("PRAGMA user_version=" + std::to_string(format)).c_str()));
    EVENTYARD_CHECK(database.run("COMMIT"));
    EVENTYARD_TRY(mode, database.ask("PRAGMA journal_mode=WAL"));
    if (mode != "wal") return fail(Errc::io, "state: '" + path + "' cannot use a write-ahead log");
    return {};
}

Result<void> check_schema(Database& database, int format)
{
    EVENTYARD_TRY(application, database.ask("PRAGMA application_id"));
    if (application != std::to_string(state_application))
        return fail(Errc::corrupt, "not a state file of Eventyard");
    EVENTYARD_TRY(version, database.ask("PRAGMA user_version"));
    if (std::stoll(version) > state_format) return newer(version);
    if (version != std::to_string(format))
        return fail(Errc::corrupt, "state.db names format " + version + ", not " + std::to_string(format));
    EVENTYARD_TRY(wanted, wanted_definitions(format));
    EVENTYARD_TRY(found, definitions(database));
    if (wanted != found)
        return fail(Errc::corrupt, "the tables of state.db are not those of format " + version);
    return {};
}

int stored_format(Disk& disk, const std::string& path)
{
    std::string page;
    auto file = disk.open(path, OpenMode::read);
    if (!file.has_value() || !(*file)->read_at(0, state_page_size, page).has_value() ||
        page.size() != state_page_size || !header_plausible(page) || !page_intact(page.data(), 1))
        return 0;
    return static_cast<unsigned char>(page[63]);
}

Result<std::string> rebuilt_page_one(Disk& disk, const std::string& scratch_path, std::uint64_t pages, int format)
{
    if (disk.exists(scratch_path)) EVENTYARD_CHECK(disk.unlink(scratch_path));
    EVENTYARD_CHECK(create_state_file(disk, scratch_path, format));
    std::string page;
    {
        EVENTYARD_TRY(file, disk.open(scratch_path, OpenMode::read));
        EVENTYARD_CHECK(file->read_at(0, state_page_size, page));
    }
    EVENTYARD_CHECK(disk.unlink(scratch_path));
    if (page.size() != state_page_size) return fail(Errc::io, "'" + scratch_path + "' is short");
    for (int i = 0; i < 4; ++i)
        page[static_cast<std::size_t>(28 + i)] = static_cast<char>(pages >> (24 - 8 * i));
    for (std::size_t i = 32; i < 40; ++i) page[i] = 0;  // no free list
    seal_page(page, 1);
    return page;
}

}  // namespace eventyard::router
