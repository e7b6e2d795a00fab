#include "router/delivery/shard.hpp"

#include <boost/asio/co_spawn.hpp>
#include <algorithm>
#include <exception>

#include "core/log.hpp"
#include "router/delivery/redriven.hpp"

namespace eventyard::router {
namespace asio = boost::asio;

Shard::Shard(Place place, EngineOptions options)
    : place_(std::move(place)), options_(options), wake_alarm_(place_.waits.alarm(place_.io)),
      flush_alarm_(place_.waits.alarm(place_.io)), tick_alarm_(place_.waits.alarm(place_.io)),
      stop_alarm_(place_.waits.alarm(place_.io))
{
}

Shard::~Shard() = default;

void Shard::begin(Sequence seen)
{
    seen_ = std::max(seen_, seen);
    arm_tick();
}

void Shard::add_lane(LaneStart start, std::string kind, RateStart rate, std::shared_ptr<LaneGauge> gauge, bool reload)
{
    if (reload) start.window.seen = seen_;
    const std::string name = start.target;
    auto entry = std::make_unique<Entry>(entries_.size(), std::move(start), options_.lane, place_.random);
    entry->kind = std::move(kind);
    entry->rate = rate;
    entry->gauge = std::move(gauge);
    entry->gauge->pending = entry->lane.pending().sum();
    entry->last_work = place_.clock.steady();
    entries_.emplace(name, std::move(entry));
    routes_.clear();
}

Now Shard::now() const
{
    return {place_.clock.steady(), place_.clock.wall(), seen_};
}

Shard::Entry* Shard::find(const std::string& target) const
{
    const auto found = entries_.find(target);
    return found == entries_.end() ? nullptr : found->second.get();
}

// --- Commits ----------------------------------------------------------------------------------------

/// The lanes of a version's routes that live here, by the routes' indices; null: elsewhere.
const std::vector<Shard::Entry*>& Shard::entries_of(const RoutingVersion& version)
{
    const auto found = routes_.find(version.number);
    if (found != routes_.end()) return found->second;
    if (routes_.size() >= 8) routes_.clear();  // versions of reloads long ago
    std::vector<Entry*> entries;
    entries.reserve(version.routes.size());
    std::vector<Entry*> of_target;
    for (const std::string& target : version.routes.targets()) of_target.push_back(find(target));
    for (std::size_t i = 0; i < version.routes.size(); ++i) entries.push_back(of_target[version.routes.target(i)]);
    return routes_.emplace(version.number, std::move(entries)).first->second;
}

void Shard::on_commit(const CommitBatchPtr& batch)
{
    if (stage_ != Stage::running) return;  // not seen: the next start finds it in the journal
    const std::vector<Entry*>* entries = nullptr;
    const RoutingVersion* version = nullptr;
    for (const StoredEventPtr& event : batch->events) {
        if (event->version.get() != version) {
            version = event->version.get();
            entries = &entries_of(*version);
        }
        for (std::uint32_t route = 0; route < event->routes.size(); ++route) {
            Entry* const entry = (*entries)[event->routes[route]];
            if (!entry) continue;
            if (entry->idle_marked) {
                entry->idle_marked = false;
                todo_.changes.emplace_back(LaneActive{entry->lane.target(), event->sequence - 1});
                arm_flush();
            }
            entry->lane.offer(event, route);
            if (!entry->touched) touch(*entry);
        }
    }
    seen_ = batch->last;
    pump_touched();
}

// --- Pumping ----------------------------------------------------------------------------------------

void Shard::touch(Entry& entry)
{
    if (entry.touched) return;
    entry.touched = true;
    touched_.push_back(&entry);
}

void Shard::touch_all_of(const Running& running)
{
    for (const auto& [name, entry] : entries_)
        if (entry->running.get() == &running) touch(*entry);
    schedule_pump();
}

/// Not at once: attempts that end without waiting would nest without end.
void Shard::schedule_pump()
{
    if (std::exchange(pump_posted_, true)) return;
    post([](Shard& self) {
        self.pump_posted_ = false;
        self.pump_touched();
    });
}

void Shard::pump_touched()
{
    const auto touched = std::exchange(touched_, {});
    for (Entry* entry : touched) entry->touched = false;
    for (Entry* entry : touched) pump(*entry);
    if (todo_.changes.size() >= options_.flush_changes) flush();
}

void Shard::pump(Entry& entry)
{
    const Now at = now();
    entry.last_work = at.steady;
    std::uint32_t room = 0;
    if (entry.running && entry.running->target) {
        const Running& running = *entry.running;
        room = running.spec.concurrency - std::min(running.spec.concurrency, running.in_flight);
    }
    entry.lane.pump(at, room, todo_, entry.running ? &entry.running->bucket : nullptr);
    perform(entry);
    set_wake(entry, entry.lane.wake_at(at));
    entry.gauge->pending.store(entry.lane.pending().sum(), std::memory_order_relaxed);
}

/// Takes note of the lane's changes: they gather, together with its position, for the next flush.
void Shard::collect(Entry& entry)
{
    if (entry.lane.unflushed() && !entry.dirty) {
        entry.dirty = true;
        dirty_.push_back(&entry);
    }
    if (!todo_.changes.empty()) arm_flush();
    for (const Note& line : todo_.notes) note(entry, line);
    todo_.notes.clear();
}

/// Carries out what else the lane asked for.
void Shard::perform(Entry& entry)
{
    collect(entry);
    const auto self = shared_from_this();
    for (const EventRead& read : std::exchange(todo_.events, {})) {
        auto done = [self, &entry, ticket = read.ticket](Result<StoredEventPtr> event) {
            self->post([&entry, ticket, event = std::move(event)](Shard& shard) mutable {
                const bool served = entry.running && entry.running->target;
                entry.lane.on_event(shard.now(), ticket, served, std::move(event), shard.todo_);
                shard.pump(entry);
                if (shard.stage_ != Stage::running) shard.continue_stop();
            });
        };
        if (read.letter == 0) {
            place_.journal.read_event(read.sequence, std::move(done));
            continue;
        }
        place_.state.dead_letter(read.letter, [done = std::move(done)](const Result<DeadLetter>& letter,
                                                                       const std::vector<AttemptRecord>&) {
            if (letter.has_value())
                done(event_of(*letter));
            else
                done(letter.error());
        });
    }
    if (const auto read = std::exchange(todo_.lane, std::nullopt)) {
        place_.journal.read_lane(
            {entry.lane.target(), read->after, read->through, read->max_items, read->max_bytes},
            [self, &entry](Result<LaneChunk> chunk) {
                self->post([&entry, chunk = std::move(chunk)](Shard& shard) mutable {
                    entry.lane.on_chunk(shard.now(), std::move(chunk), shard.todo_);
                    shard.pump(entry);
                });
            });
    }
    if (auto read = std::exchange(todo_.budget, std::nullopt)) {
        place_.journal.excess({entry.lane.target(), read->after, read->rows, read->limit, std::move(read->settled)}, [self, &entry](Result<Excess> excess) {
            self->post([&entry, excess = std::move(excess)](Shard& shard) {
                entry.lane.on_excess(shard.now(), excess, shard.todo_);
                shard.pump(entry);
            });
        });
    }
    if (const auto read = std::exchange(todo_.rows, std::nullopt)) {
        flush([self, &entry, read = *read](const Result<void>&) {  // on the state's thread, everything before is durable
            self->place_.state.next_retries(
                entry.lane.target(), read.after_due, read.after_key, read.limit,
                [self, &entry](Result<std::vector<RetryRow>> rows) {
                    self->post([&entry, rows = std::move(rows)](Shard& shard) mutable {
                        entry.lane.on_rows(shard.now(), std::move(rows));
                        shard.pump(entry);
                    });
                });
        });
    }
    if (const auto read = std::exchange(todo_.forwards, std::nullopt)) {
        flush([self, &entry, read = *read](const Result<void>&) {
            self->place_.state.forwards(
                entry.lane.target(), read.after_id, read.limit,
                [self, &entry](Result<std::vector<DeadLetter>> letters) {
                    self->post([&entry, letters = std::move(letters)](Shard& shard) mutable {
                        entry.lane.on_forwards(shard.now(), std::move(letters));
                        shard.pump(entry);
                    });
                });
        });
    }
    const bool keys_wait = !todo_.keys.empty();
    for (KeyRead& read : std::exchange(todo_.keys, {})) {
        flush([self, &entry, read = std::move(read)](const Result<void>&) {
            self->place_.state.first_of_key(
                entry.lane.target(), read.order_key,
                [self, &entry, ticket = read.ticket](Result<std::optional<RetryRow>> row) {
                    self->post([&entry, ticket, row = std::move(row)](Shard& shard) mutable {
                        entry.lane.on_key(shard.now(), ticket, std::move(row), shard.todo_);
                        shard.pump(entry);
                        if (shard.stage_ != Stage::running) shard.continue_stop();
                    });
                });
        });
    }
    if (keys_wait) place_.state.hasten();  // the key's next delivery goes out when its last one is durable
    for (Request& what : std::exchange(todo_.requests, {})) {
        ++entry.running->in_flight;
        auto task = attempt(self, &entry, entry.running, std::move(what));
        asio::co_spawn(place_.io.get_executor(), std::move(task), [](const std::exception_ptr& bug) {
            if (bug) std::rethrow_exception(bug);  // deliver() promised not to throw: stop loudly
        });
    }
}

targets::Task<void> Shard::attempt(std::shared_ptr<Shard> self, Entry* entry, RunningPtr running,
                                   Request what)
{
    std::vector<targets::Delivery> deliveries;
    deliveries.reserve(what.attempts.size());
    for (const Attempt& one : what.attempts)
        deliveries.push_back(
            {one.id, one.rule, one.target, *one.event, one.sequence, one.number, one.replay_of});
    std::vector<targets::Outcome> outcomes;
    if (what.batched) {
        auto task = running->target->deliver_batch(deliveries);
        outcomes = co_await std::move(task);
    } else {
        auto task = running->target->deliver(deliveries.front());
        outcomes.push_back(co_await std::move(task));
    }
    self->attempt_ended(*entry, running, what.ticket, std::move(outcomes));
}

void Shard::attempt_ended(Entry& entry, const RunningPtr& running, std::uint32_t ticket,
                          std::vector<targets::Outcome> outcomes)
{
    const bool was_full = running->in_flight >= running->spec.concurrency;
    --running->in_flight;
    entry.lane.on_outcomes(now(), ticket, std::move(outcomes), todo_);
    collect(entry);
    touch(entry);
    if (was_full && running->lanes > 1) touch_all_of(*running);
    if (running->retired && running->in_flight == 0) {
        retire(running);
        make_waiting();
    }
    schedule_pump();
    if (stage_ != Stage::running) continue_stop();
}

void Shard::set_wake(Entry& entry, std::optional<SteadyTime> at)
{
    if (entry.wake == at) return;
    if (entry.wake) wakes_.erase({*entry.wake, entry.number});
    entry.wake = at;
    if (!at) return;
    wakes_.emplace(std::pair{*at, entry.number}, &entry);
    arm_wake();
}

void Shard::arm_wake()
{
    if (wakes_.empty()) return;
    const SteadyTime first = wakes_.begin()->first.first;
    if (wake_armed_ && *wake_armed_ <= first) return;
    wake_armed_ = first;
    wake_alarm_->set(std::max(Duration{0}, first - place_.clock.steady()), [self = shared_from_this()] {
        self->wake_armed_.reset();
        const SteadyTime at = self->place_.clock.steady();
        while (!self->wakes_.empty() && self->wakes_.begin()->first.first <= at) {
            Entry& entry = *self->wakes_.begin()->second;
            self->wakes_.erase(self->wakes_.begin());
            entry.wake.reset();
            self->touch(entry);
        }
        self->pump_touched();
        self->arm_wake();
    });
}

// --- State ------------------------------------------------------------------------------------------

void Shard::arm_flush()
{
    if (std::exchange(flush_armed_, true)) return;
    // Long lists of settled deliveries cost more to write: less often then.
    flush_alarm_->set(options_.flush_interval * static_cast<Duration::rep>(1 + listed_ / 8192),
                      [self = shared_from_this()] { self->flush(); });
}

/// @param then  runs on the state's thread when everything so far is durable, or cannot be any more
void Shard::flush(std::function<void(const Result<void>& durable)> then)
{
    if (std::exchange(flush_armed_, false)) flush_alarm_->cancel();
    std::vector<std::pair<Entry*, Settled>> settled;
    listed_ = 0;
    const Now at = now();
    for (Entry* entry : std::exchange(dirty_, {})) {
        entry->dirty = false;
        settled.emplace_back(entry, entry->lane.take_unflushed());
        if (entry->idle_marked) continue;  // a retry ended; the cursor is not its own
        CursorMoved position = entry->lane.position(at);
        listed_ += position.settled.size();
        todo_.changes.emplace_back(std::move(position));
    }
    if (todo_.changes.empty() && !then) return;
    auto changes = std::exchange(todo_.changes, {});
    todo_.changes.reserve(std::min(changes.size(), options_.flush_changes));
    place_.state.submit(
        std::move(changes),
        [self = shared_from_this(), settled = std::move(settled), to_forward = std::exchange(todo_.to_forward, {}),
         then = std::move(then)](const Result<void>& durable) {
            if (then) then(durable);
            if (!durable.has_value()) {  // stays uncommitted: the lanes stop at their limit
                log::error("delivery", "the state could not take what was settled", {{"why", durable.error().what}});
                return;
            }
            if (settled.empty() && to_forward.empty()) return;
            self->post([settled, to_forward](Shard& shard) {
                for (const auto& [entry, part] : settled) {
                    entry->lane.on_durable(part);
                    shard.touch(*entry);
                }
                shard.schedule_pump();
                if (!to_forward.empty()) shard.place_.forwarded(to_forward);
            });
        });
}

void Shard::look(const std::vector<std::string>& targets)
{
    for (const std::string& target : targets) {
        if (Entry* entry = find(target)) {
            entry->lane.look();
            touch(*entry);
        }
    }
    pump_touched();
}

void Shard::arm_tick()
{
    tick_alarm_->set(options_.idle_after, [self = shared_from_this()] {
        if (self->stage_ != Stage::running) return;
        self->tick();
        self->arm_tick();
    });
}

/// Lanes without work share one mark, so that their cursors move without a write each.
void Shard::tick()
{
    const SteadyTime at = place_.clock.steady();
    std::vector<Entry*> idle;
    bool any = false;
    for (const auto& [name, entry] : entries_) {
        any = any || entry->idle_marked;
        if (!entry->idle_marked && entry->lane.idle() && !entry->dirty &&
            at - entry->last_work >= options_.idle_after)
            idle.push_back(entry.get());
    }
    if ((any || !idle.empty()) && seen_ > idle_through_) {
        idle_through_ = seen_;
        todo_.changes.emplace_back(IdleThrough{place_.number, seen_});
        arm_flush();
    }
    for (Entry* entry : idle) {
        entry->idle_marked = true;
        todo_.changes.emplace_back(LaneIdle{entry->lane.target(), place_.number});
        arm_flush();
    }
}

// --- Stopping ---------------------------------------------------------------------------------------

std::uint64_t Shard::in_flight() const
{
    std::uint64_t sum = 0;
    for (const auto& [name, entry] : entries_) sum += entry->lane.in_flight();
    return sum;
}

void Shard::stop(Duration grace, std::function<void()> done)
{
    if (stage_ != Stage::running) return;
    stage_ = Stage::draining;
    stopped_ = std::move(done);
    for (const auto& [name, entry] : entries_) {
        entry->lane.stop(now(), todo_);
        collect(*entry);
    }
    tick_alarm_->cancel();
    wake_alarm_->cancel();
    stop_alarm_->set(grace, [self = shared_from_this()] {
        if (self->stage_ != Stage::draining) return;
        self->stage_ = Stage::closing;
        for (const auto& [name, running] : self->running_) self->close(*running);
        for (const RunningPtr& running : self->retired_) self->close(*running);
        self->stop_alarm_->set(self->options_.close_grace, [self] { self->finish_stop(); });
        self->continue_stop();
    });
    continue_stop();
}

void Shard::continue_stop()
{
    if ((stage_ == Stage::draining || stage_ == Stage::closing) && in_flight() == 0) finish_stop();
}

void Shard::finish_stop()
{
    if (stage_ == Stage::finishing || stage_ == Stage::stopped) return;
    stage_ = Stage::finishing;
    stop_alarm_->cancel();
    const Now at = now();
    for (const auto& [name, running] : running_) {
        close(*running);
        if (running->bucket.limit().any())
            todo_.changes.emplace_back(TargetRate{name, at.wall + running->bucket.lacks(at.steady)});
    }
    for (const RunningPtr& running : retired_) close(*running);
    for (const auto& [name, entry] : entries_) entry->running.reset();
    running_.clear();
    retired_.clear();
    flush([self = shared_from_this()](const Result<void>&) {
        self->post([](Shard& shard) {
            if (std::exchange(shard.stage_, Stage::stopped) == Stage::stopped) return;
            if (const auto done = std::exchange(shard.stopped_, nullptr)) done();
        });
    });
}

}  // namespace eventyard::router
