// Which Target serves which lane: those of a new table replace the former ones while attempts run.
#include <algorithm>

#include "router/delivery/shard.hpp"

namespace eventyard::router {
namespace {

std::string identity_of(const TargetSpec& spec)
{
    return spec.kind + '\n' + spec.blueprint->fingerprint();
}

}  // namespace

void Shard::apply(const std::vector<LanePlan>& plans, std::size_t window_bytes, bool reload)
{
    if (stage_ != Stage::running) return;
    std::map<std::string, RunningPtr> kept;
    for (const LanePlan& plan : plans) {
        Entry* const entry = find(plan.lane);
        if (!entry) continue;
        entry->lane.set_window_bytes(window_bytes);
        if (!plan.spec) {
            entry->lane.configure(nullptr);
            entry->running.reset();
            touch(*entry);
            continue;
        }
        RunningPtr& running = kept[plan.spec->name];
        if (!running) running = run(*plan.spec, reload);
        ++running->lanes;
        entry->running = running;
        entry->kind = plan.spec->kind;
        LaneSettings settings{plan.spec->retry, std::max(1U, plan.spec->concurrency),
                              plan.spec->dead_letter_target, plan.spec->breaker, plan.spec->order,
                              plan.spec->batch, plan.spec->budget, plan.spec->catch_up};
        if (plan.lane != plan.spec->name) settings.budget.gate.reset();  // nothing new comes to the former name
        entry->lane.configure(&settings);
        touch(*entry);
    }
    running_.swap(kept);
    for (const auto& [name, running] : kept) {
        const auto still = running_.find(name);
        if (still == running_.end() || still->second != running) retire(running);
    }
    make_waiting();
    pump_touched();
}

/// The Target that serves this spec: the running one when nothing of it changed.
Shard::RunningPtr Shard::run(const TargetSpec& spec, bool reload)
{
    const std::string identity = identity_of(spec);
    const auto found = running_.find(spec.name);
    if (found != running_.end() && found->second->identity == identity) {
        found->second->spec = spec;
        found->second->bucket.configure(spec.rate);
        found->second->lanes = 0;
        if (reload && found->second->target) found->second->target->reopen();
        return found->second;
    }
    auto running = std::make_shared<Running>();
    running->spec = spec;
    running->identity = identity;
    const SteadyTime at = place_.clock.steady();
    running->bucket.configure(spec.rate);
    if (found != running_.end()) {  // another address is still the same target
        running->bucket.set_lacks(at, found->second->bucket.lacks(at));
    } else if (const Entry* const entry = find(spec.name); !reload && entry && entry->rate.used) {
        if (entry->rate.full) running->bucket.set_lacks(at, *entry->rate.full - place_.clock.wall());
        else running->bucket.set_empty(at);
    }
    return running;
}

/// Makes the Targets that waited for a predecessor: two never work on one address (a file) at a time.
void Shard::make_waiting()
{
    if (stage_ != Stage::running) return;
    for (const auto& [name, running] : running_) {
        if (running->target) continue;
        const std::string address = running->spec.blueprint->address();
        const bool waits = std::any_of(retired_.begin(), retired_.end(), [&](const RunningPtr& old) {
            return old->spec.blueprint->address() == address;
        });
        if (waits) continue;
        running->target = running->spec.blueprint->make(
            {running->spec.name, place_.io, place_.clock, place_.random});
        touch_all_of(*running);
    }
}

/// Closes a Target that is not configured any more as soon as its attempts have ended.
void Shard::retire(const RunningPtr& running)
{
    running->retired = true;
    std::erase(retired_, running);
    if (running->in_flight > 0) retired_.push_back(running);
    else close(*running);
}

void Shard::close(Running& running)
{
    if (std::exchange(running.closed, true) || !running.target) return;
    running.target->close();
}

}  // namespace eventyard::router
