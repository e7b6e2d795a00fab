// Every kind of change as row operations.

#include <algorithm>

#include "router/state/fingerprint.hpp"
#include "router/state/rows.hpp"
#include "router/state/statements.hpp"
#include "router/state/store.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t sources_max = 10'000;
constexpr std::uint32_t attempts_first = 3, attempts_last = 20;
constexpr std::uint64_t groups_max = 1000;  // of a target; what comes later is one more group
const std::string others = "*";
constexpr std::int64_t redrives_kept = 100;
constexpr std::string_view erased_detail = "erased";  // instead of what a receiver answered

}  // namespace

Result<void> Store::apply(const Change& change)
{
    EVENTYARD_ASSERT(open_, "changes belong to a transaction");
    EVENTYARD_CHECK(check_open());
    return std::visit([this](const auto& one) { return on(one); }, change);
}

void Store::count(std::string_view target, std::string_view rule, int what, std::int64_t n)
{
    counts_[LedgerKey{std::string(target), std::string(rule), what}] += n;
}

void Store::count_row(Target& target, const RetryRow& row, std::int64_t by)
{
    target.retries += by;
    if (row.held()) target.held += by;
    if (row.delayed()) target.delayed += by;
}

Result<std::optional<std::int64_t>> Store::drop_retry(DeliveryKey key, const std::string& target)
{
    const Target* const known = find(target);
    if (known == nullptr || known->retries == 0) return std::optional<std::int64_t>{};
    Statement& drop = sql_->drop_retry;
    EVENTYARD_TRY(found, drop.bind(key.sequence, key.route, known->id).step());
    if (!found) return std::optional<std::int64_t>{};
    RetryRow row;
    row.letter = drop.integer(0);
    row.due = drop.time(1);
    row.attempts = static_cast<std::uint32_t>(drop.natural(2));
    row.order_key = drop.text(3);
    row.delay = Duration{drop.integer(4)};
    drop.done();
    count_row(touch(target), row, -1);
    if (!row.order_key.empty()) {
        EVENTYARD_CHECK(count_parked(known->id, row, -1));
        EVENTYARD_CHECK(sql_->drop_parked.bind(known->id, std::string_view(row.order_key)).run());
    }
    return std::optional{row.letter};
}

Result<void> Store::on(const Ended& change)
{
    const bool keep_attempts = change.dead_letter.has_value();
    std::uint32_t redrives = 0;
    if (!change.fresh) {
        EVENTYARD_TRY(row, drop_retry(change.key, change.target));
        if (change.redriven && !row) return {};
        if (row && !keep_attempts)
            EVENTYARD_CHECK(drop_attempts(change.key, find(change.target)->id));
        if (row && *row != 0) {  // it kept the body until now; a new death makes a new letter
            Statement& drop = sql_->drop_redriven;
            EVENTYARD_TRY(found, drop.bind(*row).step());
            if (found) redrives = static_cast<std::uint32_t>(drop.natural(0));
            drop.done();
        }
    }
    bool counted = true;
    if (change.dead_letter) {
        EVENTYARD_CHECK(add_dead_letter(*change.dead_letter, change.target, redrives, counted));
        if (change.attempt)
            EVENTYARD_CHECK(add_attempt(change.key, find(change.target)->id,
                                        std::max(1U, change.dead_letter->attempts),
                                        *change.attempt));
    }
    if (counted) count(change.target, change.rule, static_cast<int>(change.ending), 1);
    return {};
}

Result<void> Store::add_retry(const RetryRow& row, std::int64_t target)
{
    const auto add = [&] {
        return sql_->add_retry
            .bind(row.key.sequence, row.key.route, target, row.due, row.delay, row.attempts, row.received,
                  Blob{bytes_of(row.event)}, std::string_view(row.rule), row.letter, row.earlier,
                  row.expires, std::string_view(row.order_key), std::string_view(row.routed_to))
            .run();
    };
    EVENTYARD_CHECK(add());
    if (database_.changes() == 0) {
        EVENTYARD_CHECK(drop_retry(row.key, row.target));
        EVENTYARD_CHECK(add());
    }
    count_row(touch(row.target), row, 1);
    if (row.order_key.empty()) return {};
    return count_parked(target, row, 1);
}

Result<void> Store::count_parked(std::int64_t target, const RetryRow& row, int by)
{
    return sql_->count_parked
        .bind(target, std::string_view(row.order_key), row.held() ? by : 0, row.held() ? 0 : by)
        .run();
}

Result<void> Store::on(const Retrying& change)
{
    const RetryRow& row = change.row;
    const Target* known = find(row.target);
    const std::int64_t id = known != nullptr ? known->id : touch(row.target).id;
    EVENTYARD_CHECK(add_retry(row, id));
    if (!change.attempt) return {};
    return add_attempt(row.key, id, std::max(1U, row.earlier + row.attempts), *change.attempt);
}

Result<void> Store::on(const Moved& change)
{
    const RetryRow& row = change.row;
    if (!change.fresh) {
        EVENTYARD_TRY(was, drop_retry(row.key, change.from));
        if (!was && row.letter != 0) return {};
    }
    const Target* const known = find(row.target);
    const std::int64_t to = known != nullptr ? known->id : touch(row.target).id;
    EVENTYARD_CHECK(add_retry(row, to));
    if (const Target* const from = find(change.from); from != nullptr && !change.fresh)
        EVENTYARD_CHECK(sql_->move_attempts.bind(to, row.key.sequence, row.key.route, from->id).run());
    count(change.from, row.rule, static_cast<int>(Ending::moved), 1);
    count(row.target, row.rule, ledger_moved_in, 1);
    return {};
}

Result<void> Store::add_attempt(DeliveryKey key, std::int64_t target, std::uint32_t n,
                                const AttemptRecord& attempt)
{
    EVENTYARD_CHECK(sql_->put_attempt
                        .bind(key.sequence, key.route, target, n, attempt.at, attempt.status,
                              attempt.latency, std::string_view(attempt.cause),
                              std::string_view(attempt.detail), Blob{attempt.response})
                        .run());
    if (n <= attempts_first + attempts_last) return {};
    return sql_->drop_attempt.bind(key.sequence, key.route, target, n - attempts_last).run();
}

Result<void> Store::drop_attempts(DeliveryKey key, std::int64_t target)
{
    return sql_->drop_attempts.bind(key.sequence, key.route, target).run();
}

Result<std::int64_t> Store::group_of(std::int64_t target, const DeadLetter& dead)
{
    std::string print = fingerprint(dead.last_detail, dead.last_response);
    for (;;) {
        Statement& get = sql_->get_group;
        EVENTYARD_TRY(found, get.bind(target, std::string_view(dead.cause), std::string_view(print)).step());
        if (found) {
            const std::int64_t id = get.integer(0);
            get.done();
            return id;
        }
        Statement& many = sql_->count_groups;
        EVENTYARD_TRY(counted, many.bind(target).step());
        const bool room = counted && many.natural(0) < groups_max;
        many.done();
        if (room || print == others) break;
        print = others;
    }
    Statement& add = sql_->add_group;
    EVENTYARD_TRY(made, add.bind(target, std::string_view(dead.cause), std::string_view(print)).step());
    EVENTYARD_ASSERT(made, "an insert that returns its row");
    const std::int64_t id = add.integer(0);
    add.done();
    return id;
}

Result<void> Store::add_dead_letter(const DeadLetter& dead, const std::string& target,
                                    std::uint32_t redrives, bool& added)
{
    const Target* const known = find(target);
    const std::int64_t owner = known != nullptr ? known->id : touch(target).id;
    EVENTYARD_TRY(group, group_of(owner, dead));
    EVENTYARD_CHECK(
        sql_->add_dead_letter
            .bind(meta_.next_dead_letter, owner, dead.key.sequence, dead.key.route, group, redrives,
                  std::string_view(target), std::string_view(dead.rule), std::string_view(dead.bus),
                  std::string_view(dead.forward_to), std::string_view(dead.routed_to), Blob{bytes_of(dead.event)},
                  std::string_view(dead.delivery_id), static_cast<int>(dead.format), dead.attempts,
                  dead.received, dead.dead, std::string_view(dead.reason),
                  std::string_view(dead.cause), dead.last_status,
                  std::string_view(dead.last_detail), Blob{dead.last_response}, std::string_view(dead.input), Blob{dead.body})
            .run());
    added = database_.changes() > 0;
    if (!added) return sql_->drop_empty_group.bind(group).run();
    ++meta_.next_dead_letter;
    ++touch(target).dead_letters;
    return sql_->count_in_group.bind(1, static_cast<std::int64_t>(dead.body.size()), group).run();
}

Result<void> Store::on(const CursorMoved& change)
{
    Target& target = touch(change.target);
    target.cursor = change.cursor;
    target.list(change.settled);
    target.shard.reset();
    target.trusted = true;
    return {};
}

Result<void> Store::on(const LaneIdle& change)
{
    Target& target = touch(change.target);
    target.cursor = effective(target);  // of the former shard, if it was idle already
    target.shard = change.shard;
    target.list({});
    target.trusted = true;
    return {};
}

Result<void> Store::on(const LaneActive& change)
{
    Target& target = touch(change.target);
    target.cursor = change.cursor;
    target.shard.reset();
    target.trusted = true;
    return {};
}

Result<void> Store::on(const IdleThrough& change)
{
    Sequence& mark = marks_[change.shard];
    mark = std::max(mark, change.through);
    return {};
}

Result<void> Store::on(const TargetKnown& change)
{
    meta_.unsure = false;
    const Target* const known = find(change.target);
    if (known != nullptr && known->kind == change.kind) return {};
    Target& target = touch(change.target);
    target.kind = change.kind;
    if (known == nullptr) target.cursor = change.cursor;
    return {};
}

Result<void> Store::on(const TargetRenamed& change)
{
    if (change.from == change.to || find(change.from) == nullptr) return {};
    EVENTYARD_CHECK(flush_ledger());  // counts gathered so far belong to the old names
    if (find(change.to) != nullptr) {
        EVENTYARD_CHECK(merge(change.from, change.to));
    } else {
        remember(change.from);
        remember(change.to);
        Target moved = targets_[change.from];
        targets_.erase(change.from);
        // At once: other names may be given and taken in the same transaction.
        EVENTYARD_CHECK(write(change.to, moved));
        targets_[change.to] = std::move(moved);
    }
    const std::string_view from = change.from, to = change.to;
    EVENTYARD_TRY(
        copy, Statement::prepare(database_,
                                 "INSERT INTO ledger(target, rule, what, n)"
                                 " SELECT ?, rule, what, n FROM ledger WHERE target=?"
                                 " ON CONFLICT(target, rule, what) DO UPDATE SET n=n+excluded.n"));
    EVENTYARD_CHECK(copy.bind(to, from).run());
    EVENTYARD_TRY(drop, Statement::prepare(database_, "DELETE FROM ledger WHERE target=?"));
    EVENTYARD_CHECK(drop.bind(from).run());
    EVENTYARD_TRY(serve, Statement::prepare(database_,
                                            "UPDATE dead_letter SET forward_to=?"
                                            " WHERE forward_to=? AND forward_to<>''"));
    return serve.bind(to, from).run();
}

/// Both names have rows: the pending work of `from` joins that of `to`. The lower cursor counts;
/// a key names its rule and target, so the lists of settled ones add up.
Result<void> Store::merge(const std::string& from, const std::string& to)
{
    Target gone = *find(from);
    Target& target = touch(to);
    remember(from);
    targets_.erase(from);
    EVENTYARD_TRY(settled, decode_settled(target.encoded()));
    EVENTYARD_TRY(more, decode_settled(gone.encoded()));
    settled.insert(settled.end(), more.begin(), more.end());
    target.list(std::move(settled));
    target.cursor = std::min(effective(target), effective(gone));
    target.shard.reset();
    target.trusted = target.trusted && gone.trusted;
    // What conflicts is the same delivery: one row of it stays.
    for (const char* const sql : {"UPDATE OR IGNORE retry SET target=? WHERE target=?",
                                  "UPDATE OR IGNORE attempt SET target=? WHERE target=?",
                                  "UPDATE OR IGNORE dead_letter SET target=? WHERE target=?"}) {
        EVENTYARD_TRY(move, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(move.bind(target.id, gone.id).run());
        if (sql[17] == 'd') target.dead_letters += database_.changes();
    }
    for (const char* const sql :
         {"DELETE FROM retry WHERE target=?", "DELETE FROM attempt WHERE target=?",
          "DELETE FROM dead_letter WHERE target=?"}) {
        EVENTYARD_TRY(drop, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(drop.bind(gone.id).run());
    }
    EVENTYARD_CHECK(recount_rows(target));
    EVENTYARD_TRY(unpark, Statement::prepare(database_, "DELETE FROM parked WHERE target=?"));
    EVENTYARD_CHECK(unpark.bind(gone.id).run());
    EVENTYARD_CHECK(regroup(gone.id, target.id));
    return sql_->drop_target.bind(gone.id).run();
}

Result<void> Store::recount_rows(Target& target)
{
    EVENTYARD_TRY(rows, Statement::prepare(database_, "SELECT due, attempts, letter, delay FROM retry WHERE target=?"));
    rows.bind(target.id);
    target.retries = target.held = target.delayed = 0;
    for (;;) {
        EVENTYARD_TRY(there, rows.step());
        if (!there) break;
        RetryRow row;
        row.due = rows.time(0);
        row.attempts = static_cast<std::uint32_t>(rows.natural(1));
        row.letter = rows.integer(2);
        row.delay = Duration{rows.integer(3)};
        count_row(target, row, 1);
    }
    for (const char* const sql : {"UPDATE parked SET held=0, others=0 WHERE target=?",
                                  "INSERT INTO parked(target, order_key, held, others, hold)"
                                  " SELECT target, order_key, sum(due=9223372036854775807),"
                                  " sum(due<9223372036854775807), 0 FROM retry WHERE target=? AND order_key<>''"
                                  " GROUP BY order_key ON CONFLICT(target, order_key) DO UPDATE SET"
                                  " held=excluded.held, others=excluded.others"}) {
        EVENTYARD_TRY(step, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(step.bind(target.id).run());
    }
    return {};
}

/// After a merge the groups of both names are counted anew.
Result<void> Store::regroup(std::int64_t from, std::int64_t to)
{
    for (const char* const sql :
         {"INSERT OR IGNORE INTO dead_group(target, cause, fingerprint, n, bytes)"
          " SELECT ?2, cause, fingerprint, 0, 0 FROM dead_group WHERE target=?1",
          "UPDATE dead_letter SET grp=(SELECT h.id FROM dead_group g JOIN dead_group h ON h.target=?2"
          " AND h.cause=g.cause AND h.fingerprint=g.fingerprint WHERE g.id=dead_letter.grp)"
          " WHERE grp IN (SELECT id FROM dead_group WHERE target=?1)",
          "DELETE FROM dead_group WHERE target=?1 AND ?2<>0",
          "UPDATE dead_group SET n=(SELECT count(*) FROM dead_letter WHERE grp=dead_group.id),"
          " bytes=(SELECT coalesce(sum(length(body)), 0) FROM dead_letter WHERE grp=dead_group.id)"
          " WHERE target=?2 AND ?1<>0",
          "DELETE FROM dead_group WHERE target=?2 AND n=0 AND ?1<>0"}) {
        EVENTYARD_TRY(step, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(step.bind(from, to).run());
    }
    return {};
}

Result<void> Store::on(const TargetPaused& change)
{
    Target& target = touch(change.target);
    target.paused = change.reason;
    target.drain = 0;
    return {};
}

Result<void> Store::on(const TargetDraining& change)
{
    Target& target = touch(change.target);
    target.paused = change.reason;
    target.drain = change.through;
    return {};
}

Result<void> Store::on(const Routed& change)
{
    for (const auto& [key, n] : change.counts)
        count(key.second, key.first, ledger_routed, static_cast<std::int64_t>(n));
    meta_.routed_through = std::max(meta_.routed_through, change.through);
    return {};
}

Result<void> Store::on(const JournalCounted& change)
{
    if (change.through <= meta_.counted_through) return {};
    for (const auto& [key, n] : change.counts)
        count(key.second, key.first, ledger_counted, static_cast<std::int64_t>(n));
    meta_.counted_through = change.through;
    return {};
}

Result<void> Store::on(const Received& change)
{
    std::string_view source = change.source;
    std::string pair = change.bus + '\n' + change.source;
    if (sources_.count(pair) == 0 && sources_.size() >= sources_max) {
        source = "*";
        pair = change.bus + "\n*";
    }
    if (sources_.insert(pair).second) new_sources_.push_back(pair);
    return sql_->add_events
        .bind(std::string_view(change.bus), source, change.accepted, change.duplicate,
              change.refused, change.matched, change.unmatched)
        .run();
}

Result<void> Store::on(const KeysKnown& change)
{
    for (const auto& [first, last] : change.gone) EVENTYARD_CHECK(sql_->drop_key_range.bind(first, last).run());
    for (const KnownEvent& one : change.added)
        EVENTYARD_CHECK(sql_->add_key
                            .bind(std::string_view(one.bus), one.sequence, Blob{bytes_of(Id{one.key})}, Blob{bytes_of(one.event)},
                                  one.since, one.until)
                            .run());
    for (const ForgottenKeys& one : change.forgotten)
        EVENTYARD_CHECK(sql_->drop_keys.bind(std::string_view(one.bus), one.through).run());
    return {};
}

Result<void> Store::on(const JournalMarked& change)
{
    meta_.reserved = std::max(meta_.reserved, change.reserved);
    meta_.synced = std::max(meta_.synced, change.synced);
    return {};
}

Result<void> Store::on(const DeadLetterForwarded& change)
{
    return sql_->forwarded.bind(change.id).run();
}

Result<std::optional<Store::Standing>> Store::standing(std::int64_t letter)
{
    EVENTYARD_CHECK(flush_targets());
    Statement& get = sql_->key_of_dead_letter;
    EVENTYARD_TRY(found, get.bind(letter).step());
    if (!found) return std::optional<Standing>{};
    Standing is{{get.natural(0), static_cast<std::uint32_t>(get.natural(1))}, get.text(2), get.text(3),
                get.integer(4), get.integer(5), static_cast<std::uint32_t>(get.natural(6))};
    get.done();
    if (is.group == 0) return std::optional<Standing>{};
    return std::optional{std::move(is)};
}

/// Not dead-lettered any more.
Result<void> Store::leave_group(const Standing& letter)
{
    --touch(letter.target).dead_letters;
    count(letter.target, letter.rule, static_cast<int>(Ending::dead_lettered), -1);
    EVENTYARD_CHECK(sql_->count_in_group.bind(-1, -letter.bytes, letter.group).run());
    return sql_->drop_empty_group.bind(letter.group).run();
}

Result<void> Store::on(const DeadLetterDiscarded& change)
{
    EVENTYARD_TRY(letter, standing(change.id));
    if (!letter) return {};
    EVENTYARD_CHECK(sql_->drop_dead_letter.bind(change.id).run());
    EVENTYARD_CHECK(leave_group(*letter));
    EVENTYARD_CHECK(drop_attempts(letter->key, find(letter->target)->id));
    count(letter->target, letter->rule, static_cast<int>(change.ending), 1);
    return {};
}

Result<void> Store::on(const Redriven& change)
{
    EVENTYARD_TRY(letter, standing(change.row.letter));
    if (!letter || letter->key != change.row.key || letter->target != change.row.target) return {};
    EVENTYARD_CHECK(sql_->redrive.bind(change.row.letter).run());
    EVENTYARD_CHECK(leave_group(*letter));
    return add_retry(change.row, find(letter->target)->id);
}

Result<void> Store::on(const RedriveNoted& change)
{
    const std::string text = encode(change.job);
    EVENTYARD_CHECK(sql_->put_redrive.bind(change.job.id, std::string_view(text)).run());
    return sql_->drop_redrives.bind(change.job.id - redrives_kept).run();
}

Result<void> Store::on(const KeyHeld& change)
{
    const Target* const known = find(change.target);
    const std::int64_t id = known != nullptr ? known->id : touch(change.target).id;
    EVENTYARD_CHECK(sql_->hold_key.bind(id, std::string_view(change.order_key), change.held ? 1 : 0).run());
    return sql_->drop_parked.bind(id, std::string_view(change.order_key)).run();
}

Result<void> Store::on(const EventErased& change)
{
    for (const Sequence sequence : change.sequences) {
        EVENTYARD_CHECK(sql_->erase_attempts.bind(erased_detail, sequence).run());
        EVENTYARD_CHECK(sql_->drop_key_range.bind(sequence, sequence).run());  // it may be guessed back
        std::vector<std::int64_t> letters;
        Statement& of_event = sql_->letters_of_event;
        of_event.bind(sequence, Blob{bytes_of(change.event)});
        for (;;) {
            EVENTYARD_TRY(there, of_event.step());
            if (!there) break;
            letters.push_back(of_event.integer(0));
        }
        for (const std::int64_t letter : letters) EVENTYARD_CHECK(erase_letter(letter));
    }
    return {};
}

/// Its group is named by what receivers answered, so it leaves that as well.
Result<void> Store::erase_letter(std::int64_t letter)
{
    EVENTYARD_TRY(dead, dead_letter(letter));
    if (dead.format == EventFormat::erased) return {};
    std::int64_t group = 0;  // redriven
    if (dead.group != 0) {
        const auto bytes = static_cast<std::int64_t>(dead.body.size());
        EVENTYARD_CHECK(sql_->count_in_group.bind(-1, -bytes, dead.group).run());
        EVENTYARD_CHECK(sql_->drop_empty_group.bind(dead.group).run());
        dead.last_detail = erased_detail;
        dead.last_response.clear();
        EVENTYARD_TRY(other, group_of(find(dead.target)->id, dead));
        EVENTYARD_CHECK(sql_->count_in_group.bind(1, static_cast<std::int64_t>(erased_body.size()), other).run());
        group = other;
    }
    return sql_->erase_letter.bind(group, static_cast<int>(EventFormat::erased), erased_detail, Blob{erased_body}, letter)
        .run();
}

Result<void> Store::on(const TargetRate& change)
{
    touch(change.target).rate_full = change.full;
    return {};
}

}  // namespace eventyard::router
