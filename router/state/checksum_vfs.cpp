#include "router/state/checksum_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint32_t page_tag = 0x31535945;  // "EYS1"
constexpr std::size_t covered = state_page_size - 4;

thread_local const std::string* page_one = nullptr;

std::uint32_t checksum(const char* page, std::uint32_t number) noexcept
{
    return crc32c(crc32c(0, &number, sizeof number), page, covered);
}

// SQLite gives szOsFile bytes; the wrapped file lies behind ours.
struct Wrapper {
    sqlite3_file base;
    const std::string* page_one;  // replaced; usually null
};

sqlite3_file* inner(sqlite3_file* file) noexcept
{
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(Wrapper));
}

bool whole_page(int amount, sqlite3_int64 offset) noexcept
{
    return amount == static_cast<int>(state_page_size) && offset % amount == 0;
}

std::uint32_t number_at(sqlite3_int64 offset) noexcept
{
    return static_cast<std::uint32_t>(offset / static_cast<sqlite3_int64>(state_page_size)) + 1;
}

int x_read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset)
{
    const auto size = static_cast<std::size_t>(amount);
    const std::string* const replaced = reinterpret_cast<Wrapper*>(file)->page_one;
    if (replaced != nullptr && offset >= 0 &&
        static_cast<std::size_t>(offset) + size <= replaced->size()) {
        std::memcpy(buffer, replaced->data() + offset, size);
        return SQLITE_OK;
    }
    const int code = inner(file)->pMethods->xRead(inner(file), buffer, amount, offset);
    if (!whole_page(amount, offset)) return code;
    // SQLite would take a page that is cut off for one of zeros.
    if (code == SQLITE_IOERR_SHORT_READ) return SQLITE_IOERR_DATA;
    if (code == SQLITE_OK && !page_intact(static_cast<const char*>(buffer), number_at(offset)))
        return SQLITE_IOERR_DATA;
    return code;
}

int x_write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset)
{
    if (!whole_page(amount, offset))
        return inner(file)->pMethods->xWrite(inner(file), buffer, amount, offset);
    thread_local std::string page;
    page.assign(static_cast<const char*>(buffer), static_cast<std::size_t>(amount));
    seal_page(page, number_at(offset));
    return inner(file)->pMethods->xWrite(inner(file), page.data(), amount, offset);
}

int x_close(sqlite3_file* f)
{
    return inner(f)->pMethods->xClose(inner(f));
}
int x_truncate(sqlite3_file* f, sqlite3_int64 n)
{
    return inner(f)->pMethods->xTruncate(inner(f), n);
}
int x_sync(sqlite3_file* f, int flags)
{
    return inner(f)->pMethods->xSync(inner(f), flags);
}
int x_size(sqlite3_file* f, sqlite3_int64* n)
{
    return inner(f)->pMethods->xFileSize(inner(f), n);
}
int x_lock(sqlite3_file* f, int level)
{
    return inner(f)->pMethods->xLock(inner(f), level);
}
int x_unlock(sqlite3_file* f, int level)
{
    return inner(f)->pMethods->xUnlock(inner(f), level);
}
int x_reserved(sqlite3_file* f, int* out)
{
    return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
}
int x_control(sqlite3_file* f, int op, void* arg)
{
    return inner(f)->pMethods->xFileControl(inner(f), op, arg);
}
int x_sector(sqlite3_file* f)
{
    return inner(f)->pMethods->xSectorSize(inner(f));
}
int x_traits(sqlite3_file* f)
{
    return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
}
int x_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out)
{
    return inner(f)->pMethods->xShmMap(inner(f), page, size, extend, out);
}
int x_shm_lock(sqlite3_file* f, int offset, int n, int flags)
{
    return inner(f)->pMethods->xShmLock(inner(f), offset, n, flags);
}
void x_shm_barrier(sqlite3_file* f)
{
    inner(f)->pMethods->xShmBarrier(inner(f));
}
int x_shm_unmap(sqlite3_file* f, int remove)
{
    return inner(f)->pMethods->xShmUnmap(inner(f), remove);
}
// Never memory-mapped: that would go past the checksums.
int x_fetch(sqlite3_file*, sqlite3_int64, int, void** out)
{
    *out = nullptr;
    return SQLITE_OK;
}
int x_unfetch(sqlite3_file*, sqlite3_int64, void*)
{
    return SQLITE_OK;
}

const sqlite3_io_methods methods = {
    3,          x_close,       x_read,      x_write,   x_truncate, x_sync,   x_size,
    x_lock,     x_unlock,      x_reserved,  x_control, x_sector,   x_traits, x_shm_map,
    x_shm_lock, x_shm_barrier, x_shm_unmap, x_fetch,   x_unfetch,
};

sqlite3_vfs* base_vfs = nullptr;

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags)
{
    if ((flags & SQLITE_OPEN_MAIN_DB) == 0)
        return base_vfs->xOpen(base_vfs, name, file, flags, out_flags);
    file->pMethods = nullptr;
    reinterpret_cast<Wrapper*>(file)->page_one = page_one;
    const int code = base_vfs->xOpen(base_vfs, name, inner(file), flags, out_flags);
    if (inner(file)->pMethods != nullptr) file->pMethods = &methods;
    return code;
}

std::uint32_t big_endian(const char* bytes) noexcept
{
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

/// Leaves of the free list: pages whose content nobody reads again, and that may never have been
/// written. Stops at the first trunk that is not intact.
Result<std::unordered_set<std::uint32_t>> free_pages(File& file, std::uint32_t trunk,
                                                     std::uint64_t pages)
{
    std::unordered_set<std::uint32_t> leaves, trunks;
    std::string page;
    while (trunk != 0 && trunk <= pages && trunks.insert(trunk).second) {
        EVENTYARD_CHECK(file.read_at((trunk - 1ULL) * state_page_size, state_page_size, page));
        if (page.size() != state_page_size || !page_intact(page.data(), trunk)) break;
        const std::uint32_t count = std::min<std::uint32_t>(
            big_endian(page.data() + 4), (state_page_size - state_page_reserve) / 4 - 2);
        for (std::uint32_t i = 0; i < count; ++i)
            leaves.insert(big_endian(page.data() + 8 + 4 * i));
        trunk = big_endian(page.data());
    }
    return leaves;
}

}  // namespace

const char* checksum_vfs()
{
    static const char* const name = [] {
        static sqlite3_vfs vfs;
        base_vfs = sqlite3_vfs_find(nullptr);
        EVENTYARD_ASSERT(base_vfs != nullptr, "SQLite has a default VFS");
        vfs = *base_vfs;  // everything but xOpen is the default's own
        vfs.szOsFile = static_cast<int>(sizeof(Wrapper)) + base_vfs->szOsFile;
        vfs.zName = "eventyard-checksum";
        vfs.pNext = nullptr;
        vfs.xOpen = x_open;
        sqlite3_vfs_register(&vfs, 0);
        return vfs.zName;
    }();
    return name;
}

void seal_page(std::string& page, std::uint32_t number)
{
    std::memcpy(page.data() + state_page_size - 8, &page_tag, 4);
    const std::uint32_t sum = checksum(page.data(), number);
    std::memcpy(page.data() + state_page_size - 4, &sum, 4);
}

bool page_intact(const char* page, std::uint32_t number) noexcept
{
    std::uint32_t tag = 0, sum = 0;
    std::memcpy(&tag, page + state_page_size - 8, 4);
    std::memcpy(&sum, page + state_page_size - 4, 4);
    return tag == page_tag && sum == checksum(page, number);
}

bool header_plausible(std::string_view header) noexcept
{
    using namespace std::string_view_literals;
    return header.size() >= 100 && header.substr(0, 16) == "SQLite format 3\0"sv &&
           static_cast<unsigned char>(header[16]) == state_page_size >> 8 && header[17] == 0 &&
           static_cast<unsigned char>(header[20]) == state_page_reserve;
}

/// SQLite keeps its locks at this offset and never reads or writes the page there: in a file that is larger it has no checksum.
constexpr std::uint32_t lock_page = (std::uint32_t{1} << 30) / state_page_size + 1;

Result<PageScan> scan_pages(Disk& disk, const std::string& path)
{
    EVENTYARD_TRY(file, disk.open(path, OpenMode::read));
    EVENTYARD_TRY(size, file->size());
    PageScan scan;
    scan.pages = size / state_page_size;
    std::string chunk;
    std::uint32_t first_trunk = 0;
    constexpr std::uint64_t chunk_pages = 64;
    for (std::uint64_t at = 0; at < scan.pages; at += chunk_pages) {
        const auto bytes =
            static_cast<std::size_t>(std::min(chunk_pages, scan.pages - at) * state_page_size);
        EVENTYARD_CHECK(file->read_at(at * state_page_size, bytes, chunk));
        if (chunk.size() != bytes) return fail(Errc::io, "'" + path + "' shrank while it was read");
        if (at == 0) {
            first_trunk = big_endian(chunk.data() + 32);
            scan.cut = size != std::uint64_t{big_endian(chunk.data() + 28)} * state_page_size;
        }
        for (std::size_t i = 0; i * state_page_size < bytes; ++i)
            if (const auto number = static_cast<std::uint32_t>(at + i + 1);
                number != lock_page && !page_intact(chunk.data() + i * state_page_size, number))
                scan.bad.push_back(number);
    }
    if (scan.pages == 0) scan.cut = true;
    if (!scan.bad.empty() && scan.bad.front() != 1) {
        EVENTYARD_TRY(free, free_pages(*file, first_trunk, scan.pages));
        std::erase_if(scan.bad, [&](std::uint32_t number) { return free.count(number) != 0; });
    }
    return scan;
}

PageOneReplaced::PageOneReplaced(const std::string& page) noexcept
{
    page_one = &page;
}
PageOneReplaced::~PageOneReplaced()
{
    page_one = nullptr;
}

}  // namespace eventyard::router
