#include "router/state/statements.hpp"

#include <string>

#include "router/state/rows.hpp"

namespace eventyard::router {

std::shared_ptr<Store::Statements> Store::Statements::of(const Database& database)
{
    auto made = std::make_shared<Statements>();
    Statements& s = *made;
    const std::string retry =
        std::string("SELECT ") + retry_columns + " FROM retry INDEXED BY retry_due";
    const std::string dead = std::string("SELECT ") + dead_letter_columns +
                             dead_letter_body_columns + " FROM dead_letter d JOIN target t ON t.id = d.target";
    const std::pair<Statement*, std::string> all[] = {
        {&s.begin, "BEGIN IMMEDIATE"},
        {&s.commit, "COMMIT"},
        {&s.put_meta,
         "UPDATE meta SET store=?, reserved=?, synced=?, routed_through=?,"
         " next_dead_letter=?, unsure=?, counted_through=? WHERE id=1"},
        {&s.put_target,
         "INSERT INTO target(id, name, kind, cursor, shard, retries, held, delayed, dead_letters, trusted,"
         " rate_full, drain, paused, settled) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET"
         " name=excluded.name, kind=excluded.kind, cursor=excluded.cursor, shard=excluded.shard,"
         " retries=excluded.retries, held=excluded.held, delayed=excluded.delayed,"
         " dead_letters=excluded.dead_letters, trusted=excluded.trusted, rate_full=excluded.rate_full,"
         " drain=excluded.drain, paused=excluded.paused, settled=excluded.settled"},
        {&s.drop_target, "DELETE FROM target WHERE id=?"},
        {&s.put_mark,
         "INSERT INTO idle_mark VALUES(?,?) ON CONFLICT(shard) DO UPDATE SET"
         " through=excluded.through"},
        {&s.add_retry,
         "INSERT OR IGNORE INTO retry(seq, route, target, due, delay, attempts, received,"
         " event, rule, letter, earlier, expires, order_key, routed_to) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
        {&s.drop_retry,
         "DELETE FROM retry WHERE seq=? AND route=? AND target=? RETURNING letter, due, attempts, order_key, delay"},
        {&s.count_parked,
         "INSERT INTO parked(target, order_key, held, others, hold) VALUES(?,?,?,?,0)"
         " ON CONFLICT(target, order_key) DO UPDATE SET held=held+excluded.held, others=others+excluded.others"},
        {&s.drop_parked, "DELETE FROM parked WHERE target=? AND order_key=? AND held<=0 AND others<=0 AND hold=0"},
        {&s.hold_key,
         "INSERT INTO parked(target, order_key, held, others, hold) VALUES(?,?,0,0,?)"
         " ON CONFLICT(target, order_key) DO UPDATE SET hold=excluded.hold"},
        {&s.parked_keys, "SELECT order_key, held, others, hold FROM parked WHERE target=? ORDER BY order_key"},
        {&s.first_of_key,
         std::string("SELECT ") + retry_columns + " FROM retry INDEXED BY retry_order"
         " WHERE target=? AND order_key=? AND order_key<>'' ORDER BY seq, route LIMIT 1"},
        {&s.put_attempt,
         "INSERT OR REPLACE INTO attempt(seq, route, target, n, at, status, latency,"
         " cause, detail, response) VALUES(?,?,?,?,?,?,?,?,?,?)"},
        {&s.drop_attempt, "DELETE FROM attempt WHERE seq=? AND route=? AND target=? AND n=?"},
        {&s.move_attempts, "UPDATE OR REPLACE attempt SET target=? WHERE seq=? AND route=? AND target=?"},
        {&s.drop_attempts, "DELETE FROM attempt WHERE seq=? AND route=? AND target=?"},
        {&s.add_dead_letter,
         "INSERT INTO dead_letter(id, target, seq, route, grp, redrives, name, rule, bus, forward_to,"
         " routed_to, event, delivery, format, attempts, received, dead, reason, cause, last_status,"
         " last_detail, last_response, input, body) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
         " ON CONFLICT(seq, route, target) DO NOTHING"},
        {&s.drop_dead_letter, "DELETE FROM dead_letter WHERE id=?"},
        {&s.drop_redriven, "DELETE FROM dead_letter WHERE id=? AND grp=0 RETURNING redrives"},
        {&s.redrive, "UPDATE dead_letter SET grp=0, redrives=redrives+1 WHERE id=?"},
        {&s.get_group, "SELECT id FROM dead_group WHERE target=? AND cause=? AND fingerprint=?"},
        {&s.count_groups, "SELECT count(*) FROM dead_group WHERE target=?"},
        {&s.add_group,
         "INSERT INTO dead_group(target, cause, fingerprint, n, bytes) VALUES(?,?,?,0,0) RETURNING id"},
        {&s.count_in_group, "UPDATE dead_group SET n=n+?, bytes=bytes+? WHERE id=?"},
        {&s.drop_empty_group, "DELETE FROM dead_group WHERE id=? AND n<=0"},
        {&s.put_redrive, "INSERT OR REPLACE INTO redrive(id, job) VALUES(?,?)"},
        {&s.add_key, "INSERT OR REPLACE INTO known(bus, seq, key, event, since, until) VALUES(?,?,?,?,?,?)"},
        {&s.drop_key_range, "DELETE FROM known WHERE seq BETWEEN ? AND ?"},
        {&s.drop_keys, "DELETE FROM known WHERE bus=? AND seq<=?"},
        {&s.drop_redrives, "DELETE FROM redrive WHERE id<=?"},
        {&s.letters_of_event, "SELECT id FROM dead_letter WHERE seq=? AND event=?"},
        {&s.erase_letter,
         "UPDATE dead_letter SET grp=?, forward_to='', format=?, last_detail=?, last_response=x'', body=? WHERE id=?"},
        {&s.erase_attempts, "UPDATE attempt SET detail=?, response=x'' WHERE seq=?"},
        {&s.forwarded, "UPDATE dead_letter SET forward_to='' WHERE id=?"},
        {&s.key_of_dead_letter,
         "SELECT d.seq, d.route, d.rule, t.name, d.grp, length(d.body), d.attempts FROM dead_letter d"
         " JOIN target t ON t.id = d.target WHERE d.id=?"},
        {&s.add_count,
         "INSERT INTO ledger(target, rule, what, n) VALUES(?,?,?,?)"
         " ON CONFLICT(target, rule, what) DO UPDATE SET n=n+excluded.n"},
        {&s.add_events,
         "INSERT INTO event_total(bus, source, accepted, duplicate, refused, matched, unmatched)"
         " VALUES(?,?,?,?,?,?,?) ON CONFLICT(bus, source) DO UPDATE SET"
         " accepted=accepted+excluded.accepted, duplicate=duplicate+excluded.duplicate,"
         " refused=refused+excluded.refused, matched=matched+excluded.matched,"
         " unmatched=unmatched+excluded.unmatched"},
        {&s.due, retry + " WHERE target=? AND due<=? ORDER BY due, seq, route LIMIT ?"},
        {&s.next, retry + " WHERE target=? AND (due, seq, route) > (?,?,?) AND due < 9223372036854775807"
                          " ORDER BY due, seq, route LIMIT ?"},
        {&s.count_range, "SELECT count(*) FROM retry NOT INDEXED WHERE seq BETWEEN ? AND ? AND letter=0"},
        {&s.keys_in_range,
         "SELECT DISTINCT seq, route FROM retry NOT INDEXED WHERE seq BETWEEN ?1 AND ?2"
         " AND (?4='' OR routed_to=?4 OR (routed_to='' AND target=?3)) ORDER BY seq, route"},
        {&s.get_dead_letter, dead + " WHERE d.id=?"},
        {&s.get_attempts, std::string("SELECT ") + attempt_columns +
                              " FROM attempt WHERE seq=? AND route=? AND target=? ORDER BY n"},
        {&s.forwards,
         dead + " WHERE d.forward_to=? AND d.forward_to<>'' AND d.id>? ORDER BY d.id LIMIT ?"},
        {&s.groups,
         std::string("SELECT ") + dead_letter_columns +
             ", g.cause, g.fingerprint, g.n, g.bytes,"
             " (SELECT f.dead FROM dead_letter f WHERE f.grp=g.id ORDER BY f.id LIMIT 1)"
             " FROM dead_group g JOIN target t ON t.id = g.target"
             " JOIN dead_letter d ON d.id = (SELECT max(id) FROM dead_letter WHERE grp=g.id)"
             " WHERE ?1=0 OR g.target=?1 ORDER BY g.n DESC, g.id LIMIT 10000"},
        {&s.get_redrives, "SELECT job FROM redrive ORDER BY id"},
        {&s.letter_by_key,
         "SELECT id, grp, last_detail FROM dead_letter WHERE seq=? AND route=? AND target=?"},
        {&s.ledger_of, "SELECT rule, target, what, n FROM ledger WHERE target=? ORDER BY rule, what"},
        {&s.row_of, std::string("SELECT ") + retry_columns + " FROM retry WHERE seq=? AND route=? AND target=?"},
        {&s.get_retry, "SELECT attempts FROM retry WHERE seq=? AND route=? AND target=?"},
    };
    for (const auto& [statement, text] : all) *statement = Statement::later(database, text);
    return made;
}

}  // namespace eventyard::router
