// tests/fuzz/expect.hpp — what an entry point claims; a claim that does not hold stops the run.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace eventyard::fuzz {

/// libFuzzer keeps the input that led here. `what` is the claim, `seen` what was found instead.
inline void expect(bool holds, std::string_view what, std::string_view seen = {})
{
    if (holds) return;
    std::fprintf(stderr, "does not hold: %.*s%s%.*s\n", static_cast<int>(what.size()), what.data(),
                 seen.empty() ? "" : ": ", static_cast<int>(seen.size()), seen.data());
    std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

/// Cuts `rest` after the first `mark`, and returns what stood before it.
inline std::string_view take_until(std::string_view& rest, char mark)
{
    const std::size_t at = rest.find(mark);
    const std::string_view head = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
    return head;
}

}  // namespace eventyard::fuzz
