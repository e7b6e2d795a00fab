// core/disk.hpp — the file system calls the journal depends on, behind an interface tests can break.
//
// PosixDisk performs them; tests and the simulator lose un-synced writes, tear sectors, flip bits,
// fill up and fail. Paths are plain strings; all calls block, so never on an I/O thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard {

/// One open file. Not thread-safe, except read_at, which may run beside one writer.
class File {
public:
    virtual ~File() = default;
    /// Writes all pieces, one after the other, starting at `offset` (pwritev); no short writes.
    virtual Result<void> write_at(std::uint64_t offset,
                                  const std::vector<std::string_view>& pieces) = 0;
    /// Reads up to `size` bytes into `out` (resized to what was read; shorter only at the end).
    virtual Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) = 0;
    virtual Result<void> sync_data() = 0;  // fdatasync
    virtual Result<void> sync_all() = 0;   // fsync
    virtual Result<void> truncate(std::uint64_t size) = 0;
    virtual Result<std::uint64_t> size() = 0;
    /// Directory entries of the file (st_nlink).
    virtual Result<std::uint64_t> links() { return std::uint64_t{1}; }
    /// When it was last written.
    virtual Result<WallTime> modified() { return fail(Errc::unsupported, "no modification time"); }
};

enum class OpenMode : std::uint8_t { read, read_write, create_new };

struct Space {
    std::uint64_t free = 0;   // bytes an unprivileged writer may still use
    std::uint64_t total = 0;  // bytes
};

class Disk {
public:
    virtual ~Disk() = default;
    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
    /// Opens, or creates, a file that leaves our hands (a file target's): a regular file, not through
    /// a symbolic link, and locked against a second writer (Errc::conflict while there is one).
    virtual Result<std::unique_ptr<File>> open_output(const std::string& path)
    {
        return open(path, exists(path) ? OpenMode::read_write : OpenMode::create_new);
    }
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;  // Errc::not_found: it is not there
    /// Gives the file a second name, which must not exist, on the same file system.
    virtual Result<void> link(const std::string& from, const std::string& to)
    {
        (void)from, (void)to;
        return fail(Errc::unsupported, "this disk gives no second names");
    }
    /// Makes creates, renames and unlinks in `path` durable.
    virtual Result<void> sync_directory(const std::string& path) = 0;
    /// Creates the directory and its parents if missing; what it creates is durable.
    virtual Result<void> make_directory(const std::string& path) = 0;
    /// Names (not paths) in a directory, sorted.
    virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
    virtual bool exists(const std::string& path) = 0;
    virtual Result<Space> space(const std::string& path) = 0;
    /// Creates `path` if missing and locks it against other processes until the result is
    /// destroyed. Errc::conflict: another process has it.
    virtual Result<std::shared_ptr<void>> lock(const std::string& path)
    {
        (void)path;
        return std::shared_ptr<void>{};
    }
};

/// The real thing. Files are opened O_CLOEXEC with mode 0640, directories with 0750. Thread-safe.
class PosixDisk final : public Disk {
public:
    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
    Result<std::unique_ptr<File>> open_output(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> link(const std::string& from, const std::string& to) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<void> make_directory(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& path) override;
    bool exists(const std::string& path) override;
    Result<Space> space(const std::string& path) override;
    Result<std::shared_ptr<void>> lock(const std::string& path) override;
};

/// Reads a whole file; Errc::too_large above `limit` bytes.
Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t limit);

/// A second name where the file system gives one, else a copy, synced; `to` must not exist. The
/// directory is left to the caller.
Result<void> link_or_copy(Disk& disk, const std::string& from, const std::string& to);
/// The first `size` bytes of a file as a new one, synced.
Result<void> copy_file(Disk& disk, const std::string& from, const std::string& to, std::uint64_t size);

/// Replaces a file so that a crash leaves the old or the new one: temp file, fsync, rename, fsync
/// of the directory.
Result<void> replace_file(Disk& disk, const std::string& path, std::string_view content);

}  // namespace eventyard
