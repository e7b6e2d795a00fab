// tests/router/ingest/table.hpp — a small configuration for the tests of ingest.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/route_table.hpp"
#include "rules/pattern.hpp"

namespace eventyard::test {

struct TestRule {
    const char* pattern;
    std::vector<std::uint32_t> routes;
};

inline router::Bus make_bus(const std::string& name, std::uint32_t number,
                            const std::vector<TestRule>& rules)
{
    router::Bus bus;
    bus.name = name;
    bus.number = number;
    std::vector<rules::Pattern> patterns;
    for (const TestRule& rule : rules) {
        Report report;
        const auto node = rules::read_pattern_text(rule.pattern, {}, report);
        REQUIRE(node);
        auto pattern = rules::compile_pattern(*node, report);
        INFO(report.text());
        REQUIRE(pattern);
        patterns.push_back(std::move(*pattern));
        bus.routes.add(rule.routes);
    }
    bus.rules = rules::RuleSet(std::move(patterns));
    return bus;
}

/// Buses: default (rules: kind=order -> routes 0, 2; size=big -> routes 1, 2), strict (refuses
/// unmatched events), archive (stores them, durability os).
inline std::shared_ptr<router::RouteTable> make_table()
{
    auto version = std::make_shared<router::RoutingVersion>();
    version->number = 1;
    version->buses = {"default", "strict", "archive"};
    for (const char* target : {"orders", "big", "audit"})
        version->routes.push_back({"rule", target, {}, "", {}, {}});
    auto table = std::make_shared<router::RouteTable>();
    const std::vector<TestRule> rules = {{R"({"kind":["order"]})", {2, 0}}, {R"({"size":["big"]})", {1, 2}}};
    table->buses.emplace("default", make_bus("default", 0, rules));
    table->buses.emplace("strict", make_bus("strict", 1, rules));
    table->buses.at("strict").unmatched = router::Unmatched::refuse;
    table->buses.emplace("archive", make_bus("archive", 2, rules));
    table->buses.at("archive").unmatched = router::Unmatched::store;
    table->buses.at("archive").durability = router::Durability::os;
    table->version = version;
    table->generation = 1;
    return table;
}

}  // namespace eventyard::test
