#include "rules/rule_set.hpp"

namespace eventyard::rules {

void RuleSet::match(const json::Document& event, Matching& matching, std::vector<std::uint32_t>& out) const
{
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
        ++matching.cost.candidates;
        if (!matches(patterns_[i], event)) continue;
        ++matching.cost.matches;
        out.push_back(static_cast<std::uint32_t>(i));
    }
}

void RuleSet::match(const json::Document& event, std::vector<std::uint32_t>& out) const
{
    thread_local Matching matching;
    match(event, matching, out);
}

void RuleSet::match_unchecked(std::string_view event, Matching& matching, std::vector<std::uint32_t>& out) const
{
    thread_local json::Document document;
    json::SyntaxError error;
    if (document.parse_padded(event, {}, error)) match(document, matching, out);
}

}  // namespace eventyard::rules
