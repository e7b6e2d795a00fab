#include "core/huge_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace eventyard {

void prefer_huge_pages(const void* memory, std::size_t bytes) noexcept
{
    constexpr std::uintptr_t huge = 2U << 20;
    constexpr std::size_t worth_it = 4 * huge;
    constexpr int collapse = 25;  // MADV_COLLAPSE of Linux 6.1: at once instead of some time later
    if (bytes < worth_it) return;
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(memory) + huge - 1) / huge * huge;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / huge * huge;
    if (begin >= end) return;
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE) != 0) return;
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, collapse);
}

}  // namespace eventyard
