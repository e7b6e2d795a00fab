#include "core/disk.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>

namespace eventyard {
namespace {

class PosixFile final : public File {
public:
    PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;
    ~PosixFile() override { ::close(fd_); }

    Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
    {
        std::vector<iovec> vectors;
        vectors.reserve(pieces.size());
        for (const std::string_view piece : pieces)
            if (!piece.empty()) vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
        std::size_t first = 0;
        while (first < vectors.size()) {
            const auto count = static_cast<int>(std::min<std::size_t>(vectors.size() - first, IOV_MAX));
            const ssize_t n = ::pwritev(fd_, vectors.data() + first, count, static_cast<off_t>(offset));
            if (n < 0) {
                if (errno == EINTR) continue;
                return fail_errno("write", path_, errno);
            }
            offset += static_cast<std::uint64_t>(n);
            auto left = static_cast<std::size_t>(n);
            while (first < vectors.size() && left >= vectors[first].iov_len)
                left -= vectors[first++].iov_len;
            if (left > 0) {
                vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + left;
                vectors[first].iov_len -= left;
            }
        }
        return {};
    }

    Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
    {
        out.resize(size);
        std::size_t have = 0;
        while (have < size) {
            const ssize_t n =
                ::pread(fd_, out.data() + have, size - have, static_cast<off_t>(offset + have));
            if (n < 0) {
                if (errno == EINTR) continue;
                return fail_errno("read", path_, errno);
            }
            if (n == 0) break;
            have += static_cast<std::size_t>(n);
        }
        out.resize(have);
        return {};
    }

    Result<void> sync_data() override
    {
        if (::fdatasync(fd_) != 0) return fail_errno("fdatasync", path_, errno);
        return {};
    }

    Result<void> sync_all() override
    {
        if (::fsync(fd_) != 0) return fail_errno("fsync", path_, errno);
        return {};
    }

    Result<void> truncate(std::uint64_t size) override
    {
        if (::ftruncate(fd_, static_cast<off_t>(size)) != 0)
            return fail_errno("truncate", path_, errno);
        return {};
    }

    Result<std::uint64_t> size() override
    {
        struct stat info {};
        if (::fstat(fd_, &info) != 0) return fail_errno("stat", path_, errno);
        return static_cast<std::uint64_t>(info.st_size);
    }

    Result<WallTime> modified() override
    {
        struct stat info {};
        if (::fstat(fd_, &info) != 0) return fail_errno("stat", path_, errno);
        return WallTime{std::chrono::seconds{info.st_mtim.tv_sec} +
                        std::chrono::nanoseconds{info.st_mtim.tv_nsec}};
    }

    Result<std::uint64_t> links() override
    {
        struct stat info {};
        if (::fstat(fd_, &info) != 0) return fail_errno("stat", path_, errno);
        return static_cast<std::uint64_t>(info.st_nlink);
    }

private:
    int fd_;
    std::string path_;
};

}  // namespace

Result<std::unique_ptr<File>> PosixDisk::open(const std::string& path, OpenMode mode)
{
    int flags = O_CLOEXEC;
    switch (mode) {
        case OpenMode::read: flags |= O_RDONLY; break;
        case OpenMode::read_write: flags |= O_RDWR; break;
        case OpenMode::create_new: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    }
    const int fd = ::open(path.c_str(), flags, 0640);
    if (fd < 0) {
        if (errno == ENOENT) return fail(Errc::not_found, "no such file '" + path + "'");
        return fail_errno("open", path, errno);
    }
    return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path));
}

Result<std::unique_ptr<File>> PosixDisk::open_output(const std::string& path)
{
    // O_NONBLOCK: opening a device or FIFO must not wait; it is refused below.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0) {
        if (errno == ELOOP) return fail(Errc::io, "'" + path + "' is a symbolic link");
        if (errno == ENXIO) return fail(Errc::io, "'" + path + "' is not a regular file");
        return fail_errno("open", path, errno);
    }
    auto file = std::make_unique<PosixFile>(fd, path);
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail_errno("stat", path, errno);
    if (!S_ISREG(info.st_mode)) return fail(Errc::io, "'" + path + "' is not a regular file");
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::conflict, "'" + path + "' is being written by another target or process");
    return std::unique_ptr<File>(std::move(file));
}

Result<void> PosixDisk::rename(const std::string& from, const std::string& to)
{
    if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename to", to, errno);
    return {};
}

Result<void> PosixDisk::unlink(const std::string& path)
{
    if (::unlink(path.c_str()) == 0) return {};
    if (errno == ENOENT) return fail(Errc::not_found, "no such file '" + path + "'");
    return fail_errno("unlink", path, errno);
}

Result<void> PosixDisk::link(const std::string& from, const std::string& to)
{
    if (::link(from.c_str(), to.c_str()) != 0) return fail_errno("link to", to, errno);
    return {};
}

Result<void> PosixDisk::sync_directory(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open directory", path, errno);
    const int done = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    if (done != 0) return fail_errno("fsync directory", path, error);
    return {};
}

Result<void> PosixDisk::make_directory(const std::string& path)
{
    namespace fs = std::filesystem;
    fs::path so_far;
    const auto above = [&] { return so_far.has_parent_path() ? so_far.parent_path().string() : "."; };
    for (const auto& part : fs::path(path)) {
        if (part.empty()) continue;  // a slash at the end
        so_far /= part;
        if (so_far == "/") continue;
        if (::mkdir(so_far.c_str(), 0750) == 0) {
            EVENTYARD_CHECK(sync_directory(above()));
        } else if (errno != EEXIST) {
            return fail_errno("mkdir", so_far.string(), errno);
        }
    }
    // A process that was killed may have made it and not synced it. Who did not make it may be unable
    // to: the directory above need not be readable.
    (void)sync_directory(above());
    std::error_code ec;
    if (!fs::is_directory(path, ec)) return fail(Errc::io, "'" + path + "' is not a directory");
    return {};
}

Result<std::vector<std::string>> PosixDisk::list(const std::string& path)
{
    std::error_code ec;
    std::vector<std::string> names;
    std::filesystem::directory_iterator at{path, ec};
    for (; !ec && at != std::filesystem::directory_iterator{}; at.increment(ec))
        names.push_back(at->path().filename().string());
    if (ec) return fail_errno("list", path, ec.value());
    std::sort(names.begin(), names.end());
    return names;
}

bool PosixDisk::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<Space> PosixDisk::space(const std::string& path)
{
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) return fail_errno("statvfs", path, errno);
    return Space{static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize,
                 static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize};
}

Result<std::shared_ptr<void>> PosixDisk::lock(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return fail_errno("open", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        ::close(fd);
        if (error == EWOULDBLOCK)
            return fail(Errc::conflict, "'" + path + "' is locked: another process uses it");
        return fail_errno("lock", path, error);
    }
    return std::shared_ptr<void>(new int{fd}, [](void* held) {
        ::close(*static_cast<int*>(held));
        delete static_cast<int*>(held);
    });
}

Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t limit)
{
    EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
    EVENTYARD_TRY(size, file->size());
    if (size > limit)
        return fail(Errc::too_large, "'" + path + "' has " + std::to_string(size) +
                                         " bytes, more than the " + std::to_string(limit) +
                                         " allowed here");
    std::string content;
    EVENTYARD_CHECK(file->read_at(0, static_cast<std::size_t>(size), content));
    return content;
}

Result<void> copy_file(Disk& disk, const std::string& from, const std::string& to, std::uint64_t size)
{
    constexpr std::uint64_t piece = 1U << 20;
    EVENTYARD_TRY(source, disk.open(from, OpenMode::read));
    EVENTYARD_TRY(copy, disk.open(to, OpenMode::create_new));
    std::string bytes;
    for (std::uint64_t at = 0; at < size; at += bytes.size()) {
        EVENTYARD_CHECK(source->read_at(at, static_cast<std::size_t>(std::min(piece, size - at)), bytes));
        if (bytes.empty()) return fail(Errc::io, "'" + from + "' is shorter than it was");
        EVENTYARD_CHECK(copy->write_at(at, {bytes}));
    }
    return copy->sync_all();
}

Result<void> link_or_copy(Disk& disk, const std::string& from, const std::string& to)
{
    if (disk.link(from, to).has_value()) return {};
    std::uint64_t size = 0;
    {
        EVENTYARD_TRY(file, disk.open(from, OpenMode::read));
        EVENTYARD_TRY(bytes, file->size());
        size = bytes;
    }
    return copy_file(disk, from, to, size);
}

Result<void> replace_file(Disk& disk, const std::string& path, std::string_view content)
{
    const std::string temp = path + ".tmp";
    if (disk.exists(temp)) EVENTYARD_CHECK(disk.unlink(temp));
    {
        EVENTYARD_TRY(file, disk.open(temp, OpenMode::create_new));
        EVENTYARD_CHECK(file->write_at(0, {content}));
        EVENTYARD_CHECK(file->sync_all());
    }
    EVENTYARD_CHECK(disk.rename(temp, path));
    const auto slash = path.rfind('/');
    return disk.sync_directory(slash == std::string::npos ? "." : path.substr(0, slash));
}

}  // namespace eventyard
