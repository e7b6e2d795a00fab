// config/rule_file.hpp — rules as their files say them, before targets and buses are looked up.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/document.hpp"
#include "core/fields.hpp"
#include "router/route_table.hpp"

namespace eventyard::config {

struct RuleDraft {
    std::string name;
    Place name_place;
    std::string description;
    std::string bus = "default";
    Place bus_place;
    bool enabled = true;
    Place place;
    std::shared_ptr<const Node> pattern_source;
    std::optional<rules::Pattern> pattern;      // empty: it has mistakes, which were reported
    std::vector<router::RuleTarget> targets;
    std::vector<router::RuleTest> tests;
};

/// The draft as a rule of the table; it must have a pattern.
[[nodiscard]] router::Rule finish_rule(RuleDraft&& draft);

/// Reads rule files one after another, in order; rule names are unique over all of them.
class RuleReader {
public:
    RuleReader(Report& report, SecretSource& secrets) : report_(report), secrets_(secrets) {}

    /// .yaml, .yml and .json hold {rules: [...]} or a list of rules; .jsonl one rule a line.
    void read(const std::string& path, const Place& asked_by);
    [[nodiscard]] std::vector<RuleDraft>& drafts() noexcept { return drafts_; }
    /// Lets the report quote the .jsonl files that were read. Call once all mistakes are found.
    void quote_lines();

private:
    void read_root(Document& document);
    void read_list(Node& list, const Document& document);
    void read_rule(Node& rule, const Document* document);
    void read_name(const Node& rule, Fields& fields, RuleDraft& draft);
    void read_pattern(Node& rule, const Document* document, RuleDraft& draft);
    void read_targets(const Node& rule, Fields& fields, RuleDraft& draft);
    void read_target(const Node& item, RuleDraft& draft);
    void read_tests(Fields& fields, const Document* document, RuleDraft& draft);

    Report& report_;
    SecretSource& secrets_;
    std::vector<RuleDraft> drafts_;
    std::unordered_map<std::string, Place> names_;
    std::vector<std::string> line_files_;
};

}  // namespace eventyard::config
