// targets/log_writer.hpp — appends lines to a file so that a crash leaves only whole lines behind.
//
// Everything blocks: worker's thread only, except stats() and request_reopen(), which any thread may
// call. After a failed write or sync the file is cut back to its last good length and opened anew;
// a sync is never tried twice, as the kernel may have dropped the pages the first time. On open, a
// last line without its end is moved to "<path>.partial". The directory is made if missing.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"
#include "targets/compressor.hpp"
#include "targets/rotation.hpp"

namespace eventyard::targets {

struct LogWriterOptions {
    std::string path;
    bool sync = true;  // false: lines settle when written; a machine crash may lose them
    Rotation rotation;
};

class LogWriter {
public:
    struct Appended {
        std::size_t settled = 0;     // lines from the front that are in the file (and synced)
        std::optional<Error> error;  // why the rest is not
    };
    struct Stats {
        std::uint64_t size = 0;      // bytes of the current file
        std::uint64_t lines = 0;     // settled since start
        std::uint64_t rotations = 0;
        std::uint64_t torn = 0;      // times that last lines were moved to .partial
        std::string last_error;      // empty after a success
    };

    /// @param target  its name, for the log
    LogWriter(LogWriterOptions options, std::shared_ptr<Disk> disk, std::string target);

    /// @param lines  each with its line feed
    Appended append(const std::vector<std::string_view>& lines, WallTime now);
    /// Background work after a rotation: compresses, removes old files. True when there is more.
    bool step();
    void close();

    void request_reopen() noexcept { reopen_ = true; }
    [[nodiscard]] Stats stats() const;

private:
    Result<void> open(WallTime now);
    /// What a crash left of lines that were never synced, and what was written after them.
    Result<void> cut_torn_lines(File& file, std::uint64_t& size);
    Result<void> move_to_partial(File& file, std::uint64_t begin, std::uint64_t end);
    Result<void> write(const std::vector<std::string_view>& lines, std::size_t begin,
                       std::size_t end);
    void rotate(WallTime now);
    void tidy();
    void note(const std::optional<Error>& error, std::size_t settled);

    LogWriterOptions options_;
    std::shared_ptr<Disk> disk_;
    std::string target_;
    std::string directory_;
    std::string name_;
    std::unique_ptr<File> file_;
    std::uint64_t offset_ = 0;       // everything before is settled
    WallTime period_{};
    WallTime rotate_not_before_{};   // after a failed rotation
    bool tidy_due_ = false;
    std::deque<std::string> to_compress_;
    std::unique_ptr<Compressor> compressor_;
    std::atomic<bool> reopen_{false};
    mutable std::mutex stats_mutex_;
    Stats stats_;
};

}  // namespace eventyard::targets
