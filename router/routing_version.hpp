// router/routing_version.hpp — what the rules said when an event was accepted.
//
// A journal record names its matches as indices into one RoutingVersion, which is stored once
// before its first event and kept while any event refers to it. So what is sent is what the rule
// said at acceptance; where and how it is sent is the target's current configuration.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "router/input/input.hpp"

namespace eventyard::router {

/// One rule and one of its targets.
struct Route {
    std::string rule;
    std::string target;
    Input input;               // what is sent instead of the event
    std::string order_key;     // of an ordered target, instead of the target's own; empty: the target's
    Duration delay{0};         // from acceptance to the first attempt
    Duration expire_after{0};  // from acceptance: no attempt starts later; zero: never
    std::string deliver_at{};  // where the event says when; the later of that and `delay` counts; empty: nowhere
};

/// Of Route, what few routes have.
struct RouteExtras {
    Input input;
    std::string order_key;
    Duration delay{0}, expire_after{0};
    std::string deliver_at{};
    bool operator==(const RouteExtras&) const = default;
};

/// Routes in order. A configuration can have a million, so names lie in one piece and targets, which
/// many routes share, once. Up to 4 GiB of rule names.
class RouteList {
public:
    /// Lives as long as the list is not changed.
    struct View {
        std::string_view rule;
        const std::string& target;
    };

    RouteList() = default;
    RouteList(std::initializer_list<Route> routes)
    {
        for (const Route& route : routes) push_back(route);
    }
    void reserve(std::size_t routes) { entries_.reserve(routes); }
    void push_back(const Route& route)
    {
        push_back(route.rule, route.target, RouteExtras{route.input, route.order_key, route.delay, route.expire_after, route.deliver_at});
    }
    /// A route that delivers the event as it came, at once.
    void push_back(std::string_view rule, const std::string& target) { push_back(rule, target, RouteExtras{}); }

    void push_back(std::string_view rule, const std::string& target, RouteExtras extras)
    {
        const auto [at, fresh] = target_numbers_.try_emplace(target, static_cast<std::uint32_t>(targets_.size()));
        if (fresh) targets_.push_back(target);
        if (extras != RouteExtras{}) extras_.emplace(entries_.size(), std::move(extras));
        rules_ += rule;
        entries_.push_back({static_cast<std::uint32_t>(rules_.size()), at->second});
    }

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] View operator[](std::size_t i) const noexcept
    {
        const std::uint32_t begin = i == 0 ? 0 : entries_[i - 1].rule_end;
        return {std::string_view(rules_).substr(begin, entries_[i].rule_end - begin), targets_[entries_[i].target]};
    }
    /// All of a route.
    [[nodiscard]] Route at(std::size_t i) const
    {
        const View names = (*this)[i];
        Route route{std::string{names.rule}, names.target, {}, {}, {}, {}};
        if (const auto found = extras_.find(i); found != extras_.end()) {
            route.input = found->second.input;
            route.order_key = found->second.order_key;
            route.delay = found->second.delay;
            route.expire_after = found->second.expire_after;
            route.deliver_at = found->second.deliver_at;
        }
        return route;
    }
    /// What few routes have; null: none of it.
    [[nodiscard]] const RouteExtras* extras(std::size_t i) const noexcept
    {
        if (extras_.empty()) return nullptr;
        const auto found = extras_.find(i);
        return found == extras_.end() ? nullptr : &found->second;
    }
    [[nodiscard]] bool any_input() const noexcept
    {
        return std::any_of(extras_.begin(), extras_.end(), [](const auto& one) { return !one.second.input.empty(); });
    }
    /// Every target, each once.
    [[nodiscard]] const std::vector<std::string>& targets() const noexcept { return targets_; }
    /// Index into targets().
    [[nodiscard]] std::uint32_t target(std::size_t i) const noexcept { return entries_[i].target; }
    bool operator==(const RouteList&) const = default;

private:
    struct Entry {
        std::uint32_t rule_end;  // in rules_; it begins where the one before ends
        std::uint32_t target;
        bool operator==(const Entry&) const = default;
    };
    std::vector<Entry> entries_;
    std::string rules_;
    std::vector<std::string> targets_;
    std::unordered_map<std::string, std::uint32_t> target_numbers_;
    std::map<std::size_t, RouteExtras> extras_;  // by route
};

struct RoutingVersion {
    std::uint64_t number = 0;  // given by the journal, never reused in one store; 0: not stored yet
    std::vector<std::string> buses;
    RouteList routes;          // records hold indices into this
};

using RoutingVersionPtr = std::shared_ptr<const RoutingVersion>;

/// The same version under a count of its own. Every event of a version has a pointer to it: with one count for all,
/// threads that make and end events wait for each other's caches at each of them.
[[nodiscard]] inline RoutingVersionPtr counted_apart(RoutingVersionPtr version)
{
    const auto holder = std::make_shared<const RoutingVersionPtr>(std::move(version));
    return {holder, holder->get()};
}

}  // namespace eventyard::router
