#include "config/rule_file.hpp"

#include <algorithm>

#include "config/files.hpp"
#include "config/json_text.hpp"
#include "config/names.hpp"
#include "config/rule_input.hpp"
#include "router/delivery/order_key.hpp"

namespace eventyard::config {

namespace {

template <class Map>
std::vector<std::string> names_of(const Map& map)
{
    std::vector<std::string> names;
    for (const auto& [name, value] : map) names.push_back(name);
    return names;
}

/// Adds the time of its life to a sum.
class Took {
public:
    explicit Took(Duration& sum) : sum_(sum), start_(clock_.steady()) {}
    ~Took() { sum_ += clock_.steady() - start_; }
    Took(const Took&) = delete;
    Took& operator=(const Took&) = delete;

private:
    SystemClock clock_;
    Duration& sum_;
    SteadyTime start_;
};

}  // namespace

router::SharedName RuleReader::shared(std::string_view name)
{
    const auto found = shared_.find(name);
    if (found != shared_.end()) return found->second;
    auto made = std::make_shared<const std::string>(name);
    return shared_.emplace(*made, made).first->second;
}

template <class Names>
router::SharedNames RuleReader::shared_list(const Names& names)
{
    joined_.clear();
    for (const auto& name : names) (joined_ += name) += '\n';
    router::SharedNames& list = shared_lists_[joined_];
    if (!list) list = std::make_shared<const std::vector<std::string>>(names.begin(), names.end());
    return list;
}

void RuleReader::read(const std::string& path, const Place& asked_by)
{
    if (extension(path) == ".jsonl") {
        line_files_.push_back(path);
        read_json_lines(path, asked_by, report_, [this](std::string_view line, const Place& start) {
            if (read_plain(line, start)) return;
            if (auto rule = rules::read_pattern_text(line, start, report_)) read_rule(*rule, nullptr);
        });
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
        // Not a warning: an editor that was half done and a reload just then would send all events nowhere.
        report_.error({document.file, 1, 1}, "this rule file is empty; one without rules says 'rules: []'");
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

/// False: nothing was done.
bool RuleReader::read_plain(std::string_view line, const Place& start)
{
    if (settings_ == nullptr) return false;
    const RuleLine* const rule = lines_.read(line);
    if (rule == nullptr) return false;
    const std::string_view bus_name = rule->bus.empty() ? "default" : rule->bus;
    if (settings_->buses.find(bus_name) == settings_->buses.end()) return false;
    for (const std::string_view target : rule->targets)
        if (settings_->targets.find(target) == settings_->targets.end()) return false;
    const auto number = static_cast<std::uint32_t>(rules_.size());
    router::Rule made;
    made.name = rule->name;
    made.place = {start.file, start.line, start.column + rule->name_column - 1};
    made.bus = shared(bus_name);
    auto found = sets_.find(bus_name);
    BusRules& bus = found != sets_.end() ? found->second : sets_[*made.bus];
    const Took took(bus.took);
    made.in_set = bus.set.size();
    // The pattern first: a name that was put down would be there already for whoever reads the line next.
    if (!bus.set.add_plain(lines_.text(), rule->pattern)) return false;
    if (const auto first = names_.add(rule->name, number, rules_)) {
        report_.error(made.place, "rule '" + made.name + "' is already defined at " + shown(rules_[*first].place));
        return true;
    }
    made.targets = shared_list(rule->targets);
    rules_.push_back(std::move(made));
    return true;
}

void RuleReader::read_rule(Node& rule, const Document* document)
{
    if (rule.kind != Node::Kind::map) {
        report_.error(rule.place, std::string("a rule is a map with name, pattern and targets, found ") +
                                      kind_name(rule.kind));
        return;
    }
    Fields fields(rule, report_, secrets_);
    router::Rule made;
    made.place = rule.place;
    read_name(rule, fields, made);
    std::string description = fields.text("description", {});
    read_bus(fields, made);
    made.enabled = fields.flag("enabled", true);
    static_cast<void>(fields.node("pattern"));
    const router::RouteExtras extras = read_extras(fields, {});
    std::vector<router::RouteExtras> of_targets;
    made.targets = shared_list(read_targets(rule, fields, document, extras, of_targets));
    if (std::any_of(of_targets.begin(), of_targets.end(), [](const auto& one) { return one != router::RouteExtras{}; }))
        extras_.emplace(rules_.size(), std::move(of_targets));
    std::vector<router::RuleTest> tests = read_tests(fields, document);
    if (fields.has("input"))
        report_.error(key_place(rule, "input"), "'input' belongs to a target of the rule: {target: NAME, input: ...}");
    refuse_later(fields, rule, {"sample"});
    fields.finish("a rule");
    std::shared_ptr<const Node> source;
    if (auto pattern = read_pattern(rule, document, source)) {  // last: it takes the pattern out of the tree
        if (made.enabled && settings_ != nullptr && !report_.has_errors()) {
            BusRules& bus = sets_[*made.bus];
            const Took took(bus.took);
            made.in_set = bus.set.size();
            bus.set.add(*pattern);
        }
        made.details = std::make_shared<const router::RuleDetails>(router::RuleDetails{
            std::move(description), std::move(source), std::move(*pattern), std::move(tests)});
    }
    rules_.push_back(std::move(made));
}

void RuleReader::read_name(const Node& rule, Fields& fields, router::Rule& made)
{
    if (!fields.has("name")) return report_missing(rule, "name", report_);
    made.name = fields.required_text("name");
    if (made.name.empty()) return;
    made.place = fields.place_of("name");
    check_name(made.name, "a rule", true, made.place, report_);
    if (const auto first = names_.add(made.name, static_cast<std::uint32_t>(rules_.size()), rules_))
        report_.error(made.place, "rule '" + made.name + "' is already defined at " + shown(rules_[*first].place));
}

void RuleReader::read_bus(Fields& fields, router::Rule& made)
{
    const std::string bus = fields.text("bus", "default");
    made.bus = shared(bus);
    if (settings_ != nullptr && settings_->buses.find(bus) == settings_->buses.end())
        report_.error(fields.place_of("bus"), "unknown bus '" + bus + "'" + did_you_mean(bus, names_of(settings_->buses)));
}

std::optional<rules::Pattern> RuleReader::read_pattern(Node& rule, const Document* document,
                                                       std::shared_ptr<const Node>& source)
{
    const auto found = std::find_if(rule.members.begin(), rule.members.end(),
                                    [](const Member& m) { return m.key == "pattern"; });
    if (found == rule.members.end()) {
        report_missing(rule, "pattern", report_);
        return std::nullopt;
    }
    Node pattern = std::move(found->value);
    if (pattern.kind == Node::Kind::string) {
        auto parsed = read_embedded_json(
            pattern, document != nullptr ? std::string_view(document->text) : std::string_view(),
            report_);
        if (!parsed) return std::nullopt;
        pattern = std::move(*parsed);
    }
    source = std::make_shared<const Node>(std::move(pattern));
    return rules::compile_pattern(*source, report_);
}

/// When and in which order deliveries go out; a target may differ from its rule.
router::RouteExtras RuleReader::read_extras(Fields& fields, const router::RouteExtras& outer)
{
    constexpr Duration longest = std::chrono::hours{24 * 365};
    router::RouteExtras extras = outer;
    extras.order_key = fields.text("order_key", outer.order_key);
    if (fields.has("order_key"))
        if (const auto key = router::OrderKey::parse(extras.order_key); !key.has_value())
            fields.error("order_key", key.error().what);
    extras.deliver_at = fields.text("deliver_at", outer.deliver_at);
    if (fields.has("deliver_at"))
        if (const auto path = router::OrderKey::parse(extras.deliver_at); !path.has_value())
            fields.error("deliver_at", path.error().what);
    extras.delay = fields.duration("delay", outer.delay, {.max = longest});
    extras.expire_after = fields.duration("expire_after", outer.expire_after, {.max = longest});
    const bool said = fields.has("expire_after") || fields.has("delay");
    if (said && extras.expire_after > Duration{0} && extras.expire_after <= extras.delay)
        fields.error(fields.has("expire_after") ? "expire_after" : "delay",
                     "every delivery would expire before its 'delay' is over");
    return extras;
}

std::vector<std::string> RuleReader::read_targets(const Node& rule, Fields& fields, const Document* document,
                                                  const router::RouteExtras& extras,
                                                  std::vector<router::RouteExtras>& of_targets)
{
    std::vector<std::string> targets;
    const Node* list = fields.node("targets");
    if (list == nullptr) {
        report_missing(rule, "targets", report_);
    } else if (list->kind == Node::Kind::string) {
        read_target(*list, document, targets, extras, of_targets);
    } else if (list->kind != Node::Kind::list) {
        report_.error(list->place, std::string("'targets' must be a list of target names, found ") +
                                       kind_name(list->kind));
    } else {
        if (list->items.empty()) report_.error(list->place, "a rule needs at least one target");
        for (const Node& item : list->items) read_target(item, document, targets, extras, of_targets);
    }
    return targets;
}

void RuleReader::read_target(const Node& item, const Document* document, std::vector<std::string>& targets,
                             const router::RouteExtras& outer, std::vector<router::RouteExtras>& of_targets)
{
    router::RouteExtras extras = outer;
    std::string name = item.text;
    Place place = item.place;
    if (item.kind == Node::Kind::map) {
        Fields fields(item, report_, secrets_);
        name = fields.required_text("target");
        place = fields.place_of("target");
        extras = read_extras(fields, outer);
        if (const Node* const input = fields.node("input"))
            extras.input = read_input(*input, document != nullptr ? std::string_view(document->text) : std::string_view(),
                                      report_, secrets_);
        fields.finish("a rule's target");
    } else if (item.kind != Node::Kind::string) {
        report_.error(item.place, std::string("a target is named by text, found ") + kind_name(item.kind));
        return;
    }
    if (name.empty()) return;
    if (settings_ != nullptr && settings_->targets.find(name) == settings_->targets.end())
        report_.error(place, "unknown target '" + name + "'" + did_you_mean(name, names_of(settings_->targets)));
    if (std::find(targets.begin(), targets.end(), name) != targets.end()) {
        report_.error(place, "target '" + name + "' is listed twice in this rule");
        return;
    }
    if (settings_ != nullptr && !extras.order_key.empty()) {
        const auto target = settings_->targets.find(name);
        if (target != settings_->targets.end() && target->second.spec.order.order != router::Order::key)
            report_.error(place, "target '" + name + "' keeps no order by key, so 'order_key' has no effect; give it order: {by: key, ...}");
    }
    targets.push_back(std::move(name));
    of_targets.push_back(std::move(extras));
}

std::vector<router::RuleTest> RuleReader::read_tests(Fields& fields, const Document* document)
{
    std::vector<router::RuleTest> tests;
    const Node* list = fields.node("tests");
    if (list == nullptr) return tests;
    if (list->kind != Node::Kind::list) {
        report_.error(list->place, std::string("'tests' must be a list, found ") + kind_name(list->kind));
        return tests;
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
        tests.push_back({match != nullptr, to_json(root), item.place});
    }
    return tests;
}

}  // namespace eventyard::config
