// tests/sim/disk.hpp — the simulated disk: keeps what was synced, and loses the rest when the power goes.
//
// Of what was written since the last sync a power cut keeps, for every sector of 512 bytes on its own,
// the newest content, the synced one, or one in between. Names made, moved and removed since the last
// sync of their directory survive in any combination. A sync that fails may have reached the platter
// or not, and never will again: those pages count as clean (fsyncgate), so a second sync that succeeds
// says nothing about them. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "tests/sim/coverage.hpp"

namespace eventyard::sim {

enum class Call : std::uint8_t { open, read, write, sync, truncate, rename, unlink, sync_directory };

class SimDisk final : public Disk {
public:
    static constexpr std::size_t sector = 512;

    SimDisk(Random& random, Coverage& coverage) : random_(random), coverage_(coverage) {}

    // --- what the world does to it ------------------------------------------------------------------

    /// Asked before each call; a value makes it fail. A failed write changes some of its sectors.
    std::function<std::optional<Error>(Call call, const std::string& path)> fault;
    /// A sync of a file takes its time: others may run meanwhile.
    std::function<void(const std::string& path)> syncing;
    /// After this many more calls that change something the power goes: nothing changes any more. 0: never.
    std::uint64_t cut_after = 0;
    /// Growing files and new ones fail.
    bool full = false;
    /// What it says is free while it is not full.
    std::uint64_t free = 1ULL << 39;
    /// The modification time of files.
    const Clock* clock = nullptr;

    [[nodiscard]] bool frozen() const noexcept { return frozen_; }
    void freeze() noexcept { frozen_ = true; }
    /// The power comes back: the disk is what it kept.
    void power_on();
    /// Changes what is stored, behind everybody's back. Bytes past the end are left out.
    void patch(const std::string& path, std::uint64_t at, std::string_view bytes);
    [[nodiscard]] std::vector<std::string> paths() const;
    [[nodiscard]] std::uint64_t size_of(const std::string& path) const;
    /// As the process sees it.
    [[nodiscard]] std::string content(const std::string& path) const;
    [[nodiscard]] std::uint64_t bytes() const;

    // --- planted mistakes: see plants.hpp -----------------------------------------------------------

    /// Files below this prefix: a sync does nothing and says it did.
    std::string skip_sync_below;
    /// A sync that failed is tried again.
    bool retry_failed_sync = false;
    std::function<void(const std::string& from, const std::string& to)> renamed;

    // --- Disk ---------------------------------------------------------------------------------------

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<void> make_directory(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& path) override;
    bool exists(const std::string& path) override;
    Result<Space> space(const std::string& path) override;
    Result<std::shared_ptr<void>> lock(const std::string& path) override;

private:
    class SimFile;
    /// What one call changed of a file: the bytes before, at their place.
    struct Undo {
        std::uint64_t offset;
        std::string before;
        bool truncated = false;  // cut off, as a whole: a file system forgets a tail in one piece or not at all
    };
    struct Inode {
        std::string data;                             // what the process sees
        std::uint64_t stable_size = 0;
        std::vector<Undo> undo;                       // since the last sync, oldest first
        std::map<std::uint64_t, std::string> doomed;  // sectors a failed sync left behind: what is stored
    };
    using InodePtr = std::shared_ptr<Inode>;
    struct Entry {
        std::string path;
        InodePtr before, after;
    };
    using Step = std::vector<Entry>;  // one call: happens as a whole or not at all

    std::optional<Error> ask(Call call, const std::string& path);
    void write(Inode& inode, std::uint64_t offset, std::string_view bytes);
    void resize(Inode& inode, std::uint64_t size);
    Result<void> sync(Inode& inode, const std::string& path);
    void fail_sync(Inode& inode);
    void lose(Inode& inode);
    void log(Step step);

    Random& random_;
    Coverage& coverage_;
    bool frozen_ = false;
    std::map<std::string, InodePtr> names_;
    std::set<std::string> directories_, locks_;
    std::map<std::string, std::vector<Step>> changes_;  // by directory, since its last sync
};

}  // namespace eventyard::sim
