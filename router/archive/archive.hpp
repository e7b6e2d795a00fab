// router/archive/archive.hpp — the archive files of one bus, and how far they go.
//
//     <data_dir>/archive/BUS/<first>-<last>-<store>.eya     one a segment that had events for it
//     <data_dir>/archive/BUS/through                        every segment up to here is archived
// A segment's file gets its name after its sync, `through` moves after that, and the segment may go
// after that. So a crash anywhere has the segment archived again under the same name: nothing is
// missing and nothing there twice. The file's name carries the journal's store, since another store
// gives the same sequences to other events. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router/archive/format.hpp"

namespace eventyard::router {

struct ArchiveFile {
    std::string path;
    std::uint64_t bytes = 0;
    ArchiveFooter footer;
};
using ArchiveFilePtr = std::shared_ptr<const ArchiveFile>;

/// For people.
struct ArchiveStatus {
    std::string bus;
    Sequence through = 0;        // archived up to here
    std::uint64_t files = 0, events = 0, bytes = 0;
    std::uint64_t removed = 0;   // events, by retention, since the start
    Sequence oldest = 0;         // 0: nothing there
    std::string error;           // why the last attempt failed; empty: it did not
};

/// A file under way; without finish() nothing of it stays.
class ArchiveDraft {
public:
    ArchiveDraft(Disk& disk, std::string path, std::unique_ptr<File> file, const Id& store, const std::string& bus)
        : disk_(disk), path_(std::move(path)), file_(std::move(file)), writer_(*file_, store, bus)
    {
    }
    ~ArchiveDraft();
    ArchiveDraft(const ArchiveDraft&) = delete;
    ArchiveDraft& operator=(const ArchiveDraft&) = delete;
    Result<void> add(Sequence sequence, const Event& event) { return writer_.add(sequence, event); }

private:
    friend class BusArchive;
    Disk& disk_;
    std::string path_;  // of the finished file
    std::unique_ptr<File> file_;
    ArchiveWriter writer_;
    bool finished_ = false;
};

class BusArchive {
public:
    /// Makes the directory if need be. Files that cannot be read are told in the log, left where they
    /// are, and hold nothing.
    /// @param disk  outlives this and its drafts
    static Result<BusArchive> open(Disk& disk, const std::string& root, const std::string& bus, const Id& store);

    Result<std::unique_ptr<ArchiveDraft>> begin(Sequence first, Sequence last);
    Result<void> finish(ArchiveDraft& draft, Sequence first, Sequence last);
    /// Files that could not be read at the start: nobody knows what they hold.
    [[nodiscard]] const std::vector<std::string>& unread() const noexcept { return unread_; }
    /// Rewrites the file without the event's body, if it holds it; whether it does. Errc::corrupt: it was not found, and a
    /// block that might hold it cannot be read. Of blocks that cannot be read a rewrite leaves nothing.
    /// @param file  one of files()
    Result<bool> erase(const ArchiveFilePtr& file, const Id& event);
    /// Durable.
    Result<void> set_through(Sequence through);
    [[nodiscard]] Sequence through() const noexcept { return through_; }

    /// Ascending.
    [[nodiscard]] const std::vector<ArchiveFilePtr>& files() const noexcept { return files_; }
    Result<void> remove(const ArchiveFilePtr& file);

private:
    BusArchive(Disk& disk, std::string directory, std::string bus, const Id& store)
        : disk_(&disk), directory_(std::move(directory)), bus_(std::move(bus)), store_(store)
    {
    }
    Result<std::unique_ptr<ArchiveDraft>> begin(std::string path, const Id& store);
    void insert(ArchiveFilePtr file);

    Disk* disk_;
    std::string directory_, bus_;
    Id store_;
    Sequence through_ = 0;
    std::vector<ArchiveFilePtr> files_;
    std::vector<std::string> unread_;
};

}  // namespace eventyard::router
