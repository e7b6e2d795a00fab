#include "router/delivery/engine.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "core/log.hpp"
#include "router/delivery/shard.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint32_t all_routes = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t window_least = 256U << 10;
constexpr std::size_t window_most = 8U << 20;

const TargetSpec* find_spec(const std::vector<TargetSpec>& specs, const std::string& name)
{
    const auto found =
        std::find_if(specs.begin(), specs.end(), [&](const TargetSpec& spec) { return spec.name == name; });
    return found == specs.end() ? nullptr : &*found;
}

/// The spec that serves the lane `name`: its own, or the one that was renamed from it.
const TargetSpec* serves(const std::vector<TargetSpec>& specs, const std::string& name)
{
    if (const TargetSpec* own = find_spec(specs, name)) return own;
    const auto heir = std::find_if(specs.begin(), specs.end(),
                                   [&](const TargetSpec& spec) { return spec.renamed_from == name; });
    return heir == specs.end() ? nullptr : &*heir;
}

template <class T>
bool answered(Waits& waits, const std::future<T>& answer, Duration patience)
{
    return waits.until([&](Duration slice) { return answer.wait_for(slice) == std::future_status::ready; }, patience);
}

Error kind_conflict(const TargetSpec& spec, const std::string& lane, const std::string& kind, std::uint64_t pending)
{
    if (spec.name == lane)
        return fail(Errc::conflict, "target '" + lane + "' changes its kind from " + kind + " to " + spec.kind + " while " +
                                        std::to_string(pending) +
                                        " deliveries are pending; set adopt_pending: true to send them there");
    return fail(Errc::conflict, "target '" + spec.name + "' takes over '" + lane + "', which is of another kind (" + kind +
                                    ") and has deliveries pending; set adopt_pending: true to send them there");
}

}  // namespace

Engine::Engine(IoThreads& threads, Journal& journal, State& state, const Clock& clock, Random& random,
               Waits& waits, EngineOptions options)
    : journal_(journal), state_(state), waits_(waits), options_(options),
      ages_(clock.steady(), clock.wall())
{
    // Known to every shard, so that a dead letter of one thread finds its target on another.
    const auto all = std::make_shared<std::vector<std::weak_ptr<Shard>>>();
    const auto forwarded = [all](const std::vector<std::string>& targets) {
        for (const auto& weak : *all)
            if (const auto shard = weak.lock()) shard->post([targets](Shard& self) { self.look(targets); });
    };
    for (std::size_t i = 0; i < threads.size(); ++i) {
        shards_.push_back(std::make_shared<Shard>(
            Shard::Place{threads.at(i), journal, state, clock, random, waits, static_cast<std::uint32_t>(i),
                         forwarded},
            options));
        all->push_back(shards_.back());
    }
}

Engine::~Engine() = default;

// --- Start ------------------------------------------------------------------------------------------

std::size_t Engine::least_loaded() const
{
    std::vector<std::size_t> load(shards_.size());
    for (const auto& [name, known] : known_) ++load[known.shard];
    return static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
}

/// Beside the lane it drains, so that both share one Target.
std::size_t Engine::shard_for(const TargetSpec& spec) const
{
    const auto former = known_.find(spec.renamed_from);
    return former != known_.end() ? former->second.shard : least_loaded();
}

void Engine::add_lane(const std::string& name, std::size_t shard, const std::string& kind, LaneStart start,
                      const RateStart& rate, bool reload)
{
    auto gauge = std::make_shared<LaneGauge>();
    gauge->pending = start.window.behind + start.retries;
    known_[name] = Known{shard, kind, !reload, gauge};
    shards_[shard]->post([start = std::move(start), kind, rate, gauge, reload](Shard& self) mutable {
        self.add_lane(std::move(start), std::move(kind), rate, std::move(gauge), reload);
    });
}

/// Deliveries with a retry row, at this target or moved to another: a lane without a trustworthy cursor
/// must not attempt them anew. A state that cannot write does not answer; those deliveries may then go
/// out, and be counted, twice.
Result<std::vector<DeliveryKey>> Engine::retry_keys(Sequence first, Sequence last, const std::string& target)
{
    auto answer = std::make_shared<std::promise<Result<std::vector<DeliveryKey>>>>();
    auto keys = answer->get_future();
    state_.retry_keys(first, last, target, [answer](Result<std::vector<DeliveryKey>> result) {
        answer->set_value(std::move(result));
    });
    if (answered(waits_, keys, options_.start_patience)) return keys.get();
    return fail(Errc::unavailable, "the state does not answer");
}

Result<void> Engine::start(const std::vector<TargetSpec>& specs, const StateSnapshot& snapshot)
{
    const Sequence seen = journal_.synced();
    const Sequence before_oldest = journal_.oldest() > 0 ? journal_.oldest() - 1 : 0;
    const bool distrust = journal_.recovery().store_mismatch;

    std::map<std::string, TargetPosition> positions;
    for (const TargetPosition& position : snapshot.targets) positions[position.target] = position;
    std::set<std::string> doubtful;  // without a trustworthy cursor
    for (auto& [name, position] : positions)
        if (distrust || !position.trusted) doubtful.insert(name);
    std::set<std::string> gave;  // others have rows of theirs
    for (const LedgerRow& row : snapshot.ledger)
        if (row.ended.contains(Ending::moved)) gave.insert(row.target);
    std::set<std::string> fresh;
    for (const TargetSpec& spec : specs)
        if (positions.find(spec.name) == positions.end()) fresh.insert(spec.name);
    if (!doubtful.empty() || !fresh.empty() || positions.empty()) {
        EVENTYARD_TRY(met, journal_.tally(before_oldest, seen));
        for (const auto& [route, count] : met)
            if (positions.find(route.second) == positions.end()) fresh.insert(route.second);
    }

    std::vector<Change> changes;
    struct Start {
        LaneStart lane;
        std::string kind;
        RateStart rate;
    };
    std::vector<Start> starts;
    for (const std::string& name : fresh) {
        positions[name].target = name;
        doubtful.insert(name);
    }
    for (auto& [name, position] : positions) {
        const TargetSpec* const spec = serves(specs, name);
        const TargetSpec* const own = find_spec(specs, name);
        LaneStart start;
        start.target = name;
        start.ages = ages_;
        start.retries = position.retries;
        start.held = position.held;
        start.delayed = position.delayed;
        start.parked = std::move(position.parked);
        start.dead_letters = position.dead_letters;
        start.paused = position.paused;
        if (position.drain_through > 0) start.drain_through = std::min(position.drain_through, seen);
        start.drain_reason = position.drain_reason;
        start.window.seen = seen;
        start.window.cursor = position.cursor;
        start.window.settled = std::move(position.settled);
        if (doubtful.contains(name)) {
            start.window.cursor = before_oldest;
            start.window.settled.clear();
            if (start.retries > 0 || gave.contains(name)) {
                auto keys = retry_keys(before_oldest + 1, seen, name);
                start.doubtful = !keys.has_value();
                if (keys.has_value()) start.window.settled = std::move(*keys);
            }
        }
        // Of an event that rot took nothing is above any more. Asked before what is above: where an index has to be made
        // again, both are then counted by the new one.
        const auto settled_above = [&](Sequence cursor) -> Result<std::uint64_t> {
            std::vector<DeliveryKey> keys;
            std::copy_if(start.window.settled.begin(), start.window.settled.end(), std::back_inserter(keys),
                         [&](const DeliveryKey& key) { return key.sequence > cursor; });
            if (keys.empty()) return std::uint64_t{0};
            EVENTYARD_TRY(there, journal_.tally_of(std::move(keys)));
            std::uint64_t count = 0;
            for (const auto& [route, n] : there)
                if (route.second == name) count += n;
            return count;
        };
        EVENTYARD_TRY(settled, settled_above(start.window.cursor));
        EVENTYARD_TRY(above, journal_.count_after(name, {start.window.cursor, all_routes}));
        start.window.behind = above - std::min(above, settled);
        if (start.drain_through) {
            EVENTYARD_TRY(ended, settled_above(*start.drain_through));
            EVENTYARD_TRY(later, journal_.count_after(name, {*start.drain_through, all_routes}));
            start.drain_later = later - std::min(later, ended);
        }
        // An edited file is no way around what a reload refuses.
        const std::uint64_t pending = start.window.behind + start.retries;
        if (spec && !position.kind.empty() && spec->kind != position.kind && !spec->adopt_pending && pending > 0)
            return kind_conflict(*spec, name, position.kind, pending);
        if (doubtful.contains(name)) {
            if (above == 0)
                start.window.cursor = std::max(seen, before_oldest);
            else
                log::warn("delivery", "target has no trustworthy position: it starts at the oldest kept event, "
                                      "which may deliver again",
                          {{"target", name}, {"deliveries", above}});
        }
        const std::string kind = own ? own->kind : !position.kind.empty() ? position.kind : spec ? spec->kind : "";
        if (fresh.contains(name) || (own && own->kind != position.kind))
            changes.emplace_back(TargetKnown{name, kind, start.window.cursor});
        // Idle marks of the last run end here: its shards were not these.
        changes.emplace_back(LaneActive{name, start.window.cursor});
        changes.emplace_back(CursorMoved{name, start.window.cursor, start.window.settled});
        // Taken back before anything is sent: after a crash what was spent is not known.
        if (position.rate_full) changes.emplace_back(TargetRate{name, std::nullopt});
        starts.push_back({std::move(start), kind, {!fresh.contains(name), position.rate_full}});
    }

    if (!changes.empty()) {
        auto durable = std::make_shared<std::promise<Result<void>>>();
        auto answer = durable->get_future();
        state_.submit(std::move(changes), [durable](const Result<void>& result) { durable->set_value(result); });
        if (answered(waits_, answer, options_.start_patience))
            EVENTYARD_CHECK(answer.get());
        else  // a full disk must not keep deliveries from going out; the next start only finds older positions
            log::error("delivery", "the positions of the targets cannot be stored now; a crash repeats deliveries");
    }
    for (const auto& shard : shards_) shard->post([seen](Shard& self) { self.begin(seen); });
    // Former names first: the new names then join them on their thread.
    std::stable_partition(starts.begin(), starts.end(), [&](const auto& start) {
        return find_spec(specs, start.lane.target) == nullptr;
    });
    for (auto& [lane, kind, rate] : starts) {
        const std::string name = lane.target;
        const TargetSpec* const own = find_spec(specs, name);
        add_lane(name, own ? shard_for(*own) : least_loaded(), kind, std::move(lane), rate, false);
    }
    apply(specs, false);
    return {};
}

void Engine::on_commit(const CommitBatchPtr& batch)
{
    for (const auto& shard : shards_) shard->post([batch](Shard& self) { self.on_commit(batch); });
}

// --- Reload -----------------------------------------------------------------------------------------

Result<void> Engine::can_replace(const std::vector<TargetSpec>& specs) const
{
    const auto pending = [&](const std::string& name) -> std::uint64_t {
        const auto found = known_.find(name);
        return found == known_.end() ? 0 : found->second.gauge->pending.load(std::memory_order_relaxed);
    };
    std::map<std::string, std::string> heirs;
    for (const TargetSpec& spec : specs) {
        const auto known = known_.find(spec.name);
        if (known != known_.end() && !known->second.kind.empty() && known->second.kind != spec.kind &&
            !spec.adopt_pending && pending(spec.name) > 0)
            return kind_conflict(spec, spec.name, known->second.kind, pending(spec.name));
        if (spec.renamed_from.empty()) continue;
        if (find_spec(specs, spec.renamed_from))
            return fail(Errc::conflict, "target '" + spec.name + "' is renamed from '" + spec.renamed_from +
                                            "', which is still configured");
        if (const auto [other, added] = heirs.emplace(spec.renamed_from, spec.name); !added)
            return fail(Errc::conflict, "targets '" + other->second + "' and '" + spec.name +
                                            "' are both renamed from '" + spec.renamed_from + "'");
        const auto former = known_.find(spec.renamed_from);
        if (former == known_.end() || pending(spec.renamed_from) == 0) continue;
        if (!former->second.kind.empty() && former->second.kind != spec.kind && !spec.adopt_pending)
            return kind_conflict(spec, spec.renamed_from, former->second.kind, pending(spec.renamed_from));
        if (known != known_.end() && known->second.shard != former->second.shard)
            return fail(Errc::conflict, "target '" + spec.name + "' takes over '" + spec.renamed_from +
                                            "', but was in use before itself; this needs a restart");
    }
    return {};
}

void Engine::prepare(std::vector<TargetSpec> specs, std::function<void(Result<void>)> done)
{
    is_prepared_ = false;
    if (auto possible = can_replace(specs); !possible.has_value()) {
        done(std::move(possible));
        return;
    }
    const Sequence end = journal_.synced();
    std::vector<Change> changes;
    for (const TargetSpec& spec : specs) {
        const auto known = known_.find(spec.name);
        if (known != known_.end() && known->second.stored && known->second.kind == spec.kind) continue;
        changes.emplace_back(TargetKnown{spec.name, spec.kind, end});
        if (known != known_.end()) continue;
        // An orphan until commit(): nothing is routed to it before.
        LaneStart start;
        start.target = spec.name;
        start.ages = ages_;
        start.window.cursor = end;
        add_lane(spec.name, shard_for(spec), spec.kind, std::move(start), {}, true);
    }
    prepared_ = std::move(specs);
    is_prepared_ = true;
    if (changes.empty()) {
        done({});
        return;
    }
    state_.submit(std::move(changes), std::move(done));
}

void Engine::commit()
{
    EVENTYARD_ASSERT(is_prepared_, "commit() follows a prepare() that brought no error");
    is_prepared_ = false;
    for (const TargetSpec& spec : prepared_) {
        known_[spec.name].kind = spec.kind;
        known_[spec.name].stored = true;
    }
    apply(prepared_, true);
    prepared_.clear();
}

void Engine::abandon()
{
    is_prepared_ = false;
    // What prepare() handed over may be stored already, or only after this: the kinds go back behind it.
    std::vector<Change> changes;
    for (const TargetSpec& spec : prepared_) {
        const Known& known = known_[spec.name];
        if (known.stored && known.kind != spec.kind)
            changes.emplace_back(TargetKnown{spec.name, known.kind, journal_.synced()});
    }
    if (!changes.empty()) state_.submit(std::move(changes));
    prepared_.clear();
}

void Engine::apply(const std::vector<TargetSpec>& specs, bool reload)
{
    std::vector<std::size_t> load(shards_.size());
    for (const auto& [name, known] : known_) ++load[known.shard];
    const std::size_t most = std::max<std::size_t>(1, *std::max_element(load.begin(), load.end()));
    const std::size_t share = options_.window_bytes / shards_.size() / most;
    const std::size_t bytes =
        std::min(options_.lane.window.bytes, std::clamp(share, window_least, window_most));
    std::vector<std::vector<LanePlan>> plans(shards_.size());
    for (const auto& [name, known] : known_) {
        LanePlan plan{name, std::nullopt};
        if (const TargetSpec* spec = serves(specs, name)) plan.spec = *spec;
        plans[known.shard].push_back(std::move(plan));
    }
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_[i]->post([plan = std::move(plans[i]), bytes, reload](Shard& self) {
            self.apply(plan, bytes, reload);
        });
}

// --- Operators --------------------------------------------------------------------------------------

Shard* Engine::find(const std::string& target) const
{
    const auto known = known_.find(target);
    return known == known_.end() ? nullptr : shards_[known->second.shard].get();
}

bool Engine::pause(const std::string& target, std::string reason, std::function<void(Result<void>)> done)
{
    Shard* const shard = find(target);
    if (shard) shard->post([target, reason = std::move(reason), done = std::move(done)](Shard& self) { self.pause(target, reason, done); });
    return shard != nullptr;
}

bool Engine::resume(const std::string& target, std::function<void(Result<void>)> done)
{
    Shard* const shard = find(target);
    if (shard) shard->post([target, done = std::move(done)](Shard& self) { self.resume(target, done); });
    return shard != nullptr;
}

bool Engine::drain(const std::string& target, std::string reason, std::function<void(Result<std::uint64_t>)> done)
{
    Shard* const shard = find(target);
    if (shard)
        shard->post([target, reason = std::move(reason), done = std::move(done)](Shard& self) { self.drain(target, reason, done); });
    return shard != nullptr;
}

bool Engine::retry_now(const std::string& target)
{
    Shard* const shard = find(target);
    if (shard) shard->post([target](Shard& self) { self.retry_now(target); });
    return shard != nullptr;
}

bool Engine::redrive(const std::string& target, std::vector<RetryRow> rows,
                     std::function<void(Result<void>)> done)
{
    Shard* const shard = find(target);
    if (shard)
        shard->post([target, rows = std::move(rows), done = std::move(done)](Shard& self) mutable {
            self.redrive(target, std::move(rows), std::move(done));
        });
    return shard != nullptr;
}

bool Engine::release_keys(const std::string& target, const std::string& order_key,
                          std::function<void(Result<std::size_t>)> done)
{
    Shard* const shard = find(target);
    if (shard)
        shard->post([target, order_key, done = std::move(done)](Shard& self) { self.release_keys(target, order_key, done); });
    return shard != nullptr;
}

template <class Part, class Ask, class Name>
void Engine::gather(Ask ask, Name name, std::function<void(std::vector<Part>)> done) const
{
    struct Gathering {
        std::vector<std::vector<Part>> parts;  // one a shard: none writes to another's
        std::atomic<std::size_t> missing;
        std::function<void(std::vector<Part>)> done;
    };
    const auto gathering = std::make_shared<Gathering>();
    gathering->parts.resize(shards_.size());
    gathering->missing = shards_.size();
    gathering->done = std::move(done);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        shards_[i]->post([gathering, i, ask, name](Shard& self) {
            ask(self, [gathering, i, name](std::vector<Part> taken) {
                gathering->parts[i] = std::move(taken);
                if (--gathering->missing > 0) return;
                std::vector<Part> all;
                for (auto& part : gathering->parts) std::move(part.begin(), part.end(), std::back_inserter(all));
                std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return a.*name < b.*name; });
                gathering->done(std::move(all));
            });
        });
    }
}

void Engine::status(std::function<void(std::vector<TargetStatus>)> done) const
{
    gather<TargetStatus>([](Shard& shard, auto take) { shard.status(std::move(take)); }, &TargetStatus::name, std::move(done));
}

void Engine::views(const std::string& target, std::function<void(std::vector<LaneView>)> done) const
{
    gather<LaneView>([target](Shard& shard, auto take) { take(shard.views(target)); }, &LaneView::target, std::move(done));
}

bool Engine::act(const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                 std::function<void(Result<Acted>)> done)
{
    Shard* const shard = find(target);
    if (shard)
        shard->post([target, what, picked = std::move(picked), done = std::move(done)](Shard& self) mutable {
            self.act(target, what, std::move(picked), std::move(done));
        });
    return shard != nullptr;
}

void Engine::drop_copies(const Id& event, std::function<void(std::uint64_t)> done) const
{
    struct Sum {
        std::atomic<std::uint64_t> in_flight{0};
        std::atomic<std::size_t> missing;
    };
    const auto sum = std::make_shared<Sum>();
    sum->missing = shards_.size();
    for (const auto& shard : shards_)
        shard->post([event, sum, done](Shard& self) {
            sum->in_flight += self.drop_copies(event);
            self.post([sum, done](Shard&) {
                if (--sum->missing == 0) done(sum->in_flight);
            });
        });
}

bool Engine::move(const std::string& from, const std::string& to, std::vector<PickedDelivery> picked,
                  std::function<void(Result<Acted>)> done)
{
    Shard* const giver = find(from);
    Shard* const taker = find(to);
    if (!giver || !taker) return false;
    std::vector<DeliveryKey> keys;
    for (const PickedDelivery& one : picked) keys.push_back(one.key);
    taker->post([=, picked = std::move(picked), done = std::move(done)](Shard& self) mutable {
        self.expect(to, keys);
        auto given = [=](Result<Acted> acted) {
            taker->post([=, acted = std::move(acted)](Shard& shard) mutable {
                shard.take_in(to, keys, acted.has_value() ? std::move(acted->moved) : std::vector<RetryRow>{});
                done(std::move(acted));
            });
        };
        giver->post([=, picked = std::move(picked), given = std::move(given)](Shard& shard) mutable {
            shard.act(from, DeliveryAct::move, std::move(picked), std::move(given), to);
        });
    });
    return true;
}

void Engine::look_at(const LaneLook& look) const
{
    for (const auto& shard : shards_) shard->look_at(look);
}

void Engine::stop(Duration grace, std::function<void()> done)
{
    const auto missing = std::make_shared<std::atomic<std::size_t>>(shards_.size());
    const auto one = [missing, done = std::move(done)] {
        if (--*missing == 0 && done) done();
    };
    for (const auto& shard : shards_) shard->post([grace, one](Shard& self) { self.stop(grace, one); });
}

}  // namespace eventyard::router
