#include "router/state/salvage.hpp"

#include <optional>

#include "core/disk.hpp"
#include "core/log.hpp"
#include "router/state/checksum_vfs.hpp"
#include "router/state/row_copy.hpp"
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
    EVENTYARD_CHECK(copy_rows(*from, format, to, report));
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
    StateReport found;
    EVENTYARD_TRY(complete, copy_rows(from, format, to, found));
    if (!complete) return fail(Errc::corrupt, "not every row could be read");
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
    // Read as the start reads it: pages of which each is intact may still make no tables.
    const auto open_readable = [&]() -> Result<std::unique_ptr<Store>> {
        EVENTYARD_TRY(opened_store, Store::open(disk, path));
        EVENTYARD_TRY(read, opened_store->snapshot());
        opened.snapshot = std::move(read);
        return opened_store;
    };
    auto store = open_readable();
    for (int tries = 1; !store.has_value() && store.error().code == Errc::io && tries < tries_max; ++tries)
        store = open_readable();
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
        store = open_readable();
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
