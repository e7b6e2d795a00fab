#include "router/ingest/match_meter.hpp"

#include <algorithm>
#include <utility>

namespace eventyard::router {
namespace {

/// One writer: no locked instruction needed.
void add_to(std::atomic<std::uint64_t>& number, std::uint64_t count) noexcept
{
    number.store(number.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

}  // namespace

void MatchTotals::add(const MatchTotals& other)
{
    events += other.events;
    cost.touched += other.cost.touched;
    cost.candidates += other.cost.candidates;
    cost.matches += other.cost.matches;
    sampled_events += other.sampled_events;
    sampled_time += other.sampled_time;
    if (other.generation < generation) return;
    if (other.generation > generation) paths.clear();
    generation = other.generation;
    for (const auto& [path, its] : other.paths) {
        PathCost& sum = paths[path];
        sum.candidates += its.candidates;
        sum.time += its.time;
    }
}

std::vector<std::pair<std::string, PathCost>> most_expensive(const MatchTotals& totals, std::size_t count)
{
    std::vector<std::pair<std::string, PathCost>> all(totals.paths.begin(), totals.paths.end());
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second.time > b.second.time; });
    if (all.size() > count) all.resize(count);
    return all;
}

void MatchMeter::enter(const RouteTable& table, const Bus& bus)
{
    bus_ = &bus;
    generation_ = table.generation;
    auto found = buses_.find(bus.name);  // no lock: only this thread changes the map
    if (found == buses_.end()) {
        const std::lock_guard lock{mutex_};
        found = buses_.emplace(bus.name, std::make_unique<PerBus>()).first;
    }
    counts_ = found->second.get();
}

void MatchMeter::match(const json::Document& event, std::vector<std::uint32_t>& rules)
{
    matching_.cost = {};
    if (until_sample_ == 0) {
        until_sample_ = sample_every;
        match_sampled(event, rules);
    } else {
        bus_->rules.match(event, matching_, rules);
    }
    --until_sample_;
    add_to(counts_->events, 1);
    add_to(counts_->touched, matching_.cost.touched);
    add_to(counts_->candidates, matching_.cost.candidates);
    add_to(counts_->matches, matching_.cost.matches);
}

void MatchMeter::match_sampled(const json::Document& event, std::vector<std::uint32_t>& rules)
{
    // Looking at single paths is slow, so the whole is timed without that, and before: as other events
    // find it, not warmed up.
    const SteadyTime start = sample_.clock.steady();
    bus_->rules.match(event, matching_, rules);
    const Duration time = sample_.clock.steady() - start;
    const rules::MatchCost cost = matching_.cost;
    again_.clear();
    bus_->rules.match(event, matching_, again_, sample_);
    matching_.cost = cost;

    const std::lock_guard lock{mutex_};  // held by a look at the totals at most
    MatchTotals& sampled = counts_->sampled;
    ++sampled.sampled_events;
    sampled.sampled_time += time;
    if (sampled.generation != generation_) sampled.paths.clear();
    sampled.generation = generation_;
    for (const auto& row : sample_.rows) {
        std::string path = bus_->rules.path(row.path);
        if (sampled.paths.size() >= paths_max && sampled.paths.find(path) == sampled.paths.end()) continue;
        PathCost& sum = sampled.paths[std::move(path)];
        sum.candidates += row.candidates;
        sum.time += row.time;
    }
}

void MatchMeter::sum_into(std::map<std::string, MatchTotals>& totals) const
{
    const auto read = [](const Number& number) { return number.load(std::memory_order_relaxed); };
    const std::lock_guard lock{mutex_};
    for (const auto& [name, bus] : buses_) {
        MatchTotals own = bus->sampled;
        own.events = read(bus->events);
        own.cost = {read(bus->touched), read(bus->candidates), read(bus->matches)};
        totals[name].add(own);
    }
}

}  // namespace eventyard::router
