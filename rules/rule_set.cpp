#include "rules/rule_set.hpp"

namespace eventyard::rules {

void RuleSet::match(const json::Document& event, std::vector<std::uint32_t>& out) const
{
    for (std::size_t i = 0; i < patterns_.size(); ++i)
        if (matches(patterns_[i], event)) out.push_back(static_cast<std::uint32_t>(i));
}

}  // namespace eventyard::rules
