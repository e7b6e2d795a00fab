// tests/power/preload.cpp — a library for LD_PRELOAD that takes the power away from a running process.
//
// It stands between the process and libc for every call by which the daemon and SQLite change what lies
// below one directory. The files there are the process's own view, so reads need no help. Beside them a
// Platter in this process's memory holds what was synced and what was not. Syncs are not passed on to
// the disk: they move changes over in the Platter, after a wait in which other threads go on and the
// power may go. At the chosen call one possible state of the platter is written to DIRECTORY.platter,
// and the process ends at once with `exit_cut`.
//
// Nothing may slip past. Before a cut the Platter's idea of the live files is compared with the files,
// to the byte: a change by any other road (a call not wrapped here, a stream, a descriptor that was
// duplicated) ends the process with `exit_unseen`. A file mapped for writing (SQLite's -shm) is read at
// the cut and counts as one write that was never synced.
//
// Raw system calls, because looking up the next `open` would itself be one of the calls to look up.
//
//     EVENTYARD_POWER_DIRECTORY  absolute, without links; it and its parents are there and stay
//     EVENTYARD_POWER_CUT        the number of the call that is not made any more; a sync counts twice
//     EVENTYARD_POWER_SEED       of what survives
//     EVENTYARD_POWER_OMIT       journal, state or directories: their syncs say they did and do nothing
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>

#include "tests/power/exits.hpp"
#include "tests/power/platter.hpp"

namespace {

namespace fs = std::filesystem;
using namespace eventyard::power;

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

std::string content_of(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

Tree read_tree(const std::string& root)
{
    Tree tree;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        auto& content = tree[entry.path().string()];
        if (!entry.is_directory()) content = content_of(entry.path().string());
    }
    return tree;
}

/// The library itself is at work on this thread: its calls are its own.
thread_local bool at_work = false;
/// Before that an allocator may be setting itself up, and memory cannot be had for a look at its calls.
std::atomic<bool> started{false};

/// One descriptor of a file or directory below the root.
struct Open {
    std::string path;
    std::optional<Platter::FileId> file;  // nothing: a directory
    bool appends = false;
};

class Power {
public:
    static Power& get()
    {
        static Power& power = *new Power;  // never destroyed: threads may outlive main
        return power;
    }

    /// Takes what lies below the root for synced. Before the process has threads.
    void start()
    {
        if (root_.empty()) return;
        at_work = true;
        platter_.emplace(read_tree(root_));
        at_work = false;
    }
    /// The path as the Platter knows it; empty: not below the root.
    [[nodiscard]] std::string ours(const char* path) const
    {
        if (root_.empty() || at_work) return {};
        const std::string whole = fs::absolute(path).lexically_normal().string();
        return whole.rfind(root_ + "/", 0) == 0 || whole == root_ ? whole : "";
    }
    [[nodiscard]] bool ours(int fd) const noexcept
    {
        return fd >= 0 && static_cast<std::size_t>(fd) < tracked_.size() && tracked_[static_cast<std::size_t>(fd)];
    }

    /// Held over a change and its being noted, so that both happen in one order.
    std::mutex mutex;
    Platter& platter() noexcept { return *platter_; }
    Open& at(int fd) { return open_.at(fd); }
    void add(int fd, Open open)
    {
        if (static_cast<std::size_t>(fd) >= tracked_.size()) end(exit_unseen, "a descriptor is too high");
        open_[fd] = std::move(open);
        tracked_[static_cast<std::size_t>(fd)] = true;
    }
    void remove(int fd)
    {
        tracked_[static_cast<std::size_t>(fd)] = false;
        open_.erase(fd);
    }
    void mapped(int fd) { mapped_.insert(at(fd).path); }

    /// Before each call that changes or syncs something; with the mutex.
    void step()
    {
        if (++steps_ == cut_) cut();
    }
    int sync(int fd)
    {
        std::unique_lock lock{mutex};
        step();
        const Open open = at(fd);
        const std::uint64_t through = platter_->now();
        const auto wait = random_() % 4 == 0 ? random_() % 1000 : 0;  // microseconds
        lock.unlock();
        if (wait > 0) ::usleep(static_cast<useconds_t>(wait));
        lock.lock();
        step();
        if (omitted(open)) return 0;
        if (open.file) platter_->sync_file(*open.file, through);
        else platter_->sync_directory(open.path, through);
        return 0;
    }
    [[noreturn]] void end(int code, const std::string& why)
    {
        std::fprintf(stderr, "power: %s\n", why.c_str());
        ::_exit(code);
    }

private:
    Power() : root_(environment("EVENTYARD_POWER_DIRECTORY")), omit_(environment("EVENTYARD_POWER_OMIT"))
    {
        cut_ = std::strtoull(environment("EVENTYARD_POWER_CUT").c_str(), nullptr, 10);
        random_.seed(std::strtoull(environment("EVENTYARD_POWER_SEED").c_str(), nullptr, 10));
    }

    [[nodiscard]] bool omitted(const Open& open) const
    {
        if (omit_.empty()) return false;
        if (omit_ == "directories") return !open.file;
        const std::string name = open.path.substr(open.path.rfind('/') + 1);
        if (omit_ == "state") return open.file && name.rfind("state.db", 0) == 0;
        return open.file && open.path.find("/journal/") != std::string::npos;
    }

    [[noreturn]] void cut()
    {
        at_work = true;
        for (const std::string& path : mapped_)
            if (const auto file = platter_->find(path)) {
                const std::string content = content_of(path);
                platter_->truncate(*file, content.size());
                platter_->write(*file, 0, content);
            }
        Tree seen = platter_->live();
        Tree there = read_tree(root_);
        for (const std::string& path : mapped_) {  // changes while it is read
            seen.erase(path);
            there.erase(path);
        }
        if (seen != there) {
            std::string names;
            for (const auto& [path, content] : there)
                if (seen.count(path) == 0 || seen.at(path) != content) names += " " + path;
            for (const auto& [path, content] : seen)
                if (there.count(path) == 0) names += " (gone) " + path;
            end(exit_unseen, "changed behind this library's back:" + names);
        }
        const std::string out = root_ + ".platter";
        fs::create_directory(out);
        for (const auto& [path, content] : platter_->cut(random_)) {
            const std::string to = out + path.substr(root_.size());
            if (content) std::ofstream(to, std::ios::binary) << *content;
            else fs::create_directory(to);
        }
        end(exit_cut, "cut at call " + std::to_string(steps_));
    }

    std::string root_, omit_;
    std::uint64_t cut_ = 0, steps_ = 0;
    Random random_;
    std::optional<Platter> platter_;
    std::array<std::atomic<bool>, 65536> tracked_{};
    std::unordered_map<int, Open> open_;
    std::set<std::string> mapped_;
};

__attribute__((constructor)) void start()
{
    Power::get().start();
    started = true;
}

int open_at(int directory, const char* path, int flags, mode_t mode)
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode)); };
    if (!started) return call();
    Power& power = Power::get();
    const std::string whole = directory == AT_FDCWD || path[0] == '/' ? power.ours(path) : "";
    if (whole.empty()) return call();
    const std::lock_guard lock{power.mutex};
    const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (changes) power.step();
    struct stat info {};
    const bool there = ::lstat(whole.c_str(), &info) == 0;
    const int fd = call();
    if (fd < 0) return fd;
    Open open{whole, power.platter().find(whole), (flags & O_APPEND) != 0};
    if (!there) open.file = power.platter().create(whole);
    else if (open.file && (flags & O_TRUNC) != 0) power.platter().truncate(*open.file, 0);
    power.add(fd, std::move(open));
    return fd;
}

/// Notes `done` bytes of the pieces as written.
void note(Power& power, int fd, std::uint64_t at, const iovec* pieces, int count, ssize_t done)
{
    std::string bytes;
    for (int i = 0; i < count; ++i)
        bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    bytes.resize(static_cast<std::size_t>(done));
    power.platter().write(*power.at(fd).file, at, bytes);
}

ssize_t write_pieces(int fd, const iovec* pieces, int count)
{
    const auto call = [&] { return static_cast<ssize_t>(::syscall(SYS_writev, fd, pieces, count)); };
    Power& power = Power::get();
    if (!power.ours(fd)) return call();
    const std::lock_guard lock{power.mutex};
    power.step();
    const off_t at = ::lseek(fd, 0, power.at(fd).appends ? SEEK_END : SEEK_CUR);
    const ssize_t done = call();
    if (done > 0) note(power, fd, static_cast<std::uint64_t>(at), pieces, count, done);
    return done;
}

ssize_t write_pieces_at(int fd, const iovec* pieces, int count, off_t at)
{
    const auto call = [&] { return static_cast<ssize_t>(::syscall(SYS_pwritev, fd, pieces, count, at, 0)); };
    Power& power = Power::get();
    if (!power.ours(fd)) return call();
    const std::lock_guard lock{power.mutex};
    power.step();
    const ssize_t done = call();
    if (done > 0) note(power, fd, static_cast<std::uint64_t>(at), pieces, count, done);
    return done;
}

iovec piece(const void* bytes, std::size_t size)
{
    return {const_cast<void*>(bytes), size};
}

int truncate_file(int fd, off_t size)
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_ftruncate, fd, size)); };
    Power& power = Power::get();
    if (!power.ours(fd)) return call();
    const std::lock_guard lock{power.mutex};
    power.step();
    const int done = call();
    if (done == 0) power.platter().truncate(*power.at(fd).file, static_cast<std::uint64_t>(size));
    return done;
}

void* map(void* address, std::size_t size, int protection, int flags, int fd, off_t at)
{
    const auto call = [&] { return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, fd, at)); };
    if (!started) return call();
    Power& power = Power::get();
    if (power.ours(fd) && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0) {
        const std::lock_guard lock{power.mutex};
        power.mapped(fd);
    }
    return call();
}

mode_t mode_in(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

// The headers' own declarations say `noexcept` and attributes; C linkage is what counts here.
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
int openat(int directory, const char* path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_in(flags, arguments);
    va_end(arguments);
    return open_at(directory, path, flags, mode);
}

int close(int fd)
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_close, fd)); };
    if (!started) return call();
    Power& power = Power::get();
    if (!power.ours(fd)) return call();
    const std::lock_guard lock{power.mutex};
    power.remove(fd);
    return call();
}

ssize_t write(int fd, const void* bytes, std::size_t size)
{
    const iovec one = piece(bytes, size);
    return write_pieces(fd, &one, 1);
}
ssize_t writev(int fd, const iovec* pieces, int count)
{
    return write_pieces(fd, pieces, count);
}
ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t at)
{
    const iovec one = piece(bytes, size);
    return write_pieces_at(fd, &one, 1, at);
}
ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off64_t at)
{
    const iovec one = piece(bytes, size);
    return write_pieces_at(fd, &one, 1, at);
}
ssize_t pwritev(int fd, const iovec* pieces, int count, off_t at)
{
    return write_pieces_at(fd, pieces, count, at);
}
ssize_t pwritev64(int fd, const iovec* pieces, int count, off64_t at)
{
    return write_pieces_at(fd, pieces, count, at);
}

int ftruncate(int fd, off_t size) noexcept
{
    return truncate_file(fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept
{
    return truncate_file(fd, size);
}

int fsync(int fd)
{
    Power& power = Power::get();
    return power.ours(fd) ? power.sync(fd) : static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd)
{
    Power& power = Power::get();
    return power.ours(fd) ? power.sync(fd) : static_cast<int>(::syscall(SYS_fdatasync, fd));
}

void* mmap(void* address, std::size_t size, int protection, int flags, int fd, off_t at) noexcept
{
    return map(address, size, protection, flags, fd, at);
}
void* mmap64(void* address, std::size_t size, int protection, int flags, int fd, off64_t at) noexcept
{
    return map(address, size, protection, flags, fd, at);
}

int rename(const char* from, const char* to) noexcept
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)); };
    Power& power = Power::get();
    const std::string ours_from = power.ours(from), ours_to = power.ours(to);
    if (ours_from.empty() && ours_to.empty()) return call();
    const std::lock_guard lock{power.mutex};
    if (parent_of(ours_from) != parent_of(ours_to)) power.end(exit_unseen, "a rename between directories");
    power.step();
    const int done = call();
    if (done == 0) power.platter().rename(ours_from, ours_to);
    return done;
}

int unlink(const char* path) noexcept
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0)); };
    Power& power = Power::get();
    const std::string ours = power.ours(path);
    if (ours.empty()) return call();
    const std::lock_guard lock{power.mutex};
    power.step();
    const int done = call();
    if (done == 0) power.platter().unlink(ours);
    return done;
}

int mkdir(const char* path, mode_t mode) noexcept
{
    const auto call = [&] { return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode)); };
    Power& power = Power::get();
    const std::string ours = power.ours(path);
    if (ours.empty()) return call();
    const std::lock_guard lock{power.mutex};
    power.step();
    const int done = call();
    if (done == 0) power.platter().make_directory(ours);
    return done;
}

}  // extern "C"
