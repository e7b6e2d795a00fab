// tests/allocations/counting.hpp — counts what the calling thread asks the heap for.
//
// Every form of operator new counts and, where no sanitizer has its own malloc, malloc, calloc,
// realloc and the aligned ones do, whoever calls them. Where the first one came from is kept.
#pragma once

#include <cstdint>
#include <string>

namespace eventyard::support {

class CountedAllocations {
public:
    /// Counts from here on.
    CountedAllocations();
    ~CountedAllocations();
    CountedAllocations(const CountedAllocations&) = delete;
    CountedAllocations& operator=(const CountedAllocations&) = delete;

    /// Ends the counting.
    std::uint64_t stop() noexcept;
    /// The calls that led to the first one, a line each; after stop().
    [[nodiscard]] static std::string first_caller();
};

/// Whether malloc is counted, too.
[[nodiscard]] bool counts_malloc() noexcept;

}  // namespace eventyard::support
