#include "router/restore.hpp"

#include <algorithm>
#include <filesystem>

#include "router/journal/format.hpp"
#include "router/journal/versions.hpp"
#include "router/state/inspect.hpp"
#include "router/state/rebind.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint64_t manifest_max = 64U << 20;
constexpr std::uint64_t version_max = 1ULL << 30;

Result<std::uint64_t> size_of(Disk& disk, const std::string& path)
{
    EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
    return file->size();
}

Result<void> refuse_unless_empty(Disk& disk, const std::string& directory)
{
    if (!disk.exists(directory)) return {};
    EVENTYARD_TRY(names, disk.list(directory));
    std::erase(names, "lost+found");  // a file system's own
    std::erase(names, "lock");        // a former attempt's, or a doctor's
    if (names.empty()) return {};
    return fail(Errc::conflict, "'" + directory + "' is not empty: a restore needs a data directory of its own");
}

/// Frames are tied to their segment's id, the header alone to the store.
Result<void> copy_segment(Disk& disk, const std::string& from, const std::string& to, const std::string& name,
                          const BackupManifest& manifest, const Id& store)
{
    const auto parsed = parse_segment_name(name);
    if (!parsed) return fail(Errc::corrupt, "backup.json names '" + name + "', which is no segment");
    EVENTYARD_TRY(size, size_of(disk, from + '/' + name));
    EVENTYARD_CHECK(copy_file(disk, from + '/' + name, to + '/' + name, size));
    EVENTYARD_TRY(file, disk.open(to + '/' + name, OpenMode::read_write));
    std::string block;
    EVENTYARD_CHECK(file->read_at(0, segment_data_start, block));
    auto header = decode_segment_header(block, parsed->second);
    if (!header.has_value()) return header.error().code == Errc::unsupported ? Result<void>{header.error()} : Result<void>{};
    if (header->store != manifest.store) return fail(Errc::corrupt, "'" + name + "' belongs to another journal than the backup");
    header->store = store;
    EVENTYARD_CHECK(file->write_at(0, {encode_segment_header(*header)}));
    return file->sync_all();
}

Result<void> copy_versions(Disk& disk, const std::string& from, const std::string& to, const Id& store)
{
    EVENTYARD_CHECK(disk.make_directory(to));
    EVENTYARD_TRY(names, disk.list(from));
    for (const std::string& name : names) {
        EVENTYARD_TRY(bytes, read_file(disk, from + '/' + name, version_max));
        const auto version = decode_version(bytes);
        if (!version.has_value() && version.error().code == Errc::unsupported) return version.error();
        // A damaged copy is left out: its twin mends it.
        if (version.has_value()) EVENTYARD_CHECK(replace_file(disk, to + '/' + name, encode_version(store, version->second)));
    }
    return {};
}

Result<Restored> fill(Disk& disk, const Clock& clock, const std::string& from, const std::string& part, Restored restored)
{
    const std::string journal = part + "/journal", state = part + "/state.db";
    EVENTYARD_CHECK(disk.make_directory(journal));
    for (const std::string& name : restored.manifest.segments)
        EVENTYARD_CHECK(copy_segment(disk, from + "/journal", journal, name, restored.manifest, restored.store));
    EVENTYARD_CHECK(copy_versions(disk, from + "/journal/routing", journal + "/routing", restored.store));
    EVENTYARD_TRY(size, size_of(disk, from + "/state.db"));
    EVENTYARD_CHECK(copy_file(disk, from + "/state.db", state, size));
    EVENTYARD_TRY(was, inspect_state(disk, state));
    if (was.store != restored.manifest.store) return fail(Errc::corrupt, "state.db of the backup belongs to another journal");
    EVENTYARD_CHECK(rebind_state(disk, clock, state, restored.store));
    EVENTYARD_TRY(check, check_journal(disk, journal, {restored.store, was.reserved, was.synced, was.routed_through}));
    restored.check = std::move(check);
    EVENTYARD_CHECK(disk.sync_directory(journal));
    EVENTYARD_CHECK(disk.sync_directory(part));
    return restored;
}

}  // namespace

Result<Restored> restore_backup(Disk& disk, const Clock& clock, Random& random, const std::string& from,
                                const std::string& to)
{
    Restored restored;
    auto text = read_file(disk, from + "/backup.json", manifest_max);
    if (!text.has_value() && text.error().code == Errc::not_found)
        return fail(Errc::not_found, "'" + from + "' is no backup, or one that was not completed: it holds no backup.json");
    if (!text.has_value()) return text.error();
    EVENTYARD_TRY(manifest, decode_manifest(*text));
    restored.manifest = std::move(manifest);
    for (const std::string& name : restored.manifest.segments)
        if (!disk.exists(from + "/journal/" + name)) return fail(Errc::not_found, "the backup lacks 'journal/" + name + "'");
    if (!disk.exists(from + "/state.db")) return fail(Errc::not_found, "the backup lacks 'state.db'");
    EVENTYARD_CHECK(refuse_unless_empty(disk, to));
    restored.store = random_id(random);
    EVENTYARD_CHECK(disk.make_directory(to));
    EVENTYARD_TRY(lock, disk.lock(to + "/lock"));

    // Nothing is in its place before everything is there; a crash in between leaves a directory that
    // holds neither journal nor state.
    const std::string part = to + "/restore.part";
    auto filled = fill(disk, clock, from, part, std::move(restored));
    if (!filled.has_value()) {
        std::error_code ignored;
        std::filesystem::remove_all(part, ignored);
        return filled;
    }
    EVENTYARD_CHECK(disk.rename(part + "/journal", to + "/journal"));
    EVENTYARD_CHECK(disk.rename(part + "/state.db", to + "/state.db"));
    EVENTYARD_CHECK(disk.sync_directory(to));
    std::error_code ignored;
    std::filesystem::remove_all(part, ignored);
    return filled;
}

}  // namespace eventyard::router
