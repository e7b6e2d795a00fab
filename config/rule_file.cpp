#include "config/rule_file.hpp"

#include <algorithm>

#include "config/files.hpp"
#include "config/json_text.hpp"
#include "config/names.hpp"

namespace eventyard::config {

router::Rule finish_rule(RuleDraft&& draft)
{
    return router::Rule{std::move(draft.name),    std::move(draft.description),
                        std::move(draft.bus),     draft.enabled,
                        std::move(draft.place),   std::move(draft.pattern_source),
                        std::move(*draft.pattern), std::move(draft.targets),
                        std::move(draft.tests)};
}

void RuleReader::read(const std::string& path, const Place& asked_by)
{
    if (extension(path) == ".jsonl") {
        line_files_.push_back(path);
        read_json_lines(path, asked_by, report_, [this](Node rule) { read_rule(rule, nullptr); });
        return;
    }
    if (auto document = read_document(path, asked_by, report_)) read_root(*document);
}

void RuleReader::quote_lines()
{
    for (const std::string& path : line_files_) quote_json_lines(path, report_);
}

void RuleReader::read_root(Document& document)
{
    Node& root = document.root;
    if (root.kind == Node::Kind::null && root.text.empty()) {
        report_.warning({document.file, 1, 1}, "this rule file is empty");
        return;
    }
    if (root.kind == Node::Kind::list) return read_list(root, document);
    Fields fields(root, report_, secrets_);
    static_cast<void>(fields.node("rules"));
    fields.finish("a rule file");
    if (root.kind != Node::Kind::map) return;
    for (Member& member : root.members) {
        if (member.key != "rules") continue;
        if (member.value.kind == Node::Kind::list) return read_list(member.value, document);
        if (member.value.kind != Node::Kind::null)
            report_.error(member.value.place, "'rules' must be a list of rules, found " +
                                                  std::string(kind_name(member.value.kind)));
        return;
    }
    report_missing(root, "rules", report_);
}

void RuleReader::read_list(Node& list, const Document& document)
{
    for (Node& rule : list.items) read_rule(rule, &document);
}

void RuleReader::read_rule(Node& rule, const Document* document)
{
    if (rule.kind != Node::Kind::map) {
        report_.error(rule.place, std::string("a rule is a map with name, pattern and targets, found ") +
                                      kind_name(rule.kind));
        return;
    }
    Fields fields(rule, report_, secrets_);
    RuleDraft draft;
    draft.place = rule.place;
    read_name(rule, fields, draft);
    draft.description = fields.text("description", {});
    draft.bus = fields.text("bus", draft.bus);
    draft.bus_place = fields.place_of("bus");
    draft.enabled = fields.flag("enabled", true);
    static_cast<void>(fields.node("pattern"));
    read_targets(rule, fields, draft);
    read_tests(fields, document, draft);
    refuse_later(fields, rule, {"input", "delay", "order_key", "expire_after", "sample"});
    fields.finish("a rule");
    read_pattern(rule, document, draft);  // last: it takes the pattern out of the tree
    drafts_.push_back(std::move(draft));
}

void RuleReader::read_name(const Node& rule, Fields& fields, RuleDraft& draft)
{
    if (!fields.has("name")) return report_missing(rule, "name", report_);
    draft.name = fields.required_text("name");
    draft.name_place = fields.place_of("name");
    if (draft.name.empty()) return;
    check_name(draft.name, "a rule", true, draft.name_place, report_);
    const auto [first, inserted] = names_.emplace(draft.name, draft.name_place);
    if (!inserted)
        report_.error(draft.name_place, "rule '" + draft.name + "' is already defined at " +
                                            shown(first->second));
}

void RuleReader::read_pattern(Node& rule, const Document* document, RuleDraft& draft)
{
    const auto found = std::find_if(rule.members.begin(), rule.members.end(),
                                    [](const Member& m) { return m.key == "pattern"; });
    if (found == rule.members.end()) {
        report_missing(rule, "pattern", report_);
        return;
    }
    Node pattern = std::move(found->value);
    if (pattern.kind == Node::Kind::string) {
        auto parsed = read_embedded_json(
            pattern, document != nullptr ? std::string_view(document->text) : std::string_view(),
            report_);
        if (!parsed) return;
        pattern = std::move(*parsed);
    }
    auto source = std::make_shared<const Node>(std::move(pattern));
    draft.pattern = rules::compile_pattern(*source, report_);
    draft.pattern_source = std::move(source);
}

void RuleReader::read_targets(const Node& rule, Fields& fields, RuleDraft& draft)
{
    const Node* list = fields.node("targets");
    if (list == nullptr) {
        report_missing(rule, "targets", report_);
        return;
    }
    if (list->kind == Node::Kind::string) return read_target(*list, draft);
    if (list->kind != Node::Kind::list) {
        report_.error(list->place, std::string("'targets' must be a list of target names, found ") +
                                       kind_name(list->kind));
        return;
    }
    if (list->items.empty()) report_.error(list->place, "a rule needs at least one target");
    for (const Node& item : list->items) read_target(item, draft);
}

void RuleReader::read_target(const Node& item, RuleDraft& draft)
{
    router::RuleTarget target{item.text, item.place};
    if (item.kind == Node::Kind::map) {
        Fields fields(item, report_, secrets_);
        target.target = fields.required_text("target");
        target.place = fields.place_of("target");
        if (fields.has("input"))
            report_.error(key_place(item, "input"),
                          "input transformers are not supported by this version; without 'input' "
                          "the target gets the event as it came");
        refuse_later(fields, item, {"delay", "order_key", "expire_after"});
        fields.finish("a rule's target");
    } else if (item.kind != Node::Kind::string) {
        report_.error(item.place, std::string("a target is named by text, found ") + kind_name(item.kind));
        return;
    }
    if (target.target.empty()) return;
    const bool twice = std::any_of(draft.targets.begin(), draft.targets.end(),
                                   [&](const auto& t) { return t.target == target.target; });
    if (twice)
        report_.error(target.place, "target '" + target.target + "' is listed twice in this rule");
    else
        draft.targets.push_back(std::move(target));
}

void RuleReader::read_tests(Fields& fields, const Document* document, RuleDraft& draft)
{
    const Node* list = fields.node("tests");
    if (list == nullptr) return;
    if (list->kind != Node::Kind::list) {
        report_.error(list->place, std::string("'tests' must be a list, found ") + kind_name(list->kind));
        return;
    }
    const std::string_view source =
        document != nullptr ? std::string_view(document->text) : std::string_view();
    for (const Node& item : list->items) {
        Fields test(item, report_, secrets_);
        const Node* match = test.node("matches");
        const Node* reject = test.node("rejects");
        test.finish("a test");
        if (item.kind != Node::Kind::map) continue;
        if ((match == nullptr) == (reject == nullptr)) {
            report_.error(item.place, "a test has either matches: EVENT or rejects: EVENT");
            continue;
        }
        const Node* event = match != nullptr ? match : reject;
        std::optional<Node> parsed;
        if (event->kind == Node::Kind::string) {
            parsed = read_embedded_json(*event, source, report_);
            if (!parsed) continue;
        }
        const Node& root = parsed ? *parsed : *event;
        if (root.kind != Node::Kind::map) {
            report_.error(root.place,
                          std::string("an event is a map, found ") + kind_name(root.kind));
            continue;
        }
        draft.tests.push_back({match != nullptr, to_json(root), item.place});
    }
}

}  // namespace eventyard::config
