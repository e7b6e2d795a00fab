// config/load.hpp — configuration files in, one route table out, or every mistake at once.
//
//     Report report;
//     auto table = config::load("eventyard.yaml", report);
//     if (!table) std::cerr << report.text();
//
// `serve`, `check` and every reload take this one path. What each key means, with its default and
// unit, stands in docs/configuration.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/report.hpp"
#include "router/route_table.hpp"

namespace eventyard::config {

/// Reads the main file, what it includes, and its rule files. Null exactly when the report has
/// errors; warnings may stand beside a table. `version` is built with number 0, `generation` and
/// `loaded` are left for the router.
[[nodiscard]] std::shared_ptr<router::RouteTable> load(const std::string& path, Report& report);

/// Reads rule files alone, for `eventyard test FILES`: whether their targets and buses exist is not
/// asked. Rules with mistakes are left out.
[[nodiscard]] std::deque<router::Rule> load_rules(const std::vector<std::string>& files,
                                                   Report& report);

}  // namespace eventyard::config
