#include "router/state/store.hpp"

#include <algorithm>

#include "router/state/checksum_vfs.hpp"
#include "router/state/rows.hpp"
#include "router/state/schema.hpp"
#include "router/state/statements.hpp"

namespace eventyard::router {
namespace {

/// Above this size the structure is not walked at start: the checksums, which are always verified,
/// leave only what a disk that loses whole writes can do.
constexpr std::uint64_t quick_check_max = 64ULL << 20;

/// What a former process wrote and could not sync reads well and may be gone with the power; and a sync tells of a failure
/// once, so one that succeeds now says nothing of it. Written again it can be synced, and merging starts from what is there.
/// In its place: that takes no space on most file systems, and what was on disk already stays the same. Where it does, a
/// full disk stops no start.
Result<void> write_log_again(Disk& disk, const std::string& path)
{
    if (!disk.exists(path)) return {};
    EVENTYARD_TRY(log, disk.open(path, OpenMode::read_write));
    EVENTYARD_TRY(size, log->size());
    std::string bytes;
    for (std::uint64_t at = 0; at < size; at += bytes.size()) {
        // What cannot be read SQLite meets as well, should it matter: the end may be of a former round.
        if (!log->read_at(at, 1U << 20, bytes).has_value() || bytes.empty()) break;
        const auto written = log->write_at(at, {bytes});
        if (!written.has_value() && written.error().code == Errc::no_space) return {};
        EVENTYARD_CHECK(written);
    }
    return size > 0 ? log->sync_data() : Result<void>{};
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(Disk& disk, const std::string& path)
{
    std::unique_ptr<Store> store{new Store()};
    EVENTYARD_CHECK(check_header(disk, path));
    EVENTYARD_CHECK(write_log_again(disk, path + "-wal"));
    EVENTYARD_TRY(database, open_state_file(path, false));
    store->database_ = std::move(database);
    // Replaces the hook of the automatic checkpoints, which are off.
    sqlite3_wal_hook(
        store->database_.handle(),
        [](void* self, sqlite3*, const char*, int frames) {
            static_cast<Store*>(self)->wal_frames_ = static_cast<std::uint64_t>(frames);
            return SQLITE_OK;
        },
        store.get());
    // The newest pages may be in the WAL only, and a crash during a checkpoint leaves torn ones in
    // the file: look at the file once they are all there.
    const auto merged = store->checkpoint(true);
    if (!merged.has_value() && merged.error().code != Errc::no_space) return merged.error();
    EVENTYARD_CHECK(check_schema(store->database_));
    if (merged.has_value() && *merged) {
        EVENTYARD_TRY(scan, scan_pages(disk, path));
        if (!scan.bad.empty())
            return fail(Errc::corrupt, std::to_string(scan.bad.size()) + " of " +
                                           std::to_string(scan.pages) +
                                           " pages fail their checksum, first page " +
                                           std::to_string(scan.bad.front()));
        if (scan.cut) return fail(Errc::corrupt, "the file is not as long as its header says");
        if (scan.pages * state_page_size <= quick_check_max) {
            EVENTYARD_TRY(answer, store->database_.ask("PRAGMA quick_check(1)"));
            if (answer != "ok") return fail(Errc::corrupt, "quick_check: " + answer);
        }
    }
    store->sql_ = Statements::of(store->database_);
    EVENTYARD_CHECK(store->load());
    return store;
}

Result<void> Store::load()
{
    EVENTYARD_TRY(meta, Statement::prepare(database_,
                                           "SELECT store, reserved, synced, routed_through,"
                                           " next_dead_letter, unsure, counted_through FROM meta WHERE id=1"));
    EVENTYARD_TRY(there, meta.step());
    if (!there) return fail(Errc::corrupt, "the row of marks is missing");
    meta_.store = to_id(meta.view(0));
    meta_.reserved = meta.natural(1);
    meta_.synced = meta.natural(2);
    meta_.routed_through = meta.natural(3);
    meta_.next_dead_letter = meta.integer(4);
    meta_.unsure = meta.integer(5) != 0;
    meta_.counted_through = meta.natural(6);
    meta.done();
    // A log that lost its end after it was merged in part leaves pages of two ages, each of them intact.
    EVENTYARD_TRY(newest, database_.ask("SELECT coalesce(max(id), 0) FROM dead_letter"));
    meta_.next_dead_letter = std::max(meta_.next_dead_letter, static_cast<std::int64_t>(std::stoll(newest)) + 1);
    meta_stored_ = meta_;

    EVENTYARD_TRY(marks, Statement::prepare(database_, "SELECT shard, through FROM idle_mark"));
    for (;;) {
        EVENTYARD_TRY(row, marks.step());
        if (!row) break;
        marks_[static_cast<std::uint32_t>(marks.natural(0))] = marks.natural(1);
    }
    EVENTYARD_TRY(rows, Statement::prepare(database_,
                                           "SELECT id, name, kind, cursor, shard, retries, held, delayed,"
                                           " dead_letters, trusted, rate_full, paused, settled, drain FROM target"));
    for (;;) {
        EVENTYARD_TRY(row, rows.step());
        if (!row) break;
        Target target;
        target.id = rows.integer(0);
        target.kind = rows.text(2);
        target.cursor = rows.natural(3);
        if (!rows.is_null(4)) target.shard = static_cast<std::uint32_t>(rows.natural(4));
        target.retries = rows.integer(5);
        target.held = rows.integer(6);
        target.delayed = rows.integer(7);
        target.dead_letters = rows.integer(8);
        target.trusted = rows.integer(9) != 0;
        if (!rows.is_null(10)) target.rate_full = rows.time(10);
        target.paused = rows.text(11);
        target.settled = rows.text(12);
        target.drain = rows.natural(13);
        next_target_ = std::max(next_target_, target.id + 1);
        targets_.emplace(rows.text(1), std::move(target));
    }
    EVENTYARD_TRY(sources, Statement::prepare(database_, "SELECT bus, source FROM event_total"));
    for (;;) {
        EVENTYARD_TRY(row, sources.step());
        if (!row) break;
        sources_.insert(sources.text(0) + '\n' + sources.text(1));
    }
    resolve_idle();
    return {};
}

void Store::resolve_idle()
{
    for (auto& [name, target] : targets_) {
        if (!target.shard) continue;
        target.cursor = effective(target);
        target.shard.reset();
        resolved_.push_back(name);
    }
    resolve_first_ = !marks_.empty() || !resolved_.empty();
    marks_.clear();
}

Result<void> Store::set_store(const Id& store)
{
    EVENTYARD_CHECK(begin());
    meta_.store = store;
    return commit();
}

Result<void> Store::begin()
{
    EVENTYARD_ASSERT(!open_, "one transaction at a time");
    EVENTYARD_CHECK(sql_->begin.bind().run());
    open_ = true;
    marks_before_ = marks_;
    return {};
}

Result<void> Store::commit()
{
    EVENTYARD_ASSERT(open_, "commit ends a transaction");
    auto done = check_open();
    if (done.has_value()) done = flush();
    if (done.has_value()) done = sql_->commit.bind().run();
    if (!done.has_value()) {
        rollback();
        return done;
    }
    open_ = false;
    meta_stored_ = meta_;
    before_.clear();
    new_sources_.clear();
    resolve_first_ = false;
    resolved_.clear();
    return {};
}

/// What came then would be stored on its own, and once more when the transaction is tried again.
Result<void> Store::check_open() const
{
    if (!database_.in_transaction()) return fail(Errc::io, "state: a read failed, and SQLite has taken the transaction back");
    return {};
}

void Store::rollback() noexcept
{
    // SQLite rolls back by itself on some errors.
    if (database_.in_transaction()) (void)database_.run("ROLLBACK");
    for (auto at = before_.rbegin(); at != before_.rend(); ++at) {
        if (at->second)
            targets_[at->first] = std::move(*at->second);
        else
            targets_.erase(at->first);
    }
    before_.clear();
    for (const std::string& source : new_sources_) sources_.erase(source);
    new_sources_.clear();
    counts_.clear();
    marks_ = marks_before_;
    meta_ = meta_stored_;
    open_ = false;
}

Result<bool> Store::checkpoint(bool truncate)
{
    int frames = 0, moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(
        database_.handle(), "main",
        truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if ((code & 0xff) == SQLITE_BUSY) return false;  // a reader of somebody's
    if (code != SQLITE_OK) return database_.error(code, "checkpoint");
    if (frames != moved) return false;
    wal_frames_ = 0;
    return true;
}

std::uint64_t Store::wal_bytes() const noexcept
{
    return wal_frames_ == 0 ? 0 : 32 + wal_frames_ * (24 + state_page_size);
}

std::size_t Store::LedgerHash::operator()(const LedgerKey& key) const noexcept
{
    const std::hash<std::string> hash;
    return (hash(key.target) * 31 + hash(key.rule)) * 31 + static_cast<std::size_t>(key.what);
}

void Store::remember(const std::string& name)
{
    const auto found = targets_.find(name);
    if (found == targets_.end()) {
        before_.emplace_back(name, std::nullopt);
    } else if (!found->second.dirty) {
        before_.emplace_back(name, found->second);
        found->second.dirty = true;
    }
}

Store::Target& Store::touch(const std::string& name)
{
    remember(name);
    const auto [found, created] = targets_.try_emplace(name);
    if (created) {
        found->second.id = next_target_++;
        found->second.dirty = true;
    }
    return found->second;
}

const Store::Target* Store::find(const std::string& name) const
{
    const auto found = targets_.find(name);
    return found == targets_.end() ? nullptr : &found->second;
}

Sequence Store::effective(const Target& target) const
{
    if (!target.shard) return target.cursor;
    const auto mark = marks_.find(*target.shard);
    return mark == marks_.end() ? target.cursor : std::max(target.cursor, mark->second);
}

const std::string& Store::Target::encoded()
{
    if (listed) settled = encode_settled(*listed);
    listed.reset();
    return settled;
}

Result<void> Store::write(const std::string& name, Target& target)
{
    Statement& put = sql_->put_target;
    const auto rest = [&](auto shard, auto full) {
        return put
            .bind(target.id, std::string_view(name), std::string_view(target.kind), target.cursor,
                  shard, target.retries, target.held, target.delayed, target.dead_letters,
                  target.trusted ? 1 : 0, full, target.drain, std::string_view(target.paused), Blob{target.encoded()})
            .run();
    };
    const auto with_full = [&](auto shard) {
        return target.rate_full ? rest(shard, *target.rate_full) : rest(shard, nullptr);
    };
    EVENTYARD_CHECK(target.shard ? with_full(*target.shard) : with_full(nullptr));
    target.dirty = false;
    return {};
}

Result<void> Store::flush_ledger()
{
    for (const auto& [key, n] : counts_) {
        if (n == 0) continue;
        EVENTYARD_CHECK(
            sql_->add_count
                .bind(std::string_view(key.target), std::string_view(key.rule), key.what, n)
                .run());
    }
    counts_.clear();
    return {};
}

Result<void> Store::flush_targets()
{
    for (const auto& [name, was] : before_) {
        const auto found = targets_.find(name);
        if (found != targets_.end() && found->second.dirty)
            EVENTYARD_CHECK(write(name, found->second));
    }
    return {};
}

Result<void> Store::flush()
{
    EVENTYARD_CHECK(flush_ledger());
    if (resolve_first_) {
        EVENTYARD_CHECK(database_.run("DELETE FROM idle_mark"));
        for (const std::string& name : resolved_)
            if (const auto found = targets_.find(name); found != targets_.end())
                EVENTYARD_CHECK(write(name, found->second));
    }
    EVENTYARD_CHECK(flush_targets());
    for (const auto& [shard, through] : marks_) {
        const auto was = marks_before_.find(shard);
        if (was == marks_before_.end() || was->second != through)
            EVENTYARD_CHECK(sql_->put_mark.bind(shard, through).run());
    }
    if (!(meta_ == meta_stored_))
        EVENTYARD_CHECK(sql_->put_meta
                            .bind(Blob{bytes_of(meta_.store)}, meta_.reserved, meta_.synced,
                                  meta_.routed_through, meta_.next_dead_letter,
                                  meta_.unsure ? 1 : 0, meta_.counted_through)
                            .run());
    return {};
}

}  // namespace eventyard::router
