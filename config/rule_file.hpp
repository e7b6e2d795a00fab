// config/rule_file.hpp — rules as their files say them, and the sets that will match them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/document.hpp"
#include "config/name_index.hpp"
#include "config/rule_line.hpp"
#include "config/settings.hpp"
#include "core/fields.hpp"
#include "router/route_table.hpp"

namespace eventyard::config {

/// The enabled rules of one bus, while they are read.
struct BusRules {
    rules::RuleSetBuilder set;
    Duration took{};                            // the time spent on it
};

/// Reads rule files one after another, in order; rule names are unique over all of them.
class RuleReader {
public:
    /// @param settings  targets and buses that rules may name; null: any, and no sets are made
    RuleReader(Report& report, SecretSource& secrets, const Settings* settings)
        : report_(report), secrets_(secrets), settings_(settings)
    {}

    /// .yaml, .yml and .json hold {rules: [...]} or a list of rules; .jsonl one rule a line.
    void read(const std::string& path, const Place& asked_by);
    /// Of a rule with mistakes, which were reported, perhaps only the name.
    [[nodiscard]] std::deque<router::Rule>& rules() noexcept { return rules_; }
    /// What few rules have, by rule: one for each of its targets.
    [[nodiscard]] const std::map<std::size_t, std::vector<router::RouteExtras>>& extras() const noexcept { return extras_; }
    /// By bus; as long as there were no mistakes.
    [[nodiscard]] std::map<std::string, BusRules, std::less<>>& sets() noexcept { return sets_; }
    /// Lets the report quote the .jsonl files that were read. Call once all mistakes are found.
    void quote_lines();

private:
    void read_root(Document& document);
    void read_list(Node& list, const Document& document);
    [[nodiscard]] bool read_plain(std::string_view line, const Place& start);
    void read_rule(Node& rule, const Document* document);
    void read_name(const Node& rule, Fields& fields, router::Rule& made);
    void read_bus(Fields& fields, router::Rule& made);
    [[nodiscard]] std::optional<rules::Pattern> read_pattern(Node& rule, const Document* document,
                                                             std::shared_ptr<const Node>& source);
    [[nodiscard]] router::RouteExtras read_extras(Fields& fields, const router::RouteExtras& outer);
    /// @param of_targets  gets one for each target
    [[nodiscard]] std::vector<std::string> read_targets(const Node& rule, Fields& fields, const Document* document,
                                                        const router::RouteExtras& extras,
                                                        std::vector<router::RouteExtras>& of_targets);
    void read_target(const Node& item, const Document* document, std::vector<std::string>& targets,
                     const router::RouteExtras& outer, std::vector<router::RouteExtras>& of_targets);
    [[nodiscard]] std::vector<router::RuleTest> read_tests(Fields& fields, const Document* document);
    [[nodiscard]] router::SharedName shared(std::string_view name);
    template <class Names>
    [[nodiscard]] router::SharedNames shared_list(const Names& names);

    Report& report_;
    SecretSource& secrets_;
    const Settings* settings_;
    std::deque<router::Rule> rules_;
    NameIndex names_;
    std::map<std::string, router::SharedName, std::less<>> shared_;
    std::unordered_map<std::string, router::SharedNames> shared_lists_;  // by their names joined
    std::string joined_;
    std::map<std::size_t, std::vector<router::RouteExtras>> extras_;
    std::map<std::string, BusRules, std::less<>> sets_;
    std::vector<std::string> line_files_;
    RuleLineReader lines_;
};

}  // namespace eventyard::config
