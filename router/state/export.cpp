#include "router/state/export.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/disk.hpp"
#include "router/state/checksum_vfs.hpp"

namespace eventyard::router {
namespace {

/// The copy was written past the VFS that does this.
Result<void> seal_pages(File& file)
{
    EVENTYARD_TRY(size, file.size());
    std::string page;
    for (std::uint64_t at = 0; at + state_page_size <= size; at += state_page_size) {
        EVENTYARD_CHECK(file.read_at(at, state_page_size, page));
        seal_page(page, static_cast<std::uint32_t>(at / state_page_size + 1));
        EVENTYARD_CHECK(file.write_at(at, {page}));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Export>> Export::start(Database& source, const std::string& path)
{
    PosixDisk disk;
    if (disk.exists(path)) return fail(Errc::conflict, "'" + path + "' exists already");
    std::unique_ptr<Export> made{new Export()};
    made->path_ = path;
    const std::string temp = path + ".part";
    if (disk.exists(temp)) EVENTYARD_CHECK(disk.unlink(temp));
    const int fd = ::open(temp.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) return fail_errno("create", temp, errno);
    ::close(fd);
    made->temp_ = temp;
    EVENTYARD_TRY(copy, Database::open(temp, SQLITE_OPEN_READWRITE, nullptr));
    made->copy_ = std::move(copy);
    made->backup_ = sqlite3_backup_init(made->copy_.handle(), "main", source.handle(), "main");
    if (made->backup_ == nullptr)
        return made->copy_.error(sqlite3_extended_errcode(made->copy_.handle()), "start the copy");
    return made;
}

Export::~Export()
{
    if (backup_ != nullptr) sqlite3_backup_finish(backup_);
    copy_.close();
    if (temp_.empty()) return;
    ::unlink(temp_.c_str());
    ::unlink((temp_ + "-journal").c_str());
}

Result<bool> Export::step(int pages)
{
    const int code = sqlite3_backup_step(backup_, pages);
    if (code == SQLITE_OK) return false;
    if (code != SQLITE_DONE) return copy_.error(code, "copy the state");
    const int ended = sqlite3_backup_finish(backup_);
    backup_ = nullptr;
    if (ended != SQLITE_OK) return copy_.error(ended, "end the copy");
    EVENTYARD_CHECK(finish());
    return true;
}

Result<void> Export::finish()
{
    EVENTYARD_TRY(mode, copy_.ask("PRAGMA journal_mode=DELETE"));
    if (mode != "delete") return fail(Errc::io, "the copy '" + temp_ + "' keeps its log");
    copy_.close();
    PosixDisk disk;
    {
        EVENTYARD_TRY(file, disk.open(temp_, OpenMode::read_write));
        EVENTYARD_CHECK(seal_pages(*file));
        EVENTYARD_CHECK(file->sync_all());
    }
    EVENTYARD_CHECK(disk.rename(temp_, path_));
    temp_.clear();
    const auto slash = path_.rfind('/');
    return disk.sync_directory(slash == std::string::npos ? "."
                               : slash == 0               ? "/"
                                                          : path_.substr(0, slash));
}

}  // namespace eventyard::router
