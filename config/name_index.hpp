// config/name_index.hpp — finds a rule by its name while a million of them are read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "router/route_table.hpp"

namespace eventyard::config {

/// Numbers of rules by name, in one piece of memory. The rules lie elsewhere.
class NameIndex {
public:
    /// The number of the rule of that name; else `number` is put down for it, and nothing comes back.
    std::optional<std::uint32_t> add(std::string_view name, std::uint32_t number, const std::deque<router::Rule>& rules)
    {
        if (++count_ * 2 > slots_.size()) grow(rules);
        std::size_t at = place(name);
        for (; slots_[at] != free; at = next(at))
            if (rules[slots_[at]].name == name) return slots_[at];
        slots_[at] = number;
        return std::nullopt;
    }

private:
    static constexpr std::uint32_t free = UINT32_MAX;

    [[nodiscard]] std::size_t place(std::string_view name) const noexcept
    {
        return std::hash<std::string_view>{}(name) & (slots_.size() - 1);
    }
    [[nodiscard]] std::size_t next(std::size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }
    void grow(const std::deque<router::Rule>& rules)
    {
        const auto old = std::exchange(slots_, std::vector<std::uint32_t>(slots_.size() * 2, free));
        for (const std::uint32_t number : old) {
            if (number == free) continue;
            std::size_t at = place(rules[number].name);
            while (slots_[at] != free) at = next(at);
            slots_[at] = number;
        }
    }

    std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(64, free);
    std::size_t count_ = 0;
};

}  // namespace eventyard::config
