#include "router/state/salvage.hpp"

#include <limits>
#include <map>
#include <optional>
#include <set>

#include "core/disk.hpp"
#include "core/log.hpp"
#include "router/state/checksum_vfs.hpp"
#include "router/state/fingerprint.hpp"
#include "router/state/rows.hpp"
#include "router/state/schema.hpp"

namespace eventyard::router {
namespace {

constexpr int tries_max = 5;                    // of what a disk refuses
constexpr std::size_t sector_group = 64U << 10;  // bytes read at once to see whether it still does

std::string directory_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> remove_file(Disk& disk, const std::string& path)
{
    if (disk.exists(path)) return disk.unlink(path);
    return {};
}

Result<void> remove_database(Disk& disk, const std::string& path)
{
    for (const char* const suffix : {"", "-wal", "-shm", "-journal"})
        EVENTYARD_CHECK(remove_file(disk, path + suffix));
    return {};
}

/// Copies what can be read from `from_` into the open transaction of `to_`.
class Salvage {
public:
    /// @param format  of `from`
    Salvage(Database& from, int format, Database& to) : from_(from), to_(to), format_(format) {}

    Result<void> run(StateReport& report)
    {
        EVENTYARD_CHECK(targets());
        EVENTYARD_CHECK(retries());
        EVENTYARD_CHECK(dead_letters());
        EVENTYARD_CHECK(finish_targets());
        EVENTYARD_CHECK(parked_keys());
        EVENTYARD_CHECK(rest());
        EVENTYARD_CHECK(count_revived());
        report.salvaged_targets = salvaged_targets_;
        report.salvaged_retries = salvaged_retries_;
        report.salvaged_dead_letters = salvaged_dead_letters_;
        for (const auto& [id, target] : targets_)
            if (target.dead_letters_was > target.dead_letters)
                report.lost_dead_letters +=
                    static_cast<std::uint64_t>(target.dead_letters_was - target.dead_letters);
        return {};
    }

    /// Everything that is there was read.
    [[nodiscard]] bool complete() const noexcept { return complete_; }

private:
    struct Target {
        std::string name;
        bool known = true;  // its row was read
        bool trusted = true;
        std::int64_t retries_was = 0, dead_letters_was = 0;
        std::int64_t retries = 0, held = 0, delayed = 0, dead_letters = 0;
    };

    /// Visits rows in key order. `sql` has one parameter, the key to go on after, and the key as
    /// its first column (an integer >= 0). Past an unreadable page it goes on at the next key that
    /// can be reached. @param complete  false: something could not be read
    template <class Visit>
    Result<void> scan(const char* sql, bool& complete, Visit visit)
    {
        complete = false;
        auto prepared = Statement::prepare(from_, sql);
        if (!prepared.has_value()) {
            complete_ = false;
            return {};
        }
        Statement rows = std::move(*prepared);
        complete = true;
        std::int64_t after = -1;
        for (;;) {
            rows.bind(after);
            for (;;) {
                auto row = rows.step();
                if (!row.has_value()) break;
                if (!*row) return {};
                after = std::max(after, rows.integer(0));
                EVENTYARD_CHECK(visit(rows));
            }
            complete = complete_ = false;
            const auto reachable = [&](std::int64_t offset) {
                const bool good = rows.bind(after + offset).step().has_value();
                rows.done();
                return good;
            };
            const std::int64_t offset_max = std::numeric_limits<std::int64_t>::max() - after - 1;
            std::int64_t good = 1;
            while (!reachable(good)) {
                if (good > offset_max / 2) return {};
                good *= 2;
            }
            for (std::int64_t bad = good / 2; bad + 1 < good;) {
                const std::int64_t middle = bad + (good - bad) / 2;
                (reachable(middle) ? good : bad) = middle;
            }
            after += good;
        }
    }

    /// Copies the current row column by column.
    Result<void> copy(Statement& into, const Statement& row, int columns)
    {
        sqlite3_stmt* const target = into.handle();
        into.bind();
        for (int i = 0; i < columns; ++i)
            sqlite3_bind_value(target, i + 1, sqlite3_column_value(row.handle(), i));
        return into.run();
    }

    Result<void> targets()
    {
        std::map<std::uint32_t, Sequence> marks;
        bool marks_complete = false;
        EVENTYARD_CHECK(scan("SELECT shard, through FROM idle_mark WHERE shard > ?", marks_complete,
                             [&](const Statement& row) -> Result<void> {
                                 marks[static_cast<std::uint32_t>(row.natural(0))] = row.natural(1);
                                 return {};
                             }));
        EVENTYARD_TRY(
            put, Statement::prepare(to_,
                                    "INSERT INTO target(id, name, kind, cursor, shard, retries, held,"
                                    " delayed, dead_letters, trusted, drain, paused, settled)"
                                    " VALUES(?,?,?,?,NULL,0,0,0,0,?,?,?,?)"));
        return scan(
            (std::string("SELECT id, name, kind, cursor, shard, retries, dead_letters, trusted, paused, settled, ") +
             (format_ < 4 ? "0" : "drain") + " FROM target NOT INDEXED WHERE id > ? ORDER BY id").c_str(),
            targets_complete_, [&](const Statement& row) -> Result<void> {
                Target target;
                target.name = row.text(1);
                target.trusted = row.integer(7) != 0;
                target.retries_was = row.integer(5);
                target.dead_letters_was = row.integer(6);
                // Without its mark an idle target has an older cursor, which is safe.
                Sequence cursor = row.natural(3);
                if (!row.is_null(4))
                    if (const auto mark = marks.find(static_cast<std::uint32_t>(row.natural(4)));
                        mark != marks.end())
                        cursor = std::max(cursor, mark->second);
                const std::string name = row.text(1), kind = row.text(2), paused = row.text(8),
                                  settled = row.text(9);
                EVENTYARD_CHECK(put.bind(row.integer(0), std::string_view(name),
                                         std::string_view(kind), cursor, target.trusted ? 1 : 0, row.integer(10),
                                         std::string_view(paused), Blob{settled})
                                    .run());
                targets_[row.integer(0)] = std::move(target);
                ++salvaged_targets_;
                return {};
            });
    }

    Result<void> retries()
    {
        EVENTYARD_TRY(
            put, Statement::prepare(to_,
                                    "INSERT OR IGNORE INTO retry(seq, route, target, due, delay,"
                                    " attempts, received, event, rule, letter, earlier, expires,"
                                    " order_key, routed_to) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
        const auto keep = [&](const Statement& row) -> Result<void> {
            // Of a target without a row: it restarts where this delivery is met again.
            const auto target = targets_.find(row.integer(2));
            if (target == targets_.end()) return {};
            EVENTYARD_CHECK(copy(put, row, 14));
            if (to_.changes() == 0) return {};
            ++target->second.retries;
            RetryRow kind;
            kind.due = row.time(3);
            kind.delay = Duration{row.integer(4)};
            kind.attempts = static_cast<std::uint32_t>(row.natural(5));
            kind.letter = row.integer(9);
            if (kind.held()) ++target->second.held;
            if (kind.delayed()) ++target->second.delayed;
            ++salvaged_retries_;
            return {};
        };
        EVENTYARD_CHECK(
            scan((std::string("SELECT seq, route, target, due, delay, attempts, received, event, rule, ") +
                  (format_ == 1   ? "0, 0, 9223372036854775807, '', ''"
                   : format_ == 2 ? "letter, earlier, 9223372036854775807, '', ''"
                   : format_ == 3 ? "letter, earlier, expires, order_key, ''"
                                  : "letter, earlier, expires, order_key, routed_to") +
                  " FROM retry NOT INDEXED WHERE seq > ? ORDER BY seq, route, target").c_str(),
                 retries_complete_, keep));
        EVENTYARD_TRY(attempt,
                      Statement::prepare(to_,
                                         "INSERT OR IGNORE INTO attempt(seq, route, target, n, at,"
                                         " status, latency, cause, detail, response)"
                                         " VALUES(?,?,?,?,?,?,?,?,?,?)"));
        bool complete = false;
        return scan(
            "SELECT seq, route, target, n, at, status, latency, cause, detail, response FROM "
            "attempt"
            " NOT INDEXED WHERE seq > ? ORDER BY seq, route, target, n",
            complete, [&](const Statement& row) { return copy(attempt, row, 10); });
    }

    Result<void> dead_letters()
    {
        EVENTYARD_TRY(
            put,
            Statement::prepare(
                to_,
                "INSERT OR IGNORE INTO dead_letter(id, target, seq, route, name, rule, bus,"
                " forward_to, event, delivery, format, attempts, received, dead, reason, cause,"
                " last_status, last_detail, last_response, body, routed_to, redrives, grp)"
                " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)"));
        // Groups hold nothing that the letters do not tell.
        EVENTYARD_TRY(group, Statement::prepare(
                                 to_,
                                 "INSERT INTO dead_group(target, cause, fingerprint, n, bytes)"
                                 " VALUES(?,?,?,1,?) ON CONFLICT(target, cause, fingerprint)"
                                 " DO UPDATE SET n=n+1, bytes=bytes+excluded.bytes RETURNING id"));
        EVENTYARD_TRY(join, Statement::prepare(to_, "UPDATE dead_letter SET grp=? WHERE id=?"));
        EVENTYARD_TRY(waits, Statement::prepare(to_, "SELECT 1 FROM retry WHERE seq=? AND route=?"
                                                     " AND letter=?"));
        bool complete = false;
        const std::string sql =
            std::string(
                "SELECT id, target, seq, route, name, rule, bus, forward_to, event, delivery, format,"
                " attempts, received, dead, reason, cause, last_status, last_detail, last_response,"
                " body, ") +
            (format_ < 4 ? "'', " : "routed_to, ") + (format_ == 1 ? "0, 1" : "redrives, grp") +
            " FROM dead_letter NOT INDEXED WHERE id > ? ORDER BY id";
        return scan(sql.c_str(), complete, [&](const Statement& row) -> Result<void> {
            EVENTYARD_TRY(owner, owner_of(row.integer(1), row.text(4)));
            EVENTYARD_CHECK(copy(put, row, 22));
            if (to_.changes() == 0) return {};
            next_dead_letter_ = std::max(next_dead_letter_, row.integer(0) + 1);
            ++salvaged_dead_letters_;
            EVENTYARD_TRY(pending, waits.bind(row.natural(2), row.natural(3), row.integer(0)).step());
            waits.done();
            if (pending) return {};
            ++owner->dead_letters;
            // Redriven, and its retry was lost: dead as before.
            if (row.integer(22) == 0) ++revived_[{owner->name, row.text(5)}];
            const std::string cause = row.text(15), print = fingerprint(row.view(17), row.view(18));
            EVENTYARD_TRY(joined, group.bind(row.integer(1), std::string_view(cause), std::string_view(print),
                                             static_cast<std::int64_t>(row.view(19).size())).step());
            EVENTYARD_ASSERT(joined, "an insert that returns its row");
            const std::int64_t id = group.integer(0);
            group.done();
            return join.bind(id, row.integer(0)).run();
        });
    }

    /// After the ledger's rows.
    Result<void> count_revived()
    {
        EVENTYARD_TRY(count, Statement::prepare(to_,
                                                "INSERT INTO ledger(target, rule, what, n) VALUES(?,?,?,?)"
                                                " ON CONFLICT(target, rule, what) DO UPDATE SET n=n+excluded.n"));
        for (const auto& [of, letters] : revived_)
            EVENTYARD_CHECK(count.bind(std::string_view(of.first), std::string_view(of.second),
                                       static_cast<int>(Ending::dead_lettered), letters).run());
        return {};
    }

    /// A dead letter outlives its target's row: it names the target itself.
    Result<Target*> owner_of(std::int64_t id, const std::string& name)
    {
        const auto found = targets_.find(id);
        if (found != targets_.end()) return &found->second;
        std::string free = name;
        const auto taken = [&] {
            for (const auto& [other, target] : targets_)
                if (target.name == free) return true;
            return false;
        };
        while (taken()) free += "'";  // renamed since, and another target has the name now
        EVENTYARD_TRY(
            put, Statement::prepare(to_,
                                    "INSERT INTO target(id, name, kind, cursor, shard, retries, held,"
                                    " delayed, dead_letters, trusted, drain, paused, settled)"
                                    " VALUES(?,?,'',0,NULL,0,0,0,0,0,0,'',x'')"));
        EVENTYARD_CHECK(put.bind(id, std::string_view(free)).run());
        Target& target = targets_[id];
        target.name = free;
        target.known = target.trusted = false;
        return &target;
    }

    /// Counted from the rows; what an operator is to decide about comes from the file.
    Result<void> parked_keys()
    {
        EVENTYARD_CHECK(to_.run("INSERT INTO parked(target, order_key, held, others, hold) SELECT target, order_key,"
                                " sum(due=9223372036854775807), sum(due<9223372036854775807), 0"
                                " FROM retry WHERE order_key<>'' GROUP BY target, order_key"));
        if (format_ < 3) return {};
        EVENTYARD_TRY(put, Statement::prepare(to_, "INSERT INTO parked(target, order_key, held, others, hold)"
                                                   " VALUES(?,?,0,0,1)"
                                                   " ON CONFLICT(target, order_key) DO UPDATE SET hold=1"));
        bool complete = false;
        return scan("SELECT target, order_key FROM parked WHERE target > ? AND hold=1", complete,
                    [&](const Statement& row) -> Result<void> {
                        if (targets_.find(row.integer(0)) == targets_.end()) return {};
                        return copy(put, row, 2);
                    });
    }

    /// What was moved is vouched for by the cursor of the target that gave it.
    Result<void> distrust_givers()
    {
        std::set<std::string> givers;
        bool complete = false;
        EVENTYARD_CHECK(scan("SELECT id, target FROM ledger NOT INDEXED WHERE id > ? AND what=8 ORDER BY id", complete,
                             [&](const Statement& row) -> Result<void> {
                                 givers.insert(row.text(1));
                                 return {};
                             }));
        for (auto& [id, target] : targets_)
            if (!complete || givers.contains(target.name)) target.trusted = false;
        return {};
    }

    Result<void> finish_targets()
    {
        EVENTYARD_TRY(put, Statement::prepare(
                               to_,
                               "UPDATE target SET retries=?, dead_letters=?, trusted=?, held=?5, delayed=?6,"
                               " cursor=CASE ?3 WHEN 1 THEN cursor ELSE 0 END,"
                               " settled=CASE ?3 WHEN 1 THEN settled ELSE x'' END WHERE id=?4"));
        bool lost = !targets_complete_;
        for (auto& [id, target] : targets_) {
            // A cursor vouches for the retries below it: with one of them gone it is worth nothing.
            if (retries_complete_ || target.retries == target.retries_was) continue;
            target.trusted = false;
            lost = true;
        }
        if (lost && format_ >= 4) EVENTYARD_CHECK(distrust_givers());
        for (auto& [id, target] : targets_) {
            EVENTYARD_CHECK(
                put.bind(target.retries, target.dead_letters, target.trusted ? 1 : 0, id, target.held, target.delayed)
                    .run());
        }
        return {};
    }

    Result<void> rest()
    {
        bool complete = false;
        EVENTYARD_TRY(count,
                      Statement::prepare(to_,
                                         "INSERT OR IGNORE INTO ledger(id, target, rule, what, n)"
                                         " VALUES(?,?,?,?,?)"));
        EVENTYARD_CHECK(scan(
            "SELECT id, target, rule, what, n FROM ledger NOT INDEXED WHERE id > ? ORDER BY id",
            complete, [&](const Statement& row) { return copy(count, row, 5); }));
        EVENTYARD_TRY(
            total,
            Statement::prepare(to_,
                               "INSERT OR IGNORE INTO event_total(id, bus, source, accepted,"
                               " duplicate, refused, matched, unmatched) VALUES(?,?,?,?,?,?,?,?)"));
        EVENTYARD_CHECK(
            scan("SELECT id, bus, source, accepted, duplicate, refused, matched, unmatched"
                 " FROM event_total NOT INDEXED WHERE id > ? ORDER BY id",
                 complete, [&](const Statement& row) { return copy(total, row, 8); }));
        if (format_ > 1) {
            EVENTYARD_TRY(job, Statement::prepare(to_, "INSERT OR IGNORE INTO redrive(id, job) VALUES(?,?)"));
            EVENTYARD_CHECK(scan("SELECT id, job FROM redrive WHERE id > ? ORDER BY id", complete,
                                 [&](const Statement& row) -> Result<void> {
                                     if (!decode_redrive(row.view(1)).has_value()) return {};
                                     return copy(job, row, 2);
                                 }));
        }
        bool unsure = !targets_complete_;
        EVENTYARD_TRY(meta, Statement::prepare(to_,
                                               "UPDATE meta SET store=?2, reserved=?3, synced=?4,"
                                               " routed_through=?5, counted_through=?6 WHERE id=?1"));
        const std::string sql = std::string("SELECT id, store, reserved, synced, routed_through, ") +
                                (format_ == 1 ? "0" : "counted_through") +
                                ", next_dead_letter, unsure FROM meta WHERE id > ?";
        EVENTYARD_CHECK(scan(
            sql.c_str(), complete, [&](const Statement& row) {
                next_dead_letter_ = std::max(next_dead_letter_, row.integer(6));
                unsure = unsure || row.integer(7) != 0;
                return copy(meta, row, 6);
            }));
        EVENTYARD_TRY(marks, Statement::prepare(
                                 to_, "UPDATE meta SET next_dead_letter=?, unsure=? WHERE id=1"));
        return marks.bind(next_dead_letter_, unsure ? 1 : 0).run();
    }

    Database& from_;
    Database& to_;
    int format_;
    bool complete_ = true;
    std::map<std::pair<std::string, std::string>, std::int64_t> revived_;  // by target and rule
    std::map<std::int64_t, Target> targets_;
    bool targets_complete_ = false, retries_complete_ = false;
    std::int64_t next_dead_letter_ = 1;
    std::uint64_t salvaged_targets_ = 0, salvaged_retries_ = 0, salvaged_dead_letters_ = 0;
};

/// The format of a file whose page 1 is gone: page 2 is the one row of marks, which names it in its eighth
/// column since format 2. The present one when that cannot be told either.
int format_behind(Disk& disk, const std::string& path)
{
    std::string page;
    auto file = disk.open(path, OpenMode::read);
    if (!file.has_value() || !(*file)->read_at(state_page_size, state_page_size, page).has_value() ||
        page.size() != state_page_size || !page_intact(page.data(), 2))
        return state_format;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(page[at]); };
    const std::size_t row = static_cast<std::size_t>(byte(8)) << 8 | byte(9);  // its length, its id, its header
    if (byte(0) != 0x0d || row + 3 > page.size()) return state_format;
    const std::size_t header = row + 2, columns = byte(header) - 1U;  // a byte each: none of them is long
    if (columns == 7) return 1;
    if (columns < 8 || columns > 64 || header + columns >= page.size()) return state_format;
    std::size_t at = header + 1 + columns;
    for (std::size_t i = 0; i < 7; ++i) {
        constexpr std::size_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
        const std::size_t type = byte(header + 1 + i);
        at += type < std::size(sizes) ? sizes[type] : (type - 12) / 2;
    }
    const int named = at < page.size() ? byte(at) : 0;
    return named > 1 && named < state_format ? named : state_format;
}

/// Fills the new file `fresh` from the damaged one. Fails only where `fresh` cannot be written.
Result<void> salvage(Disk& disk, const std::string& damaged, const std::string& fresh,
                     StateReport& report)
{
    std::string first;
    std::uint64_t size = 0;
    if (auto file = disk.open(damaged, OpenMode::read); file.has_value()) {
        if (auto known = (*file)->size(); known.has_value()) size = *known;
        (void)(*file)->read_at(0, state_page_size, first);
    }
    const std::uint64_t pages = (size + state_page_size - 1) / state_page_size;
    if (pages < 2) return {};
    // Page 1 names the tables and the size: when it is damaged, or the file was cut, ours stands
    // in.
    int format = stored_format(disk, damaged);
    if (format == 0) format = format_behind(disk, damaged);
    EVENTYARD_TRY(page_one, rebuilt_page_one(disk, fresh + ".page", pages, format));
    const std::string size_field = page_one.substr(28, 4);
    const bool stand_in = first.size() < state_page_size || !header_plausible(first) ||
                          !page_intact(first.data(), 1) || first.compare(28, 4, size_field) != 0;
    const auto open_damaged = [&] {
        std::optional<PageOneReplaced> replaced;
        if (stand_in) replaced.emplace(page_one);
        return open_state_file(damaged, true);
    };
    auto from = open_damaged();
    if (!from.has_value()) {
        log::warn("state", "nothing can be salvaged", {{"error", from.error().what}});
        return {};
    }
    EVENTYARD_TRY(to, open_state_file(fresh, false));
    EVENTYARD_CHECK(to.run("BEGIN IMMEDIATE"));
    EVENTYARD_CHECK(Salvage(*from, format, to).run(report));
    EVENTYARD_CHECK(to.run("COMMIT"));
    return {};
}

/// Fills the new file `fresh` from a whole one of an older format. Errc::corrupt: it is not whole.
Result<void> upgrade(Disk& disk, const std::string& older, int format, const std::string& fresh)
{
    EVENTYARD_TRY(from, open_state_file(older, false));
    const int merged = sqlite3_wal_checkpoint_v2(from.handle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (merged != SQLITE_OK) return from.error(merged, "merge the log");
    EVENTYARD_CHECK(check_schema(from, format));
    EVENTYARD_TRY(scanned, scan_pages(disk, older));
    if (!scanned.bad.empty() || scanned.cut) return fail(Errc::corrupt, "damaged pages");
    EVENTYARD_TRY(to, open_state_file(fresh, false));
    EVENTYARD_CHECK(to.run("BEGIN IMMEDIATE"));
    Salvage copy(from, format, to);
    StateReport found;
    EVENTYARD_CHECK(copy.run(found));
    if (!copy.complete()) return fail(Errc::corrupt, "not every row could be read");
    return to.run("COMMIT");
}

/// Gives the file at `path` and its log another name. @returns the name
Result<std::string> move_aside(Disk& disk, const std::string& path, const std::string& label,
                               WallTime now)
{
    // The log goes first: left behind by a crash in between, it would be replayed into the new
    // file.
    std::string stamp;
    for (const char c : to_rfc3339(now).substr(0, 19))
        if (c != '-' && c != ':') stamp += c;
    const std::string base = path + "." + label + "-" + stamp + "Z";
    std::string to = base;
    for (int i = 2; disk.exists(to); ++i) to = base + "-" + std::to_string(i);
    if (disk.exists(path + "-wal")) EVENTYARD_CHECK(disk.rename(path + "-wal", to + "-wal"));
    EVENTYARD_CHECK(remove_file(disk, path + "-shm"));
    if (disk.exists(path)) EVENTYARD_CHECK(disk.rename(path, to));
    return to;
}

/// Whether the file, or its log, can be read in part only: its disk answers, and those parts are lost.
bool has_bad_sectors(Disk& disk, const std::string& path)
{
    bool bad = false, good = false;
    for (const char* const suffix : {"", "-wal"}) {
        const auto file = disk.open(path + suffix, OpenMode::read);
        if (!file.has_value()) continue;
        const auto size = (*file)->size();
        std::string piece;
        for (std::uint64_t at = 0; size.has_value() && at < *size; at += sector_group) {
            bool read = false;
            for (int tries = 0; !read && tries < tries_max; ++tries)
                read = (*file)->read_at(at, sector_group, piece).has_value();
            (read ? good : bad) = true;
        }
    }
    return bad && good;
}

Result<void> adopt(Disk& disk, const std::string& fresh, const std::string& path)
{
    EVENTYARD_CHECK(disk.rename(fresh, path));
    return disk.sync_directory(directory_of(path));
}

/// The state file is not there: the first start, or a crash while one was made, or it was lost.
Result<void> make_missing(Disk& disk, const std::string& path, const std::string& fresh,
                          WallTime now)
{
    // A log without its file would be replayed into the next file of that name.
    if (disk.exists(path + "-wal")) EVENTYARD_CHECK(move_aside(disk, path, "orphan", now));
    EVENTYARD_CHECK(remove_file(disk, path + "-shm"));
    if (disk.exists(fresh)) {
        const bool complete = Store::open(disk, fresh).has_value();
        if (complete) return adopt(disk, fresh, path);
        EVENTYARD_CHECK(remove_database(disk, fresh));
    }
    EVENTYARD_CHECK(create_state_file(disk, fresh));
    return adopt(disk, fresh, path);
}

}  // namespace

Result<OpenedStore> open_or_salvage(Disk& disk, const std::string& path, WallTime now)
{
    const std::string fresh = path + ".new";
    OpenedStore opened;
    if (!disk.exists(path)) {
        EVENTYARD_CHECK(make_missing(disk, path, fresh, now));
        opened.report.created = true;
    }
    if (const int format = stored_format(disk, path); format > 0 && format < state_format) {
        EVENTYARD_CHECK(remove_database(disk, fresh));
        EVENTYARD_CHECK(create_state_file(disk, fresh));
        const auto copied = upgrade(disk, path, format, fresh);
        if (!copied.has_value() && copied.error().code != Errc::corrupt) return copied.error();
        if (copied.has_value()) {
            EVENTYARD_TRY(moved, move_aside(disk, path, "format-" + std::to_string(format), now));
            opened.report.moved_to = moved;
            opened.report.upgraded_from = format;
            EVENTYARD_CHECK(adopt(disk, fresh, path));
        }
    }
    auto store = Store::open(disk, path);
    for (int tries = 1; !store.has_value() && store.error().code == Errc::io && tries < tries_max; ++tries)
        store = Store::open(disk, path);
    if (!store.has_value()) {
        const bool bad_sectors = store.error().code == Errc::io && has_bad_sectors(disk, path);
        if (store.error().code != Errc::corrupt && !bad_sectors) return store.error();
        StateReport& report = opened.report;
        report.set_aside = true;
        report.why = store.error().what;
        EVENTYARD_CHECK(remove_database(disk, fresh));
        EVENTYARD_CHECK(create_state_file(disk, fresh));
        EVENTYARD_CHECK(salvage(disk, path, fresh, report));
        EVENTYARD_TRY(moved, move_aside(disk, path, "damaged", now));
        report.moved_to = moved;
        EVENTYARD_CHECK(adopt(disk, fresh, path));
        store = Store::open(disk, path);
        if (!store.has_value()) return store.error();
    }
    opened.store = std::move(*store);
    opened.report.cursors_lost = opened.store->unsure();
    return opened;
}

Result<OpenedStore> start_over(Disk& disk, const std::string& path, WallTime now,
                               std::unique_ptr<Store> store, std::string why)
{
    OpenedStore opened;
    opened.report.set_aside = true;
    opened.report.why = std::move(why);
    EVENTYARD_TRY(was, store->snapshot());
    for (const TargetPosition& target : was.targets)
        opened.report.lost_dead_letters += target.dead_letters;
    store.reset();
    const std::string fresh = path + ".new";
    EVENTYARD_CHECK(remove_database(disk, fresh));
    EVENTYARD_CHECK(create_state_file(disk, fresh));
    EVENTYARD_TRY(moved, move_aside(disk, path, "other-journal", now));
    opened.report.moved_to = moved;
    EVENTYARD_CHECK(adopt(disk, fresh, path));
    EVENTYARD_TRY(made, Store::open(disk, path));
    opened.store = std::move(made);
    opened.report.cursors_lost = true;
    return opened;
}

}  // namespace eventyard::router
