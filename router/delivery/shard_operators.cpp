// What people do to the lanes of a thread, and what they are told: acts, status, lines of the log.
#include <algorithm>

#include "core/log.hpp"
#include "router/delivery/shard.hpp"

namespace eventyard::router {

const char* text_of(TargetState state) noexcept
{
    switch (state) {
        case TargetState::running: return "running";
        case TargetState::failing: return "failing";
        case TargetState::paused: return "paused";
        case TargetState::orphaned: break;
    }
    return "orphaned";
}

namespace {

/// Answers with `value` when the flush before it is durable.
template <class T>
auto answer(std::function<void(Result<T>)> done, T value)
{
    return [done = std::move(done), value = std::move(value)](const Result<void>& durable) {
        done(durable.has_value() ? Result<T>{value} : Result<T>{durable.error()});
    };
}

}  // namespace

void Shard::pause(const std::string& target, std::string reason, std::function<void(Result<void>)> done)
{
    if (Entry* entry = find(target)) {
        entry->lane.pause(std::move(reason), todo_);
        pump(*entry);
    }
    flush(std::move(done));
}

void Shard::resume(const std::string& target, std::function<void(Result<void>)> done)
{
    if (Entry* entry = find(target)) {
        entry->lane.resume(todo_);
        pump(*entry);
    }
    flush(std::move(done));
}

void Shard::drain(const std::string& target, std::string reason, std::function<void(Result<std::uint64_t>)> done)
{
    std::uint64_t left = 0;
    if (Entry* entry = find(target)) {
        // What was answered already may be still on its way here.
        entry->lane.drain(std::max(seen_, place_.journal.synced()), std::move(reason), todo_);
        left = entry->lane.drain_left();
        pump(*entry);
    }
    flush(answer(std::move(done), left));
}

void Shard::retry_now(const std::string& target)
{
    if (Entry* entry = find(target)) {
        entry->lane.retry_now(now());
        pump(*entry);
    }
}

void Shard::release_keys(const std::string& target, const std::string& order_key,
                         std::function<void(Result<std::size_t>)> done)
{
    std::size_t released = 0;
    if (Entry* entry = find(target)) {
        released = entry->lane.release_keys(order_key, todo_);
        pump(*entry);
    }
    flush(answer(std::move(done), released));
}

void Shard::redrive(const std::string& target, std::vector<RetryRow> rows, std::function<void(Result<void>)> done)
{
    Entry* const entry = find(target);
    if (stage_ != Stage::running || !entry) return done(fail(Errc::cancelled, "target '" + target + "' has no lane now"));
    entry->lane.redrive(now(), std::move(rows), todo_);
    pump(*entry);
    flush(std::move(done));
}

/// Of lanes with anything pending that has no row; empty `target`: all of them. What has settled is handed over
/// first, so that a delivery is in a view or has a row.
std::vector<LaneView> Shard::views(const std::string& target)
{
    flush();
    const Now at = now();
    std::vector<LaneView> views;
    for (const auto& [name, entry] : entries_)
        if ((target.empty() || target == name) && (!entry->lane.idle() || entry->lane.in_flight() > 0))
            views.push_back(entry->lane.view(at));
    return views;
}

void Shard::act(const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                std::function<void(Result<Acted>)> done, const std::string& to)
{
    Entry* const entry = find(target);
    const auto stopping = [target] { return fail(Errc::cancelled, "target '" + target + "' has no lane now"); };
    if (stage_ != Stage::running || !entry) return done(stopping());
    std::vector<DeliveryKey> keys;
    for (const PickedDelivery& one : picked) keys.push_back(one.key);
    entry->lane.watch_rows();
    flush([=, self = shared_from_this(), keys = std::move(keys), picked = std::move(picked), done = std::move(done)](const Result<void>&) {
        self->place_.state.rows_of(target, keys, [=](Result<std::vector<RetryRow>> rows) {
            self->post([=, rows = std::move(rows)](Shard& shard) mutable {
                const bool running = shard.stage_ == Stage::running;
                if (!running || !rows.has_value()) {
                    entry->lane.unwatch_rows();
                    return done(running ? rows.error() : stopping());
                }
                Acted acted = entry->lane.act(shard.now(), what, picked, std::move(*rows), shard.todo_, to);
                entry->lane.unwatch_rows();
                shard.pump(*entry);
                shard.flush(answer(done, std::move(acted)));
            });
        });
    });
}

std::uint64_t Shard::drop_copies(const Id& event)
{
    std::uint64_t in_flight = 0;
    for (const auto& [name, entry] : entries_) {
        in_flight += entry->lane.drop_copies(now(), event, todo_);
        pump(*entry);
    }
    return in_flight;
}

void Shard::expect(const std::string& target, const std::vector<DeliveryKey>& keys)
{
    if (Entry* entry = find(target)) entry->lane.expect(keys);
}

void Shard::take_in(const std::string& target, const std::vector<DeliveryKey>& expected, std::vector<RetryRow> rows)
{
    Entry* const entry = find(target);
    if (!entry) return;
    entry->lane.take_in(now(), expected, std::move(rows));
    pump(*entry);
}

void Shard::look_at(const LaneLook& look) const
{
    for (const auto& [name, entry] : entries_) look(entry->lane, seen_, todo_.changes);
}

void Shard::status(std::function<void(std::vector<TargetStatus>)> done)
{
    flush();
    std::vector<TargetStatus> all;
    std::vector<std::string> names;
    const Now at = now();
    for (const auto& [name, entry] : entries_) {
        const Lane& lane = entry->lane;
        TargetStatus status;
        status.name = name;
        status.kind = entry->kind;
        if (entry->running) {
            status.address = entry->running->spec.blueprint->address();
            if (entry->running->spec.name != name) status.drains_to = entry->running->spec.name;
            if (entry->running->target) status.items = entry->running->target->status();
        }
        status.state = lane.orphaned()          ? TargetState::orphaned
                       : !lane.paused().empty() ? TargetState::paused
                       : lane.failing()         ? TargetState::failing
                                                : TargetState::running;
        status.paused_reason = lane.paused();
        if (lane.draining()) status.drain = Drain{lane.drain_left(), lane.drain_reason()};
        status.cursor = lane.window().cursor(at.seen);
        status.seen = at.seen;
        status.pending = lane.pending();
        status.forwards_waiting = lane.forwards_waiting();
        status.in_flight = lane.in_flight();
        status.uncommitted = lane.uncommitted();
        status.window = lane.window().held();
        status.dead_letters_at_start = entry->dead_letters;
        status.consecutive_failures = lane.consecutive_failures();
        status.breaker = lane.breaker();
        status.parked_keys = lane.keys().parked();
        status.keys_on_hold = lane.keys().on_hold();
        status.parked_full = lane.parked_full();
        if (entry->running) {
            status.rate = entry->running->bucket.limit();
            status.rate_waits = std::max(Duration{0}, entry->running->bucket.next() - at.steady);
        }
        status.budget = lane.budget().budget();
        if (status.budget.bytes > 0) status.budget_used = lane.budget().used();
        status.over_budget = lane.budget().over();
        status.forecast = lane.outlook(at);
        status.counters = lane.counters();
        names.push_back(name);
        all.push_back(std::move(status));
    }
    place_.state.ledger_of(std::move(names), [all = std::move(all), done = std::move(done)](Result<std::vector<LedgerRow>> rows) mutable {
        if (rows.has_value()) {
            auto row = rows->begin();
            for (TargetStatus& one : all) {  // both by name
                one.ledger.emplace();
                for (; row != rows->end() && row->target == one.name; ++row) one.ledger->push_back(std::move(*row));
            }
        }
        done(std::move(all));
    });
}

void Shard::note(const Entry& entry, const Note& line) const
{
    const std::string& target = entry.lane.target();
    switch (line.what) {
        case Note::What::failing:
            log::warn("delivery", "target is failing",
                      {{"target", target}, {"failures", line.count},
                       {"in_a_row", entry.lane.consecutive_failures()}, {"last", line.detail}});
            return;
        case Note::What::recovered:
            log::info("delivery", "target works again", {{"target", target}});
            return;
        case Note::What::dead_lettered:
            log::warn("delivery", "dead-lettered",
                      {{"target", target}, {"deliveries", line.count}, {"last", line.detail}});
            return;
        case Note::What::expired:
            log::warn("delivery", "deliveries expired, as their rules say", {{"target", target}, {"deliveries", line.count}});
            return;
        case Note::What::key_held:
            log::error("delivery", "an order key is held since a delivery of it was dead-lettered: release it when it may go on",
                       {{"target", target}, {"key", line.detail}, {"keys", line.count}});
            return;
        case Note::What::keys_released:
            log::info("delivery", "order keys are released", {{"target", target}, {"keys", line.count}});
            return;
        case Note::What::parked_full:
            log::error("delivery", "nothing new is sent: too many order keys wait behind a failed delivery",
                       {{"target", target}, {"parked", line.detail}});
            return;
        case Note::What::over_budget:
            log::error("delivery", "more waits for the target than its budget",
                       {{"target", target}, {"bytes", line.count}, {"budget", line.detail},
                        {"overflow", entry.lane.budget().budget().overflow == Overflow::refuse_new ? "events for it are refused"
                                                                                                  : "the oldest are dead-lettered"}});
            return;
        case Note::What::within_budget:
            log::info("delivery", "what waits for the target is within its budget", {{"target", target}});
            return;
        case Note::What::paused:
            log::info("delivery", "target is paused", {{"target", target}, {"reason", line.detail}});
            return;
        case Note::What::drained:
            log::info("delivery", "target is drained, and paused", {{"target", target}, {"reason", line.detail}});
            return;
        case Note::What::stopped_itself:
            log::error("delivery", "target is paused: resume it when it may be sent to again",
                       {{"target", target}, {"reason", line.detail}});
            return;
        case Note::What::resumed:
            log::info("delivery", "target is resumed", {{"target", target}});
            return;
        case Note::What::read_failed:
            log::error("delivery", "the journal could not be read; trying again",
                       {{"target", target}, {"failures", line.count}, {"why", line.detail}});
            return;
        case Note::What::damaged:
            log::error("delivery", "deliveries can no longer be read from the journal",
                       {{"target", target}, {"deliveries", line.count}, {"why", line.detail}});
            return;
    }
}

}  // namespace eventyard::router
