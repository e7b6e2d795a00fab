#include "router/state/row_copy.hpp"

#include <limits>
#include <map>
#include <set>

#include "core/log.hpp"
#include "router/state/fingerprint.hpp"
#include "router/state/rows.hpp"
#include "router/state/schema.hpp"

namespace eventyard::router {
namespace {

/// Copies what can be read from `from_` into the open transaction of `to_`.
class RowCopy {
public:
    /// @param format  of `from`
    RowCopy(Database& from, int format, Database& to) : from_(from), to_(to), format_(format) {}

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
                " last_status, last_detail, last_response, body, input, routed_to, redrives, grp)"
                " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)"));
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
            (format_ < 5 ? "'', " : "input, ") + (format_ < 4 ? "'', " : "routed_to, ") + (format_ == 1 ? "0, 1" : "redrives, grp") +
            " FROM dead_letter NOT INDEXED WHERE id > ? ORDER BY id";
        return scan(sql.c_str(), complete, [&](const Statement& row) -> Result<void> {
            EVENTYARD_TRY(owner, owner_of(row.integer(1), row.text(4)));
            EVENTYARD_CHECK(copy(put, row, 23));
            if (to_.changes() == 0) return {};
            next_dead_letter_ = std::max(next_dead_letter_, row.integer(0) + 1);
            ++salvaged_dead_letters_;
            EVENTYARD_TRY(pending, waits.bind(row.natural(2), row.natural(3), row.integer(0)).step());
            waits.done();
            if (pending) return {};
            ++owner->dead_letters;
            // Redriven, and its retry was lost: dead as before.
            if (row.integer(23) == 0) ++revived_[{owner->name, row.text(5)}];
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
        if (format_ > 5) {
            EVENTYARD_TRY(key, Statement::prepare(to_, "INSERT OR IGNORE INTO known(seq, bus, key, event, since, until)"
                                                       " VALUES(?,?,?,?,?,?)"));
            EVENTYARD_CHECK(scan("SELECT seq, bus, key, event, since, until FROM known NOT INDEXED WHERE seq > ? ORDER BY seq", complete,
                                 [&](const Statement& row) { return copy(key, row, 6); }));
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

}  // namespace

Result<bool> copy_rows(Database& from, int format, Database& to, StateReport& report)
{
    RowCopy copy(from, format, to);
    EVENTYARD_CHECK(copy.run(report));
    return copy.complete();
}

}  // namespace eventyard::router
