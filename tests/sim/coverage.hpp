// tests/sim/coverage.hpp — how often each kind of fault was injected and each path of recovery taken.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace eventyard::sim {

class Coverage {
public:
    void count(std::string_view what, std::uint64_t n = 1)
    {
        if (n > 0) counts_[std::string{what}] += n;
    }
    void add(const Coverage& other)
    {
        for (const auto& [what, n] : other.counts_) counts_[what] += n;
    }
    [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const noexcept { return counts_; }

private:
    std::map<std::string, std::uint64_t> counts_;
};

}  // namespace eventyard::sim
