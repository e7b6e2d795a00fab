// router/replay_name.hpp — the rule's name under which a replayed delivery stands in the journal. Pure.
//
// A replayed event is appended to the journal as an event of its own, with routes of a routing version
// of its own. The rule of such a route is "replay:TAG:RULE", or "replay:TAG:same:RULE" when the
// deliveries keep their ids. So everything that counts by rule (footers, ledger, audit, dead letters)
// counts replays apart, and a delivery's id follows from what is stored with it. Configured names hold
// no ':', so nobody's rule is taken for a replay's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/ids.hpp"

namespace eventyard::router {

struct ReplayName {
    std::string_view tag;    // of the replay; never given twice
    bool same_ids = false;
    std::string_view rule;   // as the configuration has it
};

/// Nothing: the route is no replay's.
[[nodiscard]] inline std::optional<ReplayName> parse_replay_name(std::string_view name) noexcept
{
    constexpr std::string_view prefix = "replay:", same = "same:";
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    const std::size_t end = name.find(':');
    if (end == std::string_view::npos) return std::nullopt;
    ReplayName parsed{name.substr(0, end), false, name.substr(end + 1)};
    if (parsed.rule.starts_with(same)) {
        parsed.same_ids = true;
        parsed.rule.remove_prefix(same.size());
    }
    return parsed;
}

[[nodiscard]] inline std::string replay_name(const ReplayName& name)
{
    return "replay:" + std::string{name.tag} + (name.same_ids ? ":same:" : ":") + std::string{name.rule};
}

/// The configured rule's name, of a replay's route and of any other.
[[nodiscard]] inline std::string_view plain_rule(std::string_view name) noexcept
{
    const auto replay = parse_replay_name(name);
    return replay ? replay->rule : name;
}

/// The `webhook-id` of a delivery by the rule's name in the journal: a replay's own, unless it keeps ids.
[[nodiscard]] inline std::string stored_delivery_id(const Id& event, std::string_view name, std::string_view target)
{
    const auto replay = parse_replay_name(name);
    return delivery_id(event, replay && replay->same_ids ? replay->rule : name, target);
}

/// What a delivery is a replay of, by its id; empty: of nothing.
[[nodiscard]] inline std::string replayed_delivery_id(const Id& event, std::string_view name, std::string_view target)
{
    const auto replay = parse_replay_name(name);
    return replay ? delivery_id(event, replay->rule, target) : std::string{};
}

}  // namespace eventyard::router
