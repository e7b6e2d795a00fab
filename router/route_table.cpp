#include "router/route_table.hpp"

#include "core/result.hpp"

namespace eventyard::router {

std::shared_ptr<const RuleDetails> RouteTable::details(const Rule& rule) const
{
    if (rule.details) return rule.details;
    Report report;
    auto source = rules::read_pattern_text(buses.find(*rule.bus)->second.rules.plain_text(rule.in_set), rule.place, report);
    auto pattern = source ? rules::compile_pattern(*source, report) : std::nullopt;
    EVENTYARD_ASSERT(pattern.has_value(), "only patterns that compile are kept as texts");
    return std::make_shared<const RuleDetails>(
        RuleDetails{{}, std::make_shared<const Node>(std::move(*source)), std::move(*pattern), {}});
}

void RouteTable::find_budgets()
{
    gates.clear();
    dead_letter_budgets.clear();
    for (const auto& [name, spec] : targets)
        if (spec.budget.bytes > 0) {
            dead_letter_budgets[name] = spec.budget.dead_letters;
            if (!spec.renamed_from.empty()) dead_letter_budgets[spec.renamed_from] = spec.budget.dead_letters;
        }
    const auto& routes = version->routes;
    for (std::uint32_t i = 0; i < routes.size(); ++i) {
        const auto target = targets.find(routes[i].target);
        if (target == targets.end() || !target->second.budget.gate) continue;
        gates.resize(routes.size());
        gates[i] = target->second.budget.gate;
    }
}

}  // namespace eventyard::router
