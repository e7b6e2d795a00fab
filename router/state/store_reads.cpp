// What the store answers.

#include <algorithm>
#include <limits>

#include "router/state/rows.hpp"
#include "router/state/statements.hpp"
#include "router/state/store.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t forward_bytes_max = 8U << 20;
constexpr std::size_t page_bytes_max = 8U << 20;
constexpr std::size_t look_max = 20'000;
constexpr Sequence sequence_max = static_cast<Sequence>(std::numeric_limits<std::int64_t>::max());

std::uint64_t natural(std::int64_t value) noexcept
{
    return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

Result<std::vector<RetryRow>> collect_retries(Statement& rows, const std::string& target)
{
    std::vector<RetryRow> found;
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return found;
        found.push_back(read_retry(rows, target));
    }
}

/// Rows of (rule, target, what, n) in that order.
Result<void> collect_ledger(Statement& rows, std::vector<LedgerRow>& ledger)
{
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return {};
        if (ledger.empty() || ledger.back().target != rows.view(1) ||
            ledger.back().rule != rows.view(0))
            ledger.push_back({rows.text(0), rows.text(1), 0, 0, {}, 0});
        const std::int64_t what = rows.integer(2);
        const std::uint64_t n = natural(rows.integer(3));
        if (what == ledger_routed)
            ledger.back().routed = n;
        else if (what == ledger_replayed)
            ledger.back().replayed = n;
        else if (what == ledger_counted)
            ledger.back().counted = n;
        else if (what == ledger_moved_in)
            ledger.back().moved_in = n;
        else if (what >= 0 && what < endings && n > 0)
            ledger.back().ended[static_cast<Ending>(what)] = n;
    }
}

std::int64_t bounded(std::size_t limit) noexcept
{
    return static_cast<std::int64_t>(std::min<std::size_t>(limit, 1'000'000));
}

}  // namespace

Result<StateSnapshot> Store::snapshot()
{
    StateSnapshot snapshot;
    snapshot.store = meta_.store;
    snapshot.reserved = meta_.reserved;
    snapshot.synced = meta_.synced;
    snapshot.routed_through = meta_.routed_through;
    snapshot.counted_through = meta_.counted_through;
    for (auto& [name, target] : targets_) {
        TargetPosition position;
        position.target = name;
        position.kind = target.kind;
        position.cursor = effective(target);
        EVENTYARD_TRY(settled, decode_settled(target.encoded()));
        position.settled = std::move(settled);
        (target.drain > 0 ? position.drain_reason : position.paused) = target.paused;
        position.drain_through = target.drain;
        position.retries = natural(target.retries);
        position.held = natural(target.held);
        position.delayed = natural(target.delayed);
        position.rate_full = target.rate_full;
        Statement& keys = sql_->parked_keys;
        keys.bind(target.id);
        for (;;) {
            EVENTYARD_TRY(row, keys.step());
            if (!row) break;
            position.parked.push_back({keys.text(0), keys.natural(1), keys.integer(2) > 0, keys.integer(3) != 0});
        }
        position.dead_letters = natural(target.dead_letters);
        position.trusted = target.trusted;
        snapshot.targets.push_back(std::move(position));
    }
    std::sort(snapshot.targets.begin(), snapshot.targets.end(),
              [](const auto& a, const auto& b) { return a.target < b.target; });
    EVENTYARD_TRY(rows, ledger());
    snapshot.ledger = std::move(rows);
    EVENTYARD_TRY(totals, event_totals());
    snapshot.events = std::move(totals);
    return snapshot;
}

Result<std::vector<RetryRow>> Store::due_retries(const std::string& target, WallTime before,
                                                 std::size_t limit)
{
    const Target* const known = find(target);
    if (known == nullptr || known->retries == 0) return std::vector<RetryRow>{};
    return collect_retries(sql_->due.bind(known->id, before, bounded(limit)), target);
}

Result<std::vector<RetryRow>> Store::next_retries(const std::string& target, WallTime after_due,
                                                  DeliveryKey after, std::size_t limit)
{
    const Target* const known = find(target);
    if (known == nullptr || known->retries == 0) return std::vector<RetryRow>{};
    return collect_retries(
        sql_->next.bind(known->id, after_due, std::min(after.sequence, sequence_max), after.route,
                        bounded(limit)),
        target);
}

Result<std::optional<RetryRow>> Store::first_of_key(const std::string& target, const std::string& order_key)
{
    const Target* const known = find(target);
    if (known == nullptr || known->retries == 0) return std::optional<RetryRow>{};
    Statement& first = sql_->first_of_key;
    EVENTYARD_TRY(row, first.bind(known->id, std::string_view(order_key)).step());
    if (!row) return std::optional<RetryRow>{};
    RetryRow found = read_retry(first, target);
    first.done();
    return std::optional{std::move(found)};
}

/// By the table's own order, which no attempt changes; at most `look_max` at a time, so that no filter holds up the
/// state's thread.
Result<RowPage> Store::pending_rows(const DeliveryFilter& filter, const RowPosition& after, std::size_t limit)
{
    RowPage page;
    page.through = after;
    const Target* const only = filter.target.empty() ? nullptr : find(filter.target);
    if (!filter.target.empty() && (only == nullptr || only->retries == 0)) return page;
    if (open_) EVENTYARD_CHECK(flush_targets());  // rows take their targets' names from there
    EVENTYARD_TRY(rows, Statement::prepare(database_, (std::string("SELECT ") + retry_columns +
                                                       ", t.id, t.name FROM retry r NOT INDEXED"
                                                       " CROSS JOIN target t ON t.id = r.target"
                                                       " WHERE (seq, route, r.target) > (?,?,?)"
                                                       " ORDER BY seq, route, r.target")
                                                          .c_str()));
    rows.bind(std::min(after.key.sequence, sequence_max), after.key.route, after.target);
    constexpr int more_columns = 13;  // after those of retry_columns
    for (std::size_t looked = 0;; ++looked) {
        EVENTYARD_TRY(there, rows.step());
        if (!there) return page;
        page.more = looked == look_max || page.rows.size() >= limit;
        if (page.more) return page;
        page.through = {{rows.natural(0), static_cast<std::uint32_t>(rows.natural(1))}, rows.integer(more_columns)};
        if (only != nullptr && page.through.target != only->id) continue;
        RetryRow row = read_retry(rows, rows.text(more_columns + 1));
        if (filter.takes(row.target, row.rule, row.event, row.received, row.addressee())) page.rows.push_back(std::move(row));
    }
}

Result<std::vector<RetryRow>> Store::rows_of(const std::string& target, const std::vector<DeliveryKey>& keys)
{
    std::vector<RetryRow> found;
    const Target* const known = find(target);
    if (known == nullptr || known->retries == 0) return found;
    Statement& get = sql_->row_of;
    for (const DeliveryKey& key : keys) {
        EVENTYARD_TRY(there, get.bind(key.sequence, key.route, known->id).step());
        if (there) found.push_back(read_retry(get, target));
        get.done();
    }
    return found;
}

Result<Needed> Store::needed(std::vector<NeededRange> ranges)
{
    EVENTYARD_ASSERT(!open_, "only durable rows count");
    Needed needed;
    needed.counted_through = meta_.counted_through;
    needed.counted = meta_.routed_through;
    std::int64_t retries = 0;
    for (const auto& [name, target] : targets_) {
        needed.cursors.emplace_back(name, target.trusted ? effective(target) : 0);
        retries += target.retries;
    }
    for (NeededRange& range : ranges) {
        range.retries = 0;
        if (retries == 0) continue;
        Statement& rows = sql_->count_range;
        EVENTYARD_TRY(row, rows.bind(range.first, std::min(range.last, sequence_max)).step());
        if (row) range.retries = rows.natural(0);
        rows.done();
    }
    needed.ranges = std::move(ranges);
    return needed;
}

Result<std::vector<DeliveryKey>> Store::retry_keys(Sequence first, Sequence last,
                                                   const std::string& target)
{
    EVENTYARD_ASSERT(!open_, "only durable rows count");
    std::vector<DeliveryKey> keys;
    const Target* const known = find(target);
    Statement& rows = sql_->keys_in_range;
    rows.bind(first, std::min(last, sequence_max), known == nullptr ? std::int64_t{0} : known->id, std::string_view(target));
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return keys;
        keys.push_back({rows.natural(0), static_cast<std::uint32_t>(rows.natural(1))});
    }
}

/// Letters are judged one by one, at most `look_max` of them, so that no filter holds up the state's
/// thread; by target or group an index leads.
Result<DeadLetterPage> Store::dead_letters(const DeadLetterFilter& filter)
{
    if (open_) EVENTYARD_CHECK(flush_targets());  // dead letters take their names from there
    DeadLetterPage page;
    page.through = filter.after_id;
    if (!filter.ids.empty()) return dead_letters_by_id(filter);
    std::string sql = std::string("SELECT ") + dead_letter_columns + (filter.bodies ? dead_letter_body_columns : "") +
                      " FROM dead_letter d CROSS JOIN target t ON t.id = d.target WHERE d.id > ?1";
    std::int64_t lead = filter.group;
    if (lead != 0) {
        sql += " AND d.grp = ?2";
    } else if (!filter.target.empty()) {
        const Target* const known = find(filter.target);
        if (known == nullptr) return page;
        lead = known->id;
        sql += " AND d.target = ?2";
    }
    EVENTYARD_TRY(rows, Statement::prepare(database_, (sql + " ORDER BY d.id").c_str()));
    rows.bind(filter.after_id, lead);
    std::size_t bytes = 0;
    for (std::size_t looked = 0;; ++looked) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return page;
        page.more = looked == look_max || page.letters.size() >= filter.limit || bytes > page_bytes_max;
        if (page.more) return page;
        DeadLetter letter = read_dead_letter(rows, false);
        if (filter.until_id != 0 && letter.id > filter.until_id) return page;
        page.through = letter.id;
        if (!filter.takes(letter)) continue;
        if (filter.bodies) read_body(rows, letter);
        bytes += letter.body.size() + letter.input.size();
        EVENTYARD_CHECK(take(filter, std::move(letter), page));
    }
}

Result<DeadLetterPage> Store::dead_letters_by_id(const DeadLetterFilter& filter)
{
    DeadLetterPage page;
    page.through = filter.after_id;
    std::size_t bytes = 0;
    for (const std::int64_t id : filter.ids) {
        if (id <= filter.after_id) continue;
        page.more = page.letters.size() >= filter.limit || bytes > page_bytes_max;
        if (page.more) return page;
        page.through = id;
        auto letter = dead_letter(id);
        if (!letter.has_value() && letter.error().code == Errc::not_found) continue;
        if (!letter.has_value()) return letter.error();
        if (!filter.takes(*letter)) continue;
        if (!filter.bodies) {
            letter->body.clear();
            letter->input.clear();
        }
        bytes += letter->body.size() + letter->input.size();
        EVENTYARD_CHECK(take(filter, std::move(*letter), page));
    }
    return page;
}

Result<void> Store::take(const DeadLetterFilter& filter, DeadLetter letter, DeadLetterPage& page)
{
    if (filter.trails) {
        EVENTYARD_TRY(trail, attempts(letter));
        letter.trail = std::move(trail);
    }
    page.letters.push_back(std::move(letter));
    return {};
}

Result<std::vector<DeadLetterGroup>> Store::dead_letter_groups(const std::string& target)
{
    if (open_) EVENTYARD_CHECK(flush_targets());
    std::vector<DeadLetterGroup> groups;
    const Target* const known = find(target);
    if (known == nullptr && !target.empty()) return groups;
    Statement& rows = sql_->groups;
    rows.bind(known == nullptr ? std::int64_t{0} : known->id);
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return groups;
        DeadLetterGroup group;
        group.sample = read_dead_letter(rows, false);
        group.id = group.sample.group;
        group.target = group.sample.target;
        const int more = dead_letter_body_column;
        group.cause = rows.text(more);
        group.fingerprint = rows.text(more + 1);
        group.letters = natural(rows.integer(more + 2));
        group.bytes = natural(rows.integer(more + 3));
        group.first = rows.time(more + 4);
        group.last = group.sample.dead;
        groups.push_back(std::move(group));
    }
}

Result<AuditState> Store::audit()
{
    if (open_) EVENTYARD_CHECK(flush_targets());
    AuditState all;
    EVENTYARD_TRY(now, snapshot());
    all.snapshot = std::move(now);
    EVENTYARD_TRY(rows, Statement::prepare(database_,
                                           "SELECT r.rule, t.name, count(*) FROM retry r"
                                           " JOIN target t ON t.id = r.target GROUP BY t.id, r.rule"));
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return all;
        all.retries[{rows.text(0), rows.text(1)}] = rows.natural(2);
    }
}

Result<std::vector<KnownEvent>> Store::known_events()
{
    EVENTYARD_TRY(rows, Statement::prepare(database_, "SELECT bus, seq, key, event, since, until FROM known ORDER BY bus, seq"));
    std::vector<KnownEvent> known;
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return known;
        known.push_back({rows.text(0), to_id(rows.view(2)).bytes, to_id(rows.view(3)), rows.natural(1), rows.time(4), rows.time(5)});
    }
}

Result<std::vector<RedriveJob>> Store::redrives()
{
    std::vector<RedriveJob> jobs;
    Statement& rows = sql_->get_redrives;
    rows.bind();
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return jobs;
        EVENTYARD_TRY(job, decode_redrive(rows.view(0)));
        jobs.push_back(std::move(job));
    }
}

Result<std::vector<TrialResult>> Store::trial(const std::vector<TrialKey>& keys)
{
    std::vector<TrialResult> results;
    for (const TrialKey& one : keys) {
        TrialResult& result = results.emplace_back();
        const Target* const known = find(one.target);
        const std::int64_t target = known == nullptr ? 0 : known->id;
        Statement& letter = sql_->letter_by_key;
        EVENTYARD_TRY(found, letter.bind(one.key.sequence, one.key.route, target).step());
        const bool dead = found && letter.integer(1) != 0;
        if (dead) result.error = letter.text(2);
        letter.done();
        Statement& retry = sql_->get_retry;
        EVENTYARD_TRY(waits, retry.bind(one.key.sequence, one.key.route, target).step());
        const bool tried = waits && retry.natural(0) > 0;
        retry.done();
        result.state = dead || tried ? TrialResult::State::failed
                       : waits       ? TrialResult::State::waiting
                                     : TrialResult::State::ended;
        if (!tried) continue;
        DeadLetter key;
        key.key = one.key;
        key.target = one.target;
        EVENTYARD_TRY(trail, attempts(key));
        if (!trail.empty()) result.error = trail.back().detail;
    }
    return results;
}

Result<DeadLetter> Store::dead_letter(std::int64_t id)
{
    if (open_) EVENTYARD_CHECK(flush_targets());
    Statement& rows = sql_->get_dead_letter;
    EVENTYARD_TRY(row, rows.bind(id).step());
    if (!row) return fail(Errc::not_found, "no dead letter has id " + std::to_string(id));
    DeadLetter dead = read_dead_letter(rows, true);
    rows.done();
    return dead;
}

Result<std::vector<AttemptRecord>> Store::attempts(const DeadLetter& dead)
{
    std::vector<AttemptRecord> found;
    const Target* const known = find(dead.target);
    if (known == nullptr) return found;
    Statement& rows = sql_->get_attempts;
    rows.bind(dead.key.sequence, dead.key.route, known->id);
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return found;
        found.push_back(read_attempt(rows));
    }
}

Result<std::vector<DeadLetter>> Store::forwards(const std::string& target, std::int64_t after_id,
                                                std::size_t limit)
{
    if (open_) EVENTYARD_CHECK(flush_targets());
    std::vector<DeadLetter> found;
    std::size_t bytes = 0;
    Statement& rows = sql_->forwards;
    rows.bind(std::string_view(target), after_id, bounded(limit));
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return found;
        bytes += rows.view(dead_letter_body_column).size() + rows.view(dead_letter_body_column + 1).size();
        if (!found.empty() && bytes > forward_bytes_max) break;
        found.push_back(read_dead_letter(rows, true));
    }
    rows.done();
    return found;
}

Result<std::vector<LedgerRow>> Store::ledger()
{
    if (open_) EVENTYARD_CHECK(flush_ledger());
    std::vector<LedgerRow> ledger;
    EVENTYARD_TRY(rows, Statement::prepare(database_,
                                           "SELECT rule, target, what, n FROM ledger"
                                           " ORDER BY target, rule, what"));
    EVENTYARD_CHECK(collect_ledger(rows, ledger));
    return ledger;
}

Result<std::vector<LedgerRow>> Store::ledger_of(const std::vector<std::string>& targets)
{
    if (open_) EVENTYARD_CHECK(flush_ledger());
    std::vector<LedgerRow> ledger;
    for (const std::string& target : targets)
        EVENTYARD_CHECK(collect_ledger(sql_->ledger_of.bind(std::string_view(target)), ledger));
    return ledger;
}

Result<std::vector<EventTotals>> Store::event_totals()
{
    std::vector<EventTotals> totals;
    EVENTYARD_TRY(rows, Statement::prepare(database_,
                                           "SELECT bus, source, accepted, duplicate, refused,"
                                           " matched, unmatched FROM event_total"
                                           " ORDER BY bus, source"));
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) return totals;
        totals.push_back({rows.text(0), rows.text(1), rows.natural(2), rows.natural(3),
                          rows.natural(4), rows.natural(5), rows.natural(6)});
    }
}

}  // namespace eventyard::router
