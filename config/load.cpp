#include "config/load.hpp"

#include <utility>

#include "config/rule_file.hpp"
#include "config/secrets.hpp"
#include "config/settings.hpp"

namespace eventyard::config {
namespace {

std::shared_ptr<router::RouteTable> build(Settings&& settings, RuleReader& reader)
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
        bus.archive = draft.archive;
        bus.dedup = draft.dedup;
        version->buses.push_back(name);
        table->buses.emplace(name, std::move(bus));
    }
    table->rules = std::move(reader.rules());
    std::size_t count = 0;
    for (const router::Rule& rule : table->rules) count += rule.enabled ? rule.targets->size() : 0;
    version->routes.reserve(count);
    std::vector<std::uint32_t> routes;
    const auto& extras = reader.extras();
    for (std::size_t i = 0; i < table->rules.size(); ++i) {
        const router::Rule& rule = table->rules[i];
        if (!rule.enabled) continue;
        routes.clear();
        const auto of_rule = extras.find(i);
        for (std::size_t t = 0; t < rule.targets->size(); ++t) {
            routes.push_back(static_cast<std::uint32_t>(version->routes.size()));
            if (of_rule == extras.end()) version->routes.push_back(rule.name, (*rule.targets)[t]);
            else version->routes.push_back(rule.name, (*rule.targets)[t], of_rule->second[t]);
        }
        table->buses.find(*rule.bus)->second.routes.add(routes);
    }
    const SystemClock clock;
    for (auto& [name, made] : reader.sets()) {
        router::Bus& bus = table->buses.find(name)->second;
        const SteadyTime start = clock.steady();
        bus.rules = made.set.build();
        bus.rules_built = made.took + (clock.steady() - start);
    }
    table->version = std::move(version);
    table->find_budgets();
    return table;
}

}  // namespace

std::shared_ptr<router::RouteTable> load(const std::string& path, Report& report)
{
    Secrets secrets;
    Settings settings = SettingsReader(report, secrets).read(path);
    RuleReader reader(report, secrets, &settings);
    for (const auto& [file, asked_by] : settings.rule_files) reader.read(file, asked_by);
    check_targets(settings.targets, report);
    reader.quote_lines();
    if (report.has_errors()) return nullptr;
    return build(std::move(settings), reader);
}

std::deque<router::Rule> load_rules(const std::vector<std::string>& files, Report& report)
{
    Secrets secrets;
    RuleReader reader(report, secrets, nullptr);
    for (const std::string& file : files) reader.read(file, {});
    reader.quote_lines();
    std::erase_if(reader.rules(), [](const router::Rule& rule) { return !rule.details; });
    return std::move(reader.rules());
}

}  // namespace eventyard::config
