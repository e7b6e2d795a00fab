#include "cli/offline.hpp"

#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>

#include "core/disk.hpp"
#include "core/log.hpp"
#include "cli/overlay_disk.hpp"

namespace eventyard::cli {
namespace {

namespace fs = std::filesystem;

/// A directory of our own, gone at the end.
class Scratch {
public:
    static Result<std::unique_ptr<Scratch>> make()
    {
        std::error_code ec;
        const fs::path base = fs::temp_directory_path(ec);
        std::string path = (ec ? "/tmp" : base.string()) + "/eventyard-XXXXXX";
        if (::mkdtemp(path.data()) == nullptr) return fail_errno("mkdtemp", path, errno);
        return std::unique_ptr<Scratch>(new Scratch(path));
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch()
    {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    explicit Scratch(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Result<std::unique_ptr<router::State>> open_copy(Disk& disk, const std::string& data_dir, const std::string& scratch,
                                                 const Clock& clock)
{
    const std::string path = data_dir + "/state.db";
    if (!fs::exists(path)) return fail(Errc::not_found, "'" + path + "' does not exist: no daemon has run here");
    for (const char* suffix : {"", "-wal"}) {
        std::error_code ec;
        if (fs::exists(path + suffix)) fs::copy_file(path + suffix, scratch + "/state.db" + suffix, ec);
        if (ec) return fail(Errc::io, "cannot copy '" + path + suffix + "': " + ec.message());
    }
    EVENTYARD_TRY(state, router::State::open(disk, clock, {.path = scratch + "/state.db"}));
    if (state->report().set_aside)
        return fail(Errc::corrupt, "state.db is damaged: " + state->report().why + "; the next start salvages it");
    return state;
}

}  // namespace

Result<router::AuditReport> audit_offline(const std::string& data_dir)
{
    log::configure(log::Format::text, log::Level::error);
    PosixDisk disk;
    if (!fs::is_directory(data_dir)) return fail(Errc::not_found, "'" + data_dir + "' is no directory");
    auto lock = disk.lock(data_dir + "/lock");
    if (!lock.has_value() && lock.error().code == Errc::conflict)
        return fail(Errc::conflict, "a daemon uses '" + data_dir + "'; ask it, without --data-dir");
    if (!lock.has_value()) return lock.error();
    const SystemClock clock;
    SystemRandom random;
    EVENTYARD_TRY(scratch, Scratch::make());
    EVENTYARD_TRY(state, open_copy(disk, data_dir, scratch->path(), clock));
    std::promise<Result<router::AuditState>> answer;
    state->audit([&](Result<router::AuditState> found) { answer.set_value(std::move(found)); });
    EVENTYARD_TRY(rows, answer.get_future().get());
    const router::StateSnapshot& known = rows.snapshot;
    OverlayDisk overlay(disk);
    EVENTYARD_TRY(journal, router::Journal::open(overlay, clock, random,
                                                 {.directory = data_dir + "/journal", .spare_segments = 0},
                                                 {known.store, known.reserved, known.synced, known.routed_through}));
    if (journal->recovery().store_mismatch)
        return fail(Errc::conflict, "state.db belongs to another journal than the one beside it");
    auto report = router::audit(rows, *journal);
    journal->stop();
    state->stop();
    return report;
}

}  // namespace eventyard::cli
