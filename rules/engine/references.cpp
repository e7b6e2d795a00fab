#include "rules/engine/references.hpp"

#include "core/result.hpp"

namespace eventyard::rules {

bool References::match(std::uint32_t rule, const json::Document& event) const
{
    if (const auto found = patterns_.find(rule); found != patterns_.end()) return matches(found->second, event);
    Report report;
    const auto node = read_pattern_text(text(rule), {}, report);
    const auto pattern = node ? compile_pattern(*node, report) : std::nullopt;
    EVENTYARD_ASSERT(pattern.has_value(), "only patterns that compile are kept as texts");
    return matches(*pattern, event);
}

}  // namespace eventyard::rules
