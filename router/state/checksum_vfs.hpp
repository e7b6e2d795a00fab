// router/state/checksum_vfs.hpp — a checksum in every page of the state file.
//
// SQLite checks its WAL frames but not the pages of the database file. This VFS wraps the default
// one: the last 8 bytes of each page (reserved, so SQLite leaves them alone) hold a tag and the
// CRC32C of the page and its number, written when a page reaches the file and verified whenever it
// is read from there. A bad page reads as SQLITE_IOERR_DATA. The file stays an ordinary SQLite file
// that any tool can read; a tool that *writes* it leaves pages without checksums, which count as
// damaged at the next start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.hpp"
#include "core/result.hpp"

namespace eventyard::router {

inline constexpr std::size_t state_page_size = 16384;
inline constexpr std::size_t state_page_reserve = 8;

/// Name of the VFS; registers it on the first call. Thread-safe.
const char* checksum_vfs();

/// Writes the checksum of page `number` (from 1) into its last bytes.
void seal_page(std::string& page, std::uint32_t number);
[[nodiscard]] bool page_intact(const char* page, std::uint32_t number) noexcept;

/// What a look at the file itself, past SQLite, finds. Call while nothing has the file open for
/// writing and its WAL is empty.
struct PageScan {
    std::uint64_t pages = 0;         // whole pages in the file
    std::vector<std::uint32_t> bad;  // wrong checksum; free pages excepted, nobody reads them
    bool cut = false;                // shorter or longer than its header says
};
Result<PageScan> scan_pages(Disk& disk, const std::string& path);

/// The first 100 bytes say: ours, this page size, this reserve. Nothing about their checksum.
[[nodiscard]] bool header_plausible(std::string_view header) noexcept;

/// A database opened on this thread while one lives reads `page` as its page 1 instead of what the
/// file holds: the way to the other pages when page 1, which names them, is damaged.
/// @param page  must outlive the databases
class PageOneReplaced {
public:
    explicit PageOneReplaced(const std::string& page) noexcept;
    PageOneReplaced(const PageOneReplaced&) = delete;
    PageOneReplaced& operator=(const PageOneReplaced&) = delete;
    ~PageOneReplaced();
};

}  // namespace eventyard::router
