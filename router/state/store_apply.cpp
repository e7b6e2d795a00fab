// Every kind of change as row operations.

#include <algorithm>

#include "router/state/rows.hpp"
#include "router/state/statements.hpp"
#include "router/state/store.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t sources_max = 10'000;
constexpr std::uint32_t attempts_first = 3, attempts_last = 20;

}  // namespace

Result<void> Store::apply(const Change& change)
{
    EVENTYARD_ASSERT(open_, "changes belong to a transaction");
    return std::visit([this](const auto& one) { return on(one); }, change);
}

void Store::count(std::string_view target, std::string_view rule, int what, std::int64_t n)
{
    counts_[LedgerKey{std::string(target), std::string(rule), what}] += n;
}

Result<void> Store::on(const Ended& change)
{
    const Target* const known = find(change.target);
    const bool keep_attempts = change.dead_letter.has_value();
    if (!change.fresh && known != nullptr && known->retries > 0) {
        EVENTYARD_CHECK(
            sql_->drop_retry.bind(change.key.sequence, change.key.route, known->id).run());
        if (database_.changes() > 0) {
            Target& target = touch(change.target);
            --target.retries;
            if (!keep_attempts) EVENTYARD_CHECK(drop_attempts(change.key, target.id));
        }
    }
    bool counted = true;
    if (change.dead_letter) {
        EVENTYARD_CHECK(add_dead_letter(*change.dead_letter, change.target, counted));
        if (change.attempt)
            EVENTYARD_CHECK(add_attempt(change.key, find(change.target)->id,
                                        std::max(1U, change.dead_letter->attempts),
                                        *change.attempt));
    }
    if (counted) count(change.target, change.rule, static_cast<int>(change.ending), 1);
    return {};
}

Result<void> Store::on(const Retrying& change)
{
    const RetryRow& row = change.row;
    const Target* known = find(row.target);
    const std::int64_t id = known != nullptr ? known->id : touch(row.target).id;
    EVENTYARD_CHECK(sql_->add_retry
                        .bind(row.key.sequence, row.key.route, id, row.due, row.delay, row.attempts,
                              row.received, Blob{bytes_of(row.event)}, std::string_view(row.rule))
                        .run());
    if (database_.changes() > 0)
        ++touch(row.target).retries;
    else
        EVENTYARD_CHECK(sql_->update_retry
                            .bind(row.due, row.delay, row.attempts, row.received,
                                  Blob{bytes_of(row.event)}, std::string_view(row.rule),
                                  row.key.sequence, row.key.route, id)
                            .run());
    return add_attempt(row.key, id, std::max(1U, row.attempts), change.attempt);
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

Result<void> Store::add_dead_letter(const DeadLetter& dead, const std::string& target, bool& added)
{
    const Target* const known = find(target);
    const std::int64_t owner = known != nullptr ? known->id : touch(target).id;
    EVENTYARD_CHECK(
        sql_->add_dead_letter
            .bind(meta_.next_dead_letter, owner, dead.key.sequence, dead.key.route,
                  std::string_view(target), std::string_view(dead.rule), std::string_view(dead.bus),
                  std::string_view(dead.forward_to), Blob{bytes_of(dead.event)},
                  std::string_view(dead.delivery_id), static_cast<int>(dead.format), dead.attempts,
                  dead.received, dead.dead, std::string_view(dead.reason),
                  std::string_view(dead.cause), dead.last_status,
                  std::string_view(dead.last_detail), Blob{dead.last_response}, Blob{dead.body})
            .run());
    added = database_.changes() > 0;
    if (added) {
        ++meta_.next_dead_letter;
        ++touch(target).dead_letters;
    }
    return {};
}

Result<void> Store::on(const CursorMoved& change)
{
    Target& target = touch(change.target);
    target.cursor = change.cursor;
    target.settled = encode_settled(change.settled);
    target.shard.reset();
    target.trusted = true;
    return {};
}

Result<void> Store::on(const LaneIdle& change)
{
    Target& target = touch(change.target);
    target.cursor = effective(target);  // of the former shard, if it was idle already
    target.shard = change.shard;
    target.settled.clear();
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
    const Target gone = *find(from);
    Target& target = touch(to);
    remember(from);
    targets_.erase(from);
    EVENTYARD_TRY(settled, decode_settled(target.settled));
    EVENTYARD_TRY(more, decode_settled(gone.settled));
    settled.insert(settled.end(), more.begin(), more.end());
    target.settled = encode_settled(std::move(settled));
    target.cursor = std::min(effective(target), effective(gone));
    target.shard.reset();
    target.trusted = target.trusted && gone.trusted;
    // What conflicts is the same delivery: one row of it stays.
    for (const char* const sql : {"UPDATE OR IGNORE retry SET target=? WHERE target=?",
                                  "UPDATE OR IGNORE attempt SET target=? WHERE target=?",
                                  "UPDATE OR IGNORE dead_letter SET target=? WHERE target=?"}) {
        EVENTYARD_TRY(move, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(move.bind(target.id, gone.id).run());
        if (sql[17] == 'r') target.retries += database_.changes();
        if (sql[17] == 'd') target.dead_letters += database_.changes();
    }
    for (const char* const sql :
         {"DELETE FROM retry WHERE target=?", "DELETE FROM attempt WHERE target=?",
          "DELETE FROM dead_letter WHERE target=?"}) {
        EVENTYARD_TRY(drop, Statement::prepare(database_, sql));
        EVENTYARD_CHECK(drop.bind(gone.id).run());
    }
    return sql_->drop_target.bind(gone.id).run();
}

Result<void> Store::on(const TargetPaused& change)
{
    touch(change.target).paused = change.reason;
    return {};
}

Result<void> Store::on(const Routed& change)
{
    for (const auto& [key, n] : change.counts)
        count(key.second, key.first, ledger_routed, static_cast<std::int64_t>(n));
    meta_.routed_through = std::max(meta_.routed_through, change.through);
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

Result<void> Store::on(const DeadLetterDiscarded& change)
{
    EVENTYARD_CHECK(flush_targets());
    Statement& get = sql_->key_of_dead_letter;
    EVENTYARD_TRY(found, get.bind(change.id).step());
    if (!found) return {};
    const DeliveryKey key{get.natural(0), static_cast<std::uint32_t>(get.natural(1))};
    const std::string rule = get.text(2), name = get.text(3);
    get.done();
    EVENTYARD_CHECK(sql_->drop_dead_letter.bind(change.id).run());
    Target& target = touch(name);
    --target.dead_letters;
    EVENTYARD_CHECK(drop_attempts(key, target.id));
    count(name, rule, static_cast<int>(Ending::dead_lettered), -1);
    count(name, rule, static_cast<int>(change.ending), 1);
    return {};
}

}  // namespace eventyard::router
