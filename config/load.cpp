#include "config/load.hpp"

#include <algorithm>
#include <utility>

#include "config/rule_file.hpp"
#include "config/secrets.hpp"
#include "config/settings.hpp"

namespace eventyard::config {
namespace {

template <class Map>
std::vector<std::string> names_of(const Map& map)
{
    std::vector<std::string> names;
    for (const auto& [name, value] : map) names.push_back(name);
    return names;
}

void check_names(const std::vector<RuleDraft>& rules, const Settings& settings, Report& report)
{
    const std::vector<std::string> targets = names_of(settings.targets);
    const std::vector<std::string> buses = names_of(settings.buses);
    for (const RuleDraft& rule : rules) {
        if (settings.buses.find(rule.bus) == settings.buses.end())
            report.error(rule.bus_place, "unknown bus '" + rule.bus + "'" + did_you_mean(rule.bus, buses));
        for (const router::RuleTarget& target : rule.targets)
            if (settings.targets.find(target.target) == settings.targets.end())
                report.error(target.place, "unknown target '" + target.target + "'" +
                                               did_you_mean(target.target, targets));
    }
}

std::shared_ptr<router::RouteTable> build(Settings&& settings, std::vector<RuleDraft>&& rules)
{
    auto table = std::make_shared<router::RouteTable>();
    auto version = std::make_shared<router::RoutingVersion>();
    table->process = std::move(settings.process);
    table->limits = settings.limits;
    for (auto& [name, target] : settings.targets) table->targets.emplace(name, std::move(target.spec));
    for (const auto& [name, draft] : settings.buses) {
        router::Bus bus;
        bus.name = name;
        bus.number = static_cast<std::uint32_t>(version->buses.size());
        bus.unmatched = draft.unmatched;
        bus.durability = draft.durability;
        version->buses.push_back(name);
        table->buses.emplace(name, std::move(bus));
    }
    std::map<std::string, std::vector<rules::Pattern>, std::less<>> patterns;
    for (RuleDraft& draft : rules) {
        const auto number = static_cast<std::uint32_t>(table->rules.size());
        table->rules.push_back(finish_rule(std::move(draft)));
        const router::Rule& rule = table->rules.back();
        if (!rule.enabled) continue;
        router::Bus& bus = table->buses.find(rule.bus)->second;
        std::vector<std::uint32_t> routes;
        for (const router::RuleTarget& target : rule.targets) {
            routes.push_back(static_cast<std::uint32_t>(version->routes.size()));
            version->routes.push_back({rule.name, target.target, {}, {}, {}, {}});
        }
        patterns[rule.bus].push_back(rule.pattern);
        bus.rule_of.push_back(number);
        bus.routes.push_back(std::move(routes));
    }
    const SystemClock clock;
    for (auto& [name, list] : patterns) {
        router::Bus& bus = table->buses.find(name)->second;
        const SteadyTime start = clock.steady();
        bus.rules = rules::RuleSet(std::move(list));
        bus.rules_built = clock.steady() - start;
    }
    table->version = std::move(version);
    return table;
}

}  // namespace

std::shared_ptr<router::RouteTable> load(const std::string& path, Report& report)
{
    Secrets secrets;
    Settings settings = SettingsReader(report, secrets).read(path);
    RuleReader reader(report, secrets);
    for (const auto& [file, asked_by] : settings.rule_files) reader.read(file, asked_by);
    check_targets(settings.targets, report);
    check_names(reader.drafts(), settings, report);
    reader.quote_lines();
    if (report.has_errors()) return nullptr;
    return build(std::move(settings), std::move(reader.drafts()));
}

std::vector<router::Rule> load_rules(const std::vector<std::string>& files, Report& report)
{
    Secrets secrets;
    RuleReader reader(report, secrets);
    for (const std::string& file : files) reader.read(file, {});
    reader.quote_lines();
    std::vector<router::Rule> rules;
    for (RuleDraft& draft : reader.drafts())
        if (draft.pattern) rules.push_back(finish_rule(std::move(draft)));
    return rules;
}

}  // namespace eventyard::config
