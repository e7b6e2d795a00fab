// router/backup.hpp — a consistent pair of state and journal, taken while the router runs.
//
// Below <data_dir>/backups, a directory a backup: state.db, journal/ and, written last, backup.json. The
// state is copied first: its positions then never lie beyond the journal's copy, and what it still needs
// is held until that is made (docs/adr/0025-backup.md). Sealed segments are second names of the same files.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/journal/journal.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

/// What backup.json holds.
struct BackupManifest {
    Id store;
    std::string made;                   // RFC 3339
    std::string by;                     // version of the binary
    Sequence last = 0;                  // highest sequence in the journal's copy
    std::vector<std::string> segments;  // file names below journal/
    std::uint64_t bytes = 0;            // of the segments
};
[[nodiscard]] std::string encode_manifest(const BackupManifest& manifest);
/// Errc::corrupt: not a manifest; unsupported: of a newer form.
Result<BackupManifest> decode_manifest(const std::string& text);

/// A backup that is complete; the directory is an absolute path when data_dir is one.
struct BackupMade {
    std::string path;
    BackupManifest manifest;
};

/// One backup at a time. Everything, `done` too, happens on the control thread.
class BackupDesk {
public:
    struct Hooks {
        /// Posts to the control thread, in order.
        std::function<void(std::function<void()>)> post;
        /// Has lanes and counters hand over what they know to the state, then calls back. Any thread.
        std::function<void(std::function<void()>)> gather;
        /// Stops the release of segments; false: not now, ask again.
        std::function<bool()> hold;
        std::function<void()> let_go;
    };
    /// The references outlive this and everything it asked of them.
    BackupDesk(Disk& disk, const Clock& clock, Journal& journal, State& state, std::string data_dir, Hooks hooks);

    void start(std::function<void(Result<BackupMade>)> done);
    /// At short intervals.
    void tick();

private:
    [[nodiscard]] Result<void> room_for_state();
    void copy_state();
    void copy_journal();
    void finish(Result<JournalCopy> copied);
    void answer(Result<BackupMade> result);

    Disk& disk_;
    const Clock& clock_;
    Journal& journal_;
    State& state_;
    const std::string data_dir_;
    const Hooks hooks_;
    std::function<void(Result<BackupMade>)> done_;  // empty: none under way
    std::optional<SteadyTime> hold_by_;             // waits for hold() until then
    std::string path_;
    bool made_directory_ = false;
};

}  // namespace eventyard::router
