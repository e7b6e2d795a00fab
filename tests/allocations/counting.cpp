#include "tests/allocations/counting.hpp"

#include <execinfo.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define EVENTYARD_COUNTS_MALLOC 0
#else
#define EVENTYARD_COUNTS_MALLOC 1
#endif

namespace {

thread_local bool counting = false;
thread_local std::uint64_t count = 0;
std::array<void*, 40> first_frames{};
int first_depth = 0;

void note() noexcept
{
    if (!counting) return;
    counting = false;  // what the backtrace itself needs is not of interest
    if (count++ == 0) first_depth = ::backtrace(first_frames.data(), static_cast<int>(first_frames.size()));
    counting = true;
}

}  // namespace

#if EVENTYARD_COUNTS_MALLOC

extern "C" {
// NOLINTBEGIN: glibc's own names of what is replaced here; free() and the rest stay glibc's.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
// NOLINTEND

void* malloc(std::size_t size)
{
    note();
    return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size)
{
    note();
    return __libc_calloc(number, size);
}
void* realloc(void* old, std::size_t size)
{
    note();
    return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size)
{
    note();
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size)
{
    void* const got = memalign(alignment, size);
    if (got == nullptr) return ENOMEM;
    *out = got;
    return 0;
}
}

#endif

namespace {

void* allocate(std::size_t size, std::size_t alignment) noexcept
{
    if (!eventyard::support::counts_malloc()) note();  // else malloc does
    if (size == 0) size = 1;
    if (alignment <= alignof(std::max_align_t)) return std::malloc(size);
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 1)
{
    if (void* const got = allocate(size, alignment)) return got;
    throw std::bad_alloc{};
}

std::size_t number(std::align_val_t alignment) noexcept { return static_cast<std::size_t>(alignment); }

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, std::align_val_t at) { return allocate_or_throw(size, number(at)); }
void* operator new[](std::size_t size, std::align_val_t at) { return allocate_or_throw(size, number(at)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept
{
    return allocate(size, number(at));
}
void* operator new[](std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept
{
    return allocate(size, number(at));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }

namespace eventyard::support {

bool counts_malloc() noexcept { return EVENTYARD_COUNTS_MALLOC != 0; }

CountedAllocations::CountedAllocations()
{
    std::array<void*, 4> frames{};
    (void)::backtrace(frames.data(), static_cast<int>(frames.size()));  // loads what it needs now
    first_depth = 0;
    count = 0;
    counting = true;
}

CountedAllocations::~CountedAllocations() { stop(); }

std::uint64_t CountedAllocations::stop() noexcept
{
    counting = false;
    return count;
}

std::string CountedAllocations::first_caller()
{
    std::string out;
    char** const names = ::backtrace_symbols(first_frames.data(), first_depth);
    for (int i = 0; names != nullptr && i < first_depth; ++i) out += std::string(names[i]) + "\n";
    std::free(names);
    return out;
}

}  // namespace eventyard::support
