// tests/faults/preload.cpp — a library for LD_PRELOAD that makes the disk below one directory fail, when told to.
//
// What fails stands in a control file, which the test writes and removes while the process runs:
//
//     write EIO journal       every write below DIRECTORY whose path holds "journal" fails so
//     sync EIO state once     the next such sync fails; the file is removed then
//     all EROFS               whatever changes something: writes, syncs, new files, renames, unlinks, truncations
//
// A sync that fails here has not been passed on, so what was written stays in the page cache, as after a real one.
//
//     EVENTYARD_FAULTS_DIRECTORY  absolute
//     EVENTYARD_FAULTS_CONTROL    the control file, not below the directory
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

const std::string& directory()
{
    static const std::string& text = *new std::string(environment("EVENTYARD_FAULTS_DIRECTORY"));
    return text;
}
const std::string& control()
{
    static const std::string& text = *new std::string(environment("EVENTYARD_FAULTS_CONTROL"));
    return text;
}

std::string path_of(int file)
{
    char link[64], path[4096];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const auto size = ::readlink(link, path, sizeof path);
    return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

int number_of(const std::string& name)
{
    return name == "EROFS" ? EROFS : name == "ENOSPC" ? ENOSPC : EIO;
}

/// The error that this call gets; 0: none.
int fault(const char* call, const std::string& path)
{
    if (control().empty() || path.rfind(directory(), 0) != 0) return 0;
    const int file = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, control().c_str(), O_RDONLY | O_CLOEXEC, 0));
    if (file < 0) return 0;
    char text[256];
    const auto size = ::read(file, text, sizeof text - 1);
    ::syscall(SYS_close, file);
    if (size <= 0) return 0;
    text[size] = '\0';
    char what[32] = "", error[32] = "", part[64] = "", once[16] = "";
    std::sscanf(text, "%31s %31s %63s %15s", what, error, part, once);
    if (std::strcmp(what, "all") != 0 && std::strcmp(what, call) != 0) return 0;
    if (path.substr(directory().size()).find(part) == std::string::npos) return 0;
    // Of threads that come at once, the one that removes the file has the fault.
    if (std::strcmp(once, "once") == 0 && ::syscall(SYS_unlinkat, AT_FDCWD, control().c_str(), 0) != 0) return 0;
    return number_of(error);
}

bool fails(const char* call, const std::string& path)
{
    const int error = fault(call, path);
    if (error != 0) errno = error;
    return error != 0;
}

int open_at(int at, const char* path, int flags, mode_t mode)
{
    const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_ACCMODE) != O_RDONLY;
    if (changes && fails("open", path)) return -1;
    return static_cast<int>(::syscall(SYS_openat, at, path, flags, mode));
}

mode_t mode_in(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_in(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_in(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t at)
{
    if (fails("write", path_of(file))) return -1;
    return static_cast<ssize_t>(::syscall(SYS_pwrite64, file, bytes, size, at));
}
ssize_t pwrite64(int file, const void* bytes, std::size_t size, off64_t at)
{
    return pwrite(file, bytes, size, at);
}
ssize_t pwritev(int file, const iovec* pieces, int count, off_t at)
{
    if (fails("write", path_of(file))) return -1;
    return static_cast<ssize_t>(::syscall(SYS_pwritev, file, pieces, count, at, 0));
}
ssize_t pwritev64(int file, const iovec* pieces, int count, off64_t at)
{
    return pwritev(file, pieces, count, at);
}
int ftruncate(int file, off_t size) noexcept
{
    if (fails("truncate", path_of(file))) return -1;
    return static_cast<int>(::syscall(SYS_ftruncate, file, size));
}
int ftruncate64(int file, off64_t size) noexcept
{
    return ftruncate(file, size);
}
int fsync(int file)
{
    if (fails("sync", path_of(file))) return -1;
    return static_cast<int>(::syscall(SYS_fsync, file));
}
int fdatasync(int file)
{
    if (fails("sync", path_of(file))) return -1;
    return static_cast<int>(::syscall(SYS_fdatasync, file));
}
int rename(const char* from, const char* to) noexcept
{
    if (fails("rename", from)) return -1;
    return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept
{
    if (fails("unlink", path)) return -1;
    return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
}
