// cli/backup.cpp — `eventyard backup DIR` of a running daemon, and `eventyard restore DIR --to DATA_DIR`.
//
// The daemon makes the pair below its own directory, in a moment, with second names of its files; what
// takes time, the copying, is done here, while it goes on.
#include <filesystem>
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "core/disk.hpp"
#include "core/log.hpp"
#include "core/units.hpp"
#include "router/restore.hpp"

namespace eventyard::cli {
namespace {

namespace fs = std::filesystem;

/// Copies a backup's files, backup.json last, so that a copy without it is known to be incomplete.
Result<void> copy_backup(Disk& disk, const std::string& from, const std::string& to)
{
    const auto copy_directory = [&](const std::string& below) -> Result<void> {
        EVENTYARD_CHECK(disk.make_directory(to + below));
        EVENTYARD_TRY(names, disk.list(from + below));
        for (const std::string& name : names) {
            const std::string path = from + below + "/" + name;
            if (fs::is_directory(path) || name == "backup.json") continue;
            EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
            EVENTYARD_TRY(size, file->size());
            EVENTYARD_CHECK(copy_file(disk, path, to + below + "/" + name, size));
        }
        return disk.sync_directory(to + below);
    };
    for (const char* below : {"/journal/routing", "/journal", ""}) EVENTYARD_CHECK(copy_directory(below));
    EVENTYARD_TRY(manifest, read_file(disk, from + "/backup.json", 64U << 20));
    return replace_file(disk, to + "/backup.json", manifest);
}

Result<bool> is_free(Disk& disk, const std::string& directory)
{
    if (!disk.exists(directory)) return true;
    EVENTYARD_TRY(names, disk.list(directory));
    return names.empty();
}

int backup(const AdminOptions& options, const std::string& to)
{
    PosixDisk disk;
    const auto free = is_free(disk, to);
    if (!free.has_value() || !*free) {
        std::cerr << "eventyard: " << (free.has_value() ? "'" + to + "' is not empty: every backup has a directory of its own" : free.error().what)
                  << "\n";
        return 2;
    }
    int exit_code = 0;
    const auto answer = ask_or_complain(options, "POST", "/v1/backup", exit_code);
    if (!answer) return exit_code;
    auto made = answer->json();
    const std::string from = made.value("path", "");
    const auto copied = copy_backup(disk, from, to);
    if (!copied.has_value()) {
        std::cerr << "eventyard: " << copied.error().what << "\nthe backup lies in '" << from << "' on the daemon's machine, whole\n";
        return 1;
    }
    std::error_code left;
    fs::remove_all(from, left);
    if (left) std::cerr << "eventyard: '" << from << "' holds space and can be removed: " << left.message() << "\n";
    made["path"] = to;
    if (options.json)
        std::cout << made.dump(2) << "\n";
    else
        std::cout << "backup of store " << made.value("store", "") << " in " << to << ": " << counted(made.value("segments", std::uint64_t{0}), "segment")
                  << ", " << format_size(made.value("journal_bytes", std::uint64_t{0})) << ", sequences to "
                  << grouped(made.value("last_sequence", std::uint64_t{0})) << "\n";
    return 0;
}

int restore(const std::string& from, const std::string& to, bool json)
{
    log::configure(log::Format::text, log::Level::error);
    PosixDisk disk;
    const SystemClock clock;
    SystemRandom random;
    const auto restored = router::restore_backup(disk, clock, random, from, to);
    if (!restored.has_value()) {
        std::cerr << "eventyard: " << restored.error().what << "\n";
        return 2;
    }
    const bool good = restored->check.good();
    if (json)
        std::cout << nlohmann::ordered_json{{"good", good}, {"data_dir", to}, {"store", restored->store.text()},
                                            {"of_store", restored->manifest.store.text()}, {"made", restored->manifest.made},
                                            {"last_sequence", restored->manifest.last}}.dump(2)
                  << "\n";
    else
        std::cout << "restored the backup of " << restored->manifest.made << " to " << to << "\nstore "
                  << restored->manifest.store.text() << " is " << restored->store.text() << " from here on; sequences go on above "
                  << grouped(restored->manifest.last) << "\n";
    if (!good)
        std::cerr << "eventyard: the backup is damaged; see `eventyard journal check " << to
                  << "`. A start counts what cannot be read as damaged\n";
    return good ? 0 : 1;
}

}  // namespace

std::function<int()> setup_backup(CLI::App& app)
{
    auto options = add_admin_options(app);
    auto to = std::make_shared<std::string>();
    app.add_option("dir", *to, "a directory that does not exist yet, or is empty")->required()->type_name("DIR");
    app.footer("Run it on the daemon's machine, as a user who may read and write its data directory. The daemon goes on meanwhile.");
    return [options, to] { return backup(*options, *to); };
}

std::function<int()> setup_restore(CLI::App& app)
{
    auto from = std::make_shared<std::string>();
    auto to = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    app.add_option("dir", *from, "the backup")->required()->type_name("DIR");
    app.add_option("--to", *to, "the data directory to be made: it must not exist yet, or be empty")->required()->type_name("DATA_DIR");
    app.add_flag("--json", *json, "one JSON object instead of text");
    app.footer("Exit code: 0 restored, 1 restored from a backup that is damaged, 2 not restored.");
    return [from, to, json] { return restore(*from, *to, *json); };
}

}  // namespace eventyard::cli
