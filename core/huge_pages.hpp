// core/huge_pages.hpp — large read-only tables on large pages, where the system has them.
//
// A look at one of a million entries then misses the cache, but not also the list of pages. Advice
// only: nothing fails, and small tables are left alone.
#pragma once

#include <cstddef>
#include <vector>

namespace eventyard {

void prefer_huge_pages(const void* memory, std::size_t bytes) noexcept;

template <class T>
void prefer_huge_pages(const std::vector<T>& table) noexcept
{
    prefer_huge_pages(table.data(), table.capacity() * sizeof(T));
}

}  // namespace eventyard
