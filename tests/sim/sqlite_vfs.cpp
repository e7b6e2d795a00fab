#include "tests/sim/sqlite_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace eventyard::sim {
namespace {

Disk* the_disk = nullptr;
Random* the_random = nullptr;

/// The shared memory beside a database: lives as long as somebody has it mapped.
struct Shared {
    std::vector<std::unique_ptr<char[]>> regions;
};
std::map<std::string, std::weak_ptr<Shared>> shared;

struct Opened {
    std::string path;
    std::unique_ptr<File> file;
    bool new_name = false;  // its directory is to be synced with it
    std::shared_ptr<Shared> shared;
};

struct Handle {
    sqlite3_file base;
    Opened* opened;
};

Opened& of(sqlite3_file* file) noexcept { return *reinterpret_cast<Handle*>(file)->opened; }

int code_of(const Error& error, int io) noexcept { return error.code == Errc::no_space ? SQLITE_FULL : io; }

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

int x_close(sqlite3_file* file)
{
    delete reinterpret_cast<Handle*>(file)->opened;
    return SQLITE_OK;
}

int x_read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset)
{
    static std::string bytes;
    const auto size = static_cast<std::size_t>(amount);
    const auto read = of(file).file->read_at(static_cast<std::uint64_t>(offset), size, bytes);
    if (!read.has_value()) return SQLITE_IOERR_READ;
    std::memcpy(buffer, bytes.data(), bytes.size());
    if (bytes.size() == size) return SQLITE_OK;
    std::memset(static_cast<char*>(buffer) + bytes.size(), 0, size - bytes.size());
    return SQLITE_IOERR_SHORT_READ;
}

int x_write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset)
{
    const std::string_view bytes{static_cast<const char*>(buffer), static_cast<std::size_t>(amount)};
    const auto written = of(file).file->write_at(static_cast<std::uint64_t>(offset), {bytes});
    return written.has_value() ? SQLITE_OK : code_of(written.error(), SQLITE_IOERR_WRITE);
}

int x_truncate(sqlite3_file* file, sqlite3_int64 size)
{
    return of(file).file->truncate(static_cast<std::uint64_t>(size)).has_value() ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int x_sync(sqlite3_file* file, int)
{
    Opened& opened = of(file);
    if (!opened.file->sync_data().has_value()) return SQLITE_IOERR_FSYNC;
    if (std::exchange(opened.new_name, false) && !the_disk->sync_directory(directory_of(opened.path)).has_value())
        return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

int x_size(sqlite3_file* file, sqlite3_int64* size)
{
    const auto known = of(file).file->size();
    if (!known.has_value()) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(*known);
    return SQLITE_OK;
}

int x_lock(sqlite3_file*, int) { return SQLITE_OK; }

int x_reserved(sqlite3_file*, int* out)
{
    *out = 0;
    return SQLITE_OK;
}

int x_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int x_sector(sqlite3_file*) { return 4096; }
int x_traits(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int x_shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out)
{
    Opened& opened = of(file);
    if (!opened.shared) {
        opened.shared = shared[opened.path].lock();
        if (!opened.shared) shared[opened.path] = opened.shared = std::make_shared<Shared>();
    }
    auto& regions = opened.shared->regions;
    const auto wanted = static_cast<std::size_t>(region);
    *out = nullptr;
    if (regions.size() <= wanted && extend == 0) return SQLITE_OK;
    while (regions.size() <= wanted) regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    *out = regions[wanted].get();
    return SQLITE_OK;
}

int x_shm_lock(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void x_shm_barrier(sqlite3_file*) {}
int x_shm_unmap(sqlite3_file* file, int)
{
    of(file).shared.reset();
    return SQLITE_OK;
}

const sqlite3_io_methods methods = {
    2,          x_close,    x_read,    x_write,  x_truncate, x_sync,    x_size,     x_lock,        x_lock,
    x_reserved, x_control,  x_sector,  x_traits, x_shm_map,  x_shm_lock, x_shm_barrier, x_shm_unmap, nullptr, nullptr,
};

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags)
{
    file->pMethods = nullptr;
    if (name == nullptr) return SQLITE_CANTOPEN;  // temporary files stay in memory
    auto opened = std::make_unique<Opened>();
    opened->path = name;
    const bool there = the_disk->exists(opened->path);
    const bool create = !there && (flags & SQLITE_OPEN_CREATE) != 0;
    auto made = the_disk->open(opened->path, create                                  ? OpenMode::create_new
                                             : (flags & SQLITE_OPEN_READWRITE) != 0 ? OpenMode::read_write
                                                                                    : OpenMode::read);
    if (!made.has_value()) return code_of(made.error(), SQLITE_CANTOPEN);
    opened->file = std::move(*made);
    opened->new_name = create && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    reinterpret_cast<Handle*>(file)->opened = opened.release();
    file->pMethods = &methods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int x_delete(sqlite3_vfs*, const char* name, int sync_directory)
{
    const auto gone = the_disk->unlink(name);
    if (!gone.has_value()) return gone.error().code == Errc::not_found ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    if (sync_directory != 0 && !the_disk->sync_directory(directory_of(name)).has_value()) return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

int x_access(sqlite3_vfs*, const char* name, int, int* out)
{
    *out = 0;
    if (!the_disk->exists(name)) return SQLITE_OK;
    const auto file = the_disk->open(name, OpenMode::read);
    if (!file.has_value()) return SQLITE_IOERR_ACCESS;
    const auto size = (*file)->size();
    *out = size.has_value() && *size > 0 ? 1 : 0;
    return SQLITE_OK;
}

int x_full_path(sqlite3_vfs*, const char* name, int size, char* out)
{
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}

int x_random(sqlite3_vfs*, int size, char* out)
{
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(the_random->next());
    return size;
}

int x_sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

int x_time(sqlite3_vfs*, double* out)
{
    *out = 2460000.5;
    return SQLITE_OK;
}

int x_last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

void attach_sqlite(Disk& disk, Random& random)
{
    static sqlite3_vfs vfs;
    the_disk = &disk;
    the_random = &random;
    if (vfs.zName == nullptr) {
        // One thread, and nobody asks what SQLite allocates: without its locks a run takes a tenth less.
        sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        vfs.iVersion = 1;
        vfs.szOsFile = sizeof(Handle);
        vfs.mxPathname = 512;
        vfs.zName = "eventyard-sim";
        vfs.xOpen = x_open;
        vfs.xDelete = x_delete;
        vfs.xAccess = x_access;
        vfs.xFullPathname = x_full_path;
        vfs.xRandomness = x_random;
        vfs.xSleep = x_sleep;
        vfs.xCurrentTime = x_time;
        vfs.xGetLastError = x_last_error;
        sqlite3_vfs_register(&vfs, 1);
    }
    sqlite3_randomness(0, nullptr);
}

}  // namespace eventyard::sim
