#include "config/target_entry.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "config/files.hpp"
#include "config/names.hpp"
#include "router/delivery/order_key.hpp"

namespace eventyard::config {
namespace {

using namespace std::chrono_literals;

constexpr Duration wait_max = std::chrono::hours{24 * 30};
constexpr Duration age_max = std::chrono::hours{24 * 365};

router::RetryPolicy read_retry(Fields& target)
{
    router::RetryPolicy policy;
    auto retry = target.section("retry");
    if (!retry) return policy;
    policy.max_attempts = static_cast<std::uint32_t>(
        retry->integer("max_attempts", policy.max_attempts, {.min = 1, .max = 100'000}));
    policy.max_age = retry->duration("max_age", policy.max_age, {.min = 1ms, .max = age_max});
    if (auto backoff = retry->section("backoff")) {
        policy.backoff_initial =
            backoff->duration("initial", policy.backoff_initial, {.min = 1ms, .max = wait_max});
        policy.backoff_factor = backoff->number("factor", policy.backoff_factor, 1.0, 100.0);
        policy.backoff_max =
            backoff->duration("max", std::max(policy.backoff_max, policy.backoff_initial),
                              {.min = 1ms, .max = wait_max});
        policy.jitter = backoff->choice("jitter", {"full", "none"}, "full") == "full";
        if (policy.backoff_max < policy.backoff_initial)
            backoff->error("max", "'max' is less than 'initial'");
        backoff->finish("a backoff");
    }
    policy.retry_after_max =
        retry->duration("retry_after_max", policy.retry_after_max, {.max = wait_max});
    retry->finish("a retry policy");
    return policy;
}

router::RateLimit read_rate_limit(Fields& target)
{
    router::RateLimit limit;
    auto rate = target.section("rate_limit");
    if (!rate) return limit;
    if (!rate->has("per_second")) rate->error("per_second", "'per_second' is missing: attempts a second, 0.001 to 1000000");
    limit.per_second = rate->number("per_second", 1.0, 0.001, 1e6);
    // A tenth of a second's worth, so that the pace is even and no timer has to be finer than the machine's.
    const auto tenth = static_cast<std::int64_t>(limit.per_second / 10);
    limit.burst = static_cast<std::uint32_t>(
        rate->integer("burst", std::max<std::int64_t>(1, tenth), {.min = 1, .max = 1'000'000}));
    rate->finish("a rate_limit");
    return limit;
}

router::BatchPolicy read_batch(Fields& target)
{
    router::BatchPolicy policy;
    auto batch = target.section("batch");
    if (!batch) return policy;
    policy.max_events = static_cast<std::uint32_t>(batch->integer("max_events", 100, {.min = 2, .max = 1000}));
    policy.max_bytes = batch->size("max_bytes", policy.max_bytes, 1024, 64U << 20);
    policy.max_wait = batch->duration("max_wait", policy.max_wait, {.max = 1min});
    batch->finish("a batch");
    return policy;
}

router::BreakerPolicy read_breaker(Fields& target)
{
    router::BreakerPolicy policy;
    auto breaker = target.section("circuit_breaker");
    if (!breaker) return policy;
    policy.failures = static_cast<std::uint32_t>(breaker->integer("failures", policy.failures, {.min = 1, .max = 100'000}));
    policy.connect_failures = static_cast<std::uint32_t>(
        breaker->integer("connect_failures", std::min(policy.connect_failures, policy.failures), {.min = 1, .max = 100'000}));
    policy.probe_first = breaker->duration("probe_first", policy.probe_first, {.min = 1ms, .max = std::chrono::hours{24}});
    policy.probe_max = breaker->duration("probe_max", std::max(policy.probe_max, policy.probe_first),
                                         {.min = 1ms, .max = std::chrono::hours{24}});
    if (policy.probe_max < policy.probe_first)
        breaker->error("probe_max", "'probe_max' is less than 'probe_first'");
    breaker->finish("a circuit_breaker");
    return policy;
}

router::Budget read_budget(Fields& target, const std::string& name, bool untrusted)
{
    router::Budget budget;
    auto section = target.section("budget");
    if (!section) return budget;
    if (!section->has("bytes")) section->error("bytes", "'bytes' is missing: a size such as 10GiB");
    budget.bytes = section->size("bytes", 1ULL << 30, 64ULL << 10, 1ULL << 50);
    if (section->choice("overflow", {"dead_letter_oldest", "refuse_new"}, "dead_letter_oldest") == "refuse_new") {
        budget.overflow = router::Overflow::refuse_new;
        budget.gate = std::make_shared<router::Gate>();
        budget.gate->target = name;
        budget.gate->bytes = budget.bytes;
        if (untrusted)
            section->error("overflow", "'overflow: refuse_new' has no place in a file included with 'untrusted: true': it would "
                                       "refuse events of others");
    }
    budget.dead_letters = section->size("dead_letters", budget.bytes, 64ULL << 10, 1ULL << 50);
    section->finish("a budget");
    return budget;
}

router::OrderPolicy read_order(Fields& target)
{
    router::OrderPolicy policy;
    auto order = target.section("order");
    if (!order) return policy;
    if (!order->has("by")) order->error("by", "'by' is missing: one of none, key, strict");
    const std::string by = order->choice("by", {"none", "key", "strict"}, "none");
    policy.order = by == "key" ? router::Order::key : by == "strict" ? router::Order::strict : router::Order::none;
    if (by == "key") {
        policy.key = order->required_text("key");
        if (!policy.key.empty())
            if (const auto parsed = router::OrderKey::parse(policy.key); !parsed.has_value())
                order->error("key", parsed.error().what);
        policy.parked_max = static_cast<std::uint32_t>(
            order->integer("parked_max", policy.parked_max, {.min = 1, .max = 1'000'000}));
    } else {
        for (const char* key : {"key", "parked_max"})
            if (order->has(key)) order->error(key, std::string("'") + key + "' belongs to 'by: key'");
    }
    policy.hold = order->choice("after_dead_letter", {"continue", "hold"}, "continue") == "hold";
    order->finish("an order");
    return policy;
}

router::CatchUp read_catch_up(Fields& target, const router::OrderPolicy& order, bool sequence)
{
    const bool ordered = order.order != router::Order::none;
    const bool fair = target.choice("catch_up", {"fair", "oldest_first"}, ordered || sequence ? "oldest_first" : "fair") == "fair";
    if (fair && ordered)
        target.error("catch_up", "'catch_up: fair' does not go with 'order', which keeps what is old before what is new");
    return fair ? router::CatchUp::fair : router::CatchUp::oldest_first;
}

/// The kind's key and settings. Mistakes are reported; null when there is not exactly one.
const targets::Kind* find_kind_of(const Member& entry, Fields& fields, Report& report)
{
    const std::vector<std::string> names = targets::kind_names();
    std::vector<const Member*> given;
    bool misspelt = false;
    for (const Member& member : entry.value.members) {
        if (targets::find_kind(member.key) != nullptr) given.push_back(&member);
        else misspelt = misspelt || !nearest(member.key, names).empty();
    }
    for (const std::string& name : names) static_cast<void>(fields.has(name));
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    if (given.empty()) {
        // A misspelt kind is reported as an unknown key, with the suggestion.
        if (!misspelt)
            report.error(entry.key_place,
                         "target '" + entry.key + "' has no kind; give it one of " + list);
        return nullptr;
    }
    for (std::size_t i = 1; i < given.size(); ++i)
        if (given[i]->key != given[0]->key)  // the same key twice is reported by finish()
            report.error(given[i]->key_place, "target '" + entry.key + "' is already a " +
                                                  given[0]->key + "; a target has one kind");
    return targets::find_kind(given[0]->key);
}

/// Makes the paths among a kind's settings absolute, seen from the file they stand in.
void anchor_paths(Node& settings, const targets::Kind& kind)
{
    for (const targets::Setting& setting : kind.settings) {
        if (std::string_view(setting.form) != "path") continue;
        std::string_view key = setting.key;
        Node* node = &settings;
        while (node != nullptr && !key.empty()) {
            const std::string_view step = key.substr(0, key.find('.'));
            key.remove_prefix(std::min(step.size() + 1, key.size()));
            const auto found = std::find_if(node->members.begin(), node->members.end(),
                                            [step](const Member& m) { return m.key == step; });
            node = found == node->members.end() ? nullptr : &found->value;
        }
        if (node == nullptr || node->kind != Node::Kind::string || !node->place.file) continue;
        if (node->text.empty() || node->text.compare(0, 2, "${") == 0) continue;
        node->text = resolve_path(absolute(*node->place.file), node->text);
    }
}

}  // namespace

TargetDraft read_target(const Member& entry, Report& report, SecretSource& secrets,
                        const targets::Untrusted* untrusted)
{
    TargetDraft draft;
    draft.place = entry.key_place;
    draft.spec.name = entry.key;
    check_name(entry.key, "a target", false, entry.key_place, report);

    Fields fields(entry.value, report, secrets);
    if (entry.value.kind != Node::Kind::map) return draft;
    const targets::Kind* const kind = find_kind_of(entry, fields, report);
    if (kind != nullptr) {
        draft.spec.kind = kind->name;
        static_cast<void>(fields.section(kind->name));  // reports what is no map
        Node settings = *entry.value.find(kind->name);
        anchor_paths(settings, *kind);
        if (untrusted != nullptr && kind->read_untrusted == nullptr) {
            report.error(entry.key_place, "a file included with 'untrusted: true' must not hold a " +
                                              draft.spec.kind + " target");
        } else if (settings.kind == Node::Kind::map) {
            Fields kind_fields(settings, report, secrets);
            draft.spec.blueprint = untrusted != nullptr ? kind->read_untrusted(kind_fields, *untrusted)
                                                        : kind->read(kind_fields);
        }
    }
    draft.spec.retry = read_retry(fields);
    draft.spec.concurrency = static_cast<std::uint32_t>(
        fields.integer("concurrency", draft.spec.concurrency, {.min = 1, .max = 10'000}));
    draft.spec.rate = read_rate_limit(fields);
    draft.spec.batch = read_batch(fields);
    draft.spec.breaker = read_breaker(fields);
    draft.spec.budget = read_budget(fields, entry.key, untrusted != nullptr);
    draft.spec.order = read_order(fields);
    draft.spec.catch_up = read_catch_up(fields, draft.spec.order, kind != nullptr && kind->sequence);
    if (draft.spec.batch.any() && draft.spec.order.order == router::Order::strict)
        fields.error("batch", "'batch' does not go with 'order: {by: strict}', which sends one delivery at a time");
    if (auto dead = fields.section("dead_letter")) {
        draft.spec.dead_letter_target = dead->required_text("target");
        draft.dead_letter_place = dead->place_of("target");
        dead->finish("a dead_letter");
    }
    draft.spec.renamed_from = fields.text("renamed_from", {});
    draft.renamed_from_place = fields.place_of("renamed_from");
    if (untrusted != nullptr && !draft.spec.renamed_from.empty())
        report.error(draft.renamed_from_place,
                     "'renamed_from' has no place in a file included with 'untrusted: true': it "
                     "would take over deliveries that were promised to others");
    if (!draft.spec.renamed_from.empty())
        check_name(draft.spec.renamed_from, "a target", false, draft.renamed_from_place, report);
    draft.spec.adopt_pending = fields.flag("adopt_pending", false);
    refuse_later(fields, entry.value, {"window"});
    fields.finish("a target");
    return draft;
}

namespace {

std::vector<std::string> names_of(const TargetDrafts& targets)
{
    std::vector<std::string> names;
    for (const auto& [name, draft] : targets) names.push_back(name);
    return names;
}

/// Reports a cycle of dead-letter targets that begins and ends at `start`, at its first name.
void check_cycle(const std::string& start, const TargetDrafts& targets, Report& report)
{
    std::string chain = start;
    std::set<std::string> seen{start};
    auto at = targets.find(start);
    for (;;) {
        const std::string& next = at->second.spec.dead_letter_target;
        if (next.empty()) return;
        chain += " -> " + next;
        if (next == start) break;
        at = targets.find(next);
        // A cycle not through `start` is reported by its own members, each cycle once: by the
        // alphabetically first of them.
        if (at == targets.end() || next < start || !seen.insert(next).second) return;
    }
    report.error(targets.find(start)->second.dead_letter_place,
                 "dead letters would go in a circle: " + chain);
}

}  // namespace

void check_targets(const TargetDrafts& targets, Report& report)
{
    std::map<std::string, const TargetDraft*> renamed;
    for (const auto& [name, draft] : targets) {
        const std::string& dead = draft.spec.dead_letter_target;
        if (!dead.empty() && targets.find(dead) == targets.end())
            report.error(draft.dead_letter_place,
                         "unknown target '" + dead + "'" + did_you_mean(dead, names_of(targets)));
        check_cycle(name, targets, report);
        const std::string& old = draft.spec.renamed_from;
        if (old.empty()) continue;
        if (targets.find(old) != targets.end())
            report.error(draft.renamed_from_place,
                         "target '" + old + "' still exists; a name is taken over once it is free");
        const auto [first, inserted] = renamed.emplace(old, &draft);
        if (!inserted)
            report.error(draft.renamed_from_place, "target '" + first->second->spec.name +
                                                       "' already takes over '" + old + "'");
    }
}

}  // namespace eventyard::config
