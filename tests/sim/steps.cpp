// What may happen in a step.
#include <algorithm>
#include <iterator>

#include "tests/sim/world.hpp"

namespace eventyard::sim {

using namespace std::chrono_literals;
using targets::Cause;
using targets::Outcome;
using targets::Verdict;

namespace {

constexpr Duration years = 24h * 3652;

}  // namespace

bool World::run_actor(Actor actor)
{
    bool& busy = busy_[static_cast<std::size_t>(actor)];
    if (busy || !life_ || !life_->line) return false;
    busy = true;
    bool worked = false;
    Life& life = *life_;
    switch (actor) {
        case Actor::shard0: worked = life.io.at(0).poll_one() > 0; break;
        case Actor::shard1: worked = life.io.at(1).poll_one() > 0; break;
        case Actor::control:
            if (!life.control.empty()) {
                const auto work = std::move(life.control.front());
                life.control.pop_front();
                work();
                worked = true;
            }
            break;
        case Actor::writer: worked = life.journal && life.journal->write(); break;
        case Actor::reader: worked = life.journal && life.journal->read(); break;
        case Actor::keeper: worked = life.journal && life.journal->keep(); break;
        case Actor::state: worked = life.state && life.state->work(one_in(3)); break;
        case Actor::count: break;
    }
    busy_[static_cast<std::size_t>(actor)] = false;
    if (worked) note(actor_names[static_cast<std::size_t>(actor)]);
    return worked;
}

/// @param fairly  everybody once; otherwise one of those that have something to do
bool World::run_any(bool fairly)
{
    const std::uint64_t first = pick(8);
    bool worked = false;
    for (std::uint64_t i = 0; i < 8; ++i) {
        const std::uint64_t who = (first + i) % 8;
        worked = (who == 7 ? ring_alarm() : run_actor(static_cast<Actor>(who))) || worked;
        if (disk_.frozen() || (worked && !fairly)) break;
    }
    return worked;
}

bool World::ring_alarm()
{
    if (!life_) return false;
    if (busy_[0] || busy_[1]) return false;
    auto alarm = life_->waits.take_due(dice_.next());
    if (!alarm) return false;
    const std::size_t shard = alarm->io == &life_->io.at(0) ? 0 : 1;
    busy_[shard] = true;
    note("alarm of shard " + std::to_string(shard));
    alarm->ring();
    busy_[shard] = false;
    return true;
}

/// Somebody waits: the others go on.
bool World::go_on()
{
    if (disk_.frozen()) return false;
    if (!run_any(false)) pass(std::chrono::milliseconds{20});
    else if (one_in(4)) pass(std::chrono::milliseconds{pick(10)});
    if (one_in(3)) answer_attempt();
    return !disk_.frozen();
}

/// While a sync takes its time.
void World::others_meanwhile(const std::string& path)
{
    const bool in_turn = busy_[static_cast<std::size_t>(Actor::writer)] || busy_[static_cast<std::size_t>(Actor::state)] ||
                         busy_[static_cast<std::size_t>(Actor::keeper)];
    (void)path;
    if (!in_turn || depth_ > 1 || !one_in(3)) return;
    ++depth_;
    if (!calm_ && one_in(20)) {
        coverage_.count("disk: a slow sync");
        pass(std::chrono::milliseconds{pick(8000)});
    }
    for (std::uint64_t i = 1 + pick(4); i > 0 && !disk_.frozen(); --i) {
        if (one_in(4)) answer_attempt();
        else run_any(false);
    }
    --depth_;
}

void World::pass(Duration time)
{
    clock_.pass(time);
    expire_attempts();
    if (disk_fault_ && clock_.steady() >= disk_heals_) disk_fault_.reset();
    if (disk_.full && clock_.steady() >= disk_heals_) disk_.full = false;
}

void World::pass_to_next_alarm()
{
    const auto next = life_ ? life_->waits.next() : std::nullopt;
    pass(next && *next > clock_.steady() ? *next - clock_.steady() : Duration{50ms});
}

void World::ingest()
{
    const RoutingVersionPtr& version = former_.version && one_in(10) ? former_.version : table_.version;
    CommitUnit unit;
    for (std::uint64_t i = 1 + pick(3); i > 0; --i) {
        auto stored = std::make_shared<StoredEvent>();
        stored->event.id = new_event_id(clock_.wall(), chance_);
        stored->event.received = clock_.wall();
        stored->event.bus = "default";
        const std::string key = one_in(4) ? "" : "\"k\":" + std::to_string(pick(4)) + ",";
        const std::string at = one_in(4) ? "\"at\":\"" + to_rfc3339(clock_.wall() + std::chrono::milliseconds{pick(20'000)}) + "\"," : "";
        const std::string secret = "\"s\":\"secret-" + std::to_string(1'000'000 + ++secrets_) + "\",";
        const std::string once = keys_.next() % 5 == 0 ? "\"d\":" + std::to_string(keys_.next() % 6) + "," : "";
        stored->event.body = "{" + key + at + secret + once + "\"n\":\"" + std::string(pick(one_in(20) ? 3000 : 200), 'x') + "\"}";
        stored->version = version;
        stored->once = once_of(stored->event);
        for (std::uint32_t route = 0; route < version->routes.size(); ++route)
            if (one_in(3)) stored->routes.push_back(route);
        if (stored->routes.empty())
            stored->routes.push_back(static_cast<std::uint32_t>(pick(version->routes.size())));
        unit.events.push_back(std::move(stored));
    }
    const std::uint64_t number = ++units_;
    note("unit " + std::to_string(number) + " of " + std::to_string(unit.events.size()));
    book_.submitted_unit(number, unit.events, clock_.wall(), keys_max_ > 2);
    if (options_.plant == Plant::key_unsynced) store_keys_early(unit);
    unit.done = [this, number](const Result<CommitResult>& result) {
        if (disk_.frozen()) return;
        note("unit " + std::to_string(number) +
             (result.has_value() ? " accepted at " + std::to_string(result->first) : ": " + result.error().what));
        if (!result.has_value()) coverage_.count("ingest: a unit was refused or uncertain");
        book_.answered_unit(number, result, clock_.wall());
    };
    life_->journal->submit(std::move(unit));
}

void World::arrived(Flight& flight)
{
    if (disk_.frozen()) return;
    if (flight.parts.size() > 1) coverage_.count("batch: a request with many deliveries");
    for (const Part& part : flight.parts) {
        note("request " + std::to_string(flight.number) + " at " + flight.target + ": " + part.rule + " -> " + part.of);
        book_.attempted(part.event, part.rule, part.id, flight.target, part.body);
    }
}

/// Of a batch some are refused whenever they come, and then the whole batch is; or the answer names each.
void World::answer(std::size_t place, Outcome outcome, bool took)
{
    const Flight flight = std::move(far_->flights[place]);
    far_->flights.erase(far_->flights.begin() + static_cast<std::ptrdiff_t>(place));
    std::vector<Outcome> outcomes{outcome};
    if (flight.batch && !calm_ && outcome.verdict == Verdict::delivered) {
        const Outcome refused{Verdict::reject, Cause::status, 422, "HTTP 422", "poison", {}, outcome.latency};
        const auto poisoned = [](const Part& part) { return part.event.text().back() < '3'; };
        if (one_in(2)) {
            outcomes.clear();
            for (const Part& part : flight.parts) outcomes.push_back(poisoned(part) ? refused : outcome);
        } else if (std::any_of(flight.parts.begin(), flight.parts.end(), poisoned)) {
            outcomes = {refused};
            took = false;
            if (flight.parts.size() > 1) coverage_.count("batch: a request was refused as a whole");
        }
    }
    for (std::size_t i = 0; i < flight.parts.size(); ++i) {
        const Part& part = flight.parts[i];
        const Outcome& its = outcomes.size() == 1 ? outcomes.front() : outcomes[i];
        const bool told = its.verdict == Verdict::delivered;
        note("request " + std::to_string(flight.number) + ": " + (told ? "delivered" : its.detail));
        if (!disk_.frozen())
            book_.attempt_ended(part.event, part.rule, part.id, took && its.verdict != Verdict::reject, told);
    }
    flight.answer(std::move(outcomes));
}

void World::answer_attempt()
{
    if (far_->flights.empty()) return;
    const std::size_t place = pick(far_->flights.size());
    const auto found = moods_.find(far_->flights[place].target);
    Mood mood = found == moods_.end() ? Mood::works : found->second;
    if (mood == Mood::flaps) mood = one_in(2) ? Mood::works : Mood::refuses;
    if (mood != Mood::works) coverage_.count(std::string{"target: "} + mood_names[static_cast<std::size_t>(mood)]);
    switch (mood) {
        case Mood::flaps:
        case Mood::works: return answer(place, {Verdict::delivered, Cause::none, 200, "HTTP 200", {}, {}, 5ms}, true);
        case Mood::fails: return answer(place, {Verdict::retry, Cause::status, 503, "HTTP 503", "no", {}, 5ms}, false);
        case Mood::refuses: return answer(place, {Verdict::retry, Cause::connect, 0, "refused", {}, {}, 1ms}, false);
        case Mood::rejects: return answer(place, {Verdict::reject, Cause::status, 400, "HTTP 400", "no", {}, 5ms}, false);
        case Mood::swallows: return answer(place, {Verdict::retry, Cause::lost, 0, "lost", {}, {}, 5ms}, true);
        case Mood::throttles:
            return answer(place, {Verdict::retry, Cause::status, 429, "HTTP 429", {}, std::chrono::seconds{1 + pick(8)}, 5ms},
                          false);
        case Mood::gone: return answer(place, {Verdict::pause, Cause::status, 410, "HTTP 410", {}, {}, 5ms}, false);
        case Mood::late:
        case Mood::hangs: return;  // expire_attempts()
    }
}

void World::expire_attempts()
{
    for (std::size_t i = 0; i < far_->flights.size();) {
        const Flight& flight = far_->flights[i];
        if (clock_.steady() - flight.started < attempt_timeout) {
            ++i;
            continue;
        }
        const auto mood = moods_.find(flight.target);
        answer(i, {Verdict::retry, Cause::timeout, 0, "timeout", {}, {}, attempt_timeout},
               mood != moods_.end() && mood->second == Mood::late);
    }
}

void World::reload()
{
    Table wanted;
    wanted.specs = table_.specs;
    std::string what;
    const std::uint64_t kind = pick(5);
    TargetSpec& one = wanted.specs[pick(wanted.specs.size())];
    if (kind == 0 || wanted.specs.size() < 2) {
        wanted.specs.push_back(spec_of("t" + std::to_string(++made_names_)));
        what = "adds " + wanted.specs.back().name;
    } else if (kind == 1) {
        what = "removes " + one.name;
        std::erase_if(wanted.specs, [name = one.name](const TargetSpec& spec) { return spec.name == name; });
    } else if (kind == 2) {
        const std::string name = one.name;
        one = spec_of("t" + std::to_string(++made_names_));
        one.renamed_from = name;
        book_.unordered.insert(name);  // drained by the new name's policy
        book_.renamed[name].insert(one.name);
        what = "renames " + name + " to " + one.name;
    } else if (kind == 3) {
        const std::string from = one.renamed_from;
        one = spec_of(one.name);
        one.renamed_from = from;
        what = "changes " + one.name;
    } else {
        // One that was there before comes back.
        const std::string name = *std::next(names_.begin(), static_cast<std::ptrdiff_t>(pick(names_.size())));
        if (std::any_of(wanted.specs.begin(), wanted.specs.end(), [&](const TargetSpec& spec) {
                return spec.name == name || spec.renamed_from == name;
            }))
            return;
        wanted.specs.push_back(spec_of(name));
        what = "brings back " + name;
    }
    for (const TargetSpec& spec : wanted.specs)
        if (spec.budget.bytes > 0 && !spec.renamed_from.empty()) book_.budgets.insert(spec.renamed_from);
    for (TargetSpec& spec : wanted.specs)
        if (!spec.dead_letter_target.empty() &&
            std::none_of(wanted.specs.begin(), wanted.specs.end(),
                         [&](const TargetSpec& other) { return other.name == spec.dead_letter_target; }))
            spec.dead_letter_target.clear();
    note("reload " + what);
    restart_targets(wanted);
}

void World::restart_targets(Table& wanted)
{
    main_busy_ = true;
    if (!calm_ && one_in(8)) disk_.cut_after = 1 + pick(20);
    const auto version = life_->line->prepare(wanted.specs, version_of(wanted.specs));
    if (!disk_.frozen()) {
        disk_.cut_after = 0;
        if (version.has_value()) {
            coverage_.count("reloads");
            wanted.version = *version;
            former_ = std::exchange(table_, std::move(wanted));
            life_->line->commit();
            drop_retries_ = 3;
        } else {
            coverage_.count("reload failed");
            note("the reload failed: " + version.error().what);
        }
    }
    main_busy_ = false;
}

void World::operate()
{
    if (names_.empty()) return;
    const std::string name = *std::next(names_.begin(), static_cast<std::ptrdiff_t>(pick(names_.size())));
    Engine& engine = life_->line->engine();
    switch (pick(9)) {
        case 8: erase_event(); break;
        case 6:
            note("drain " + name);
            coverage_.count("operator: drain");
            (void)engine.drain(name, "an operator", [](const Result<std::uint64_t>&) {});
            break;
        case 7: move_deliveries(name); break;
        case 4:
        case 5: act_on_deliveries(name); break;
        case 0:
            note("pause " + name);
            coverage_.count("operator: pause");
            (void)engine.pause(name, "an operator");
            break;
        case 1:
        case 2:
            note("resume " + name);
            coverage_.count("operator: resume");
            (void)engine.resume(name);
            break;
        default:
            note("retry now " + name);
            coverage_.count("operator: retry now");
            (void)engine.retry_now(name);
    }
}

DeliveryDesk::Hooks World::delivery_hooks()
{
    DeliveryDesk::Hooks hooks;
    Life& life = *life_;
    hooks.post = [&life](std::function<void()> work) { life.control.push_back(std::move(work)); };
    hooks.views = [&life](const std::string& target, std::function<void(std::vector<LaneView>)> done) {
        life.line->engine().views(target, std::move(done));
    };
    hooks.act = [&life](const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                        const std::function<void(Result<Acted>)>& done) {
        if (!life.line->engine().act(target, what, std::move(picked), done)) done(fail(Errc::not_found, "no such target"));
    };
    hooks.move = [this, &life](const std::string& from, const std::string& to, std::vector<PickedDelivery> picked,
                               const std::function<void(Result<Acted>)>& done) {
        const auto count = static_cast<std::int64_t>(picked.size());
        const auto over = [this, to, count, done, in = book_.life()](Result<Acted> acted) {
            if (book_.life() == in) book_.moving(to, -count);
            done(std::move(acted));
        };
        book_.moving(to, count);
        if (!life.line->engine().move(from, to, std::move(picked), over)) over(fail(Errc::not_found, "no such target"));
    };
    return hooks;
}

/// To a target without an order; mostly of one that is paused or orphaned, as the router asks for.
void World::move_deliveries(const std::string& from)
{
    std::vector<std::string> others;
    for (const TargetSpec& spec : table_.specs)
        if (spec.name != from && spec.order.order == Order::none) others.push_back(spec.name);
    if (others.empty()) return;
    const std::string to = others[pick(others.size())];
    if (!one_in(4)) (void)life_->line->engine().pause(from, "its deliveries are moved");
    DeliveryFilter filter;
    filter.target = from;
    const std::size_t limit = 1 + pick(40);
    note("move what waits for " + from + " to " + to);
    life_->control.push_back([this, filter, to, limit] {
        life_->deliveries->move(filter, to, "", limit, {"an operator", "a step"}, [this](const Result<DeliveriesActed>& acted) {
            if (disk_.frozen() || !acted.has_value() || acted->done == 0) return;
            note("moved " + std::to_string(acted->done));
            coverage_.count("operator: move");
        });
    });
}

/// While it is on its way others go on, and the power may go.
void World::erase_event()
{
    const auto event = book_.published_event([this](std::uint64_t below) { return pick(below); });
    if (!event) return;
    note("erase " + event->text());
    book_.erasing(*event);
    Life& life = *life_;
    EraseDesk::Hooks hooks;
    hooks.stopping = [this] { return disk_.frozen(); };
    hooks.hold = [&life] { return life.line->hold_segments(); };
    hooks.let_go = [&life] { life.line->let_segments_go(); };
    hooks.discard = [&life](const std::string& target, std::vector<PickedDelivery> picked, const std::function<void(Result<Acted>)>& done) {
        if (!life.line->engine().act(target, DeliveryAct::discard, std::move(picked), done)) done(fail(Errc::not_found, "no such target"));
    };
    hooks.drop_copies = [&life](const Id& of, std::function<void(std::uint64_t)> done) { life.line->engine().drop_copies(of, std::move(done)); };
    hooks.read_anew = [] {};
    ArchiveDesk archives{disk_, clock_, *life.journal, data_dir};  // no bus has one
    EraseDesk desk{disk_, life.waits, *life.journal, *life.state, archives, data_dir, std::move(hooks)};
    if (options_.plant == Plant::erase_unsynced) disk_.skip_sync_below = data_dir + "/journal";
    const auto erased = desk.erase(*event, {"an operator", "a step"});
    if (options_.plant == Plant::erase_unsynced) disk_.skip_sync_below.clear();
    if (disk_.frozen()) return;
    note(erased.has_value() ? "erased, discarded " + std::to_string(erased->discarded) : "not erased: " + erased.error().what);
    if (erased.has_value()) {
        coverage_.count("operator: erase");
    } else if (erased.error().code == Errc::not_found) {  // and what was let go is gone, too
        coverage_.count("operator: erase of what was let go");
    } else {
        coverage_.count("operator: an erase failed");
        return;
    }
    book_.erased(*event);
    check_forgotten();
}

/// Copies that damage made necessary are told of, not touched.
void World::check_forgotten()
{
    const std::vector<std::string> secrets = book_.forgotten();
    if (secrets.empty()) return;
    for (const std::string& path : disk_.paths()) {
        if (path.find("/quarantine/") != std::string::npos || path.starts_with(data_dir + "/state.db.")) continue;
        const std::string content = disk_.content(path);
        for (const std::string& secret : secrets)
            if (content.find(secret) != std::string::npos) return book_.violated(path + " still holds the body with " + secret + ", which was erased");
    }
}

/// All of a target's, those of a rule, or what has waited for a while.
void World::act_on_deliveries(const std::string& target)
{
    const DeliveryAct what = one_in(3) ? DeliveryAct::retry_now : DeliveryAct::discard;
    const bool discards = what == DeliveryAct::discard;
    DeliveryFilter filter;
    filter.target = target;
    if (one_in(2)) filter.received_before = clock_.wall() - std::chrono::seconds{pick(20)};
    const std::size_t limit = 1 + pick(40);
    note((discards ? "discard what waits for " : "make due what waits for ") + target);
    life_->control.push_back([this, what, discards, filter, limit] {
        life_->deliveries->act(what, filter, "", limit, {"an operator", "a step"}, [this, discards](const Result<DeliveriesActed>& acted) {
            if (disk_.frozen() || !acted.has_value() || acted->done == 0) return;
            note((discards ? "discarded " : "made due ") + std::to_string(acted->done));
            coverage_.count(discards ? "operator: discard" : "operator: retries picked by hand");
        });
    });
}

void World::step()
{
    if (!life_) {
        if (clock_.steady() < down_until_) pass(down_until_ - clock_.steady());
        start();
        return;
    }
    if (late_known_ && clock_.steady() >= late_known_->first) {
        TargetKnown known = std::exchange(late_known_, std::nullopt)->second;
        known.cursor = life_->journal->synced();
        life_->state->pass_on({known, CursorMoved{known.target, known.cursor, {}}}, nullptr);
    }
    const std::uint64_t what = pick(1000);
    if (what < 200) {
        ingest();
    } else if (what < 600) {
        for (std::uint64_t i = 1 + pick(6); i > 0 && !disk_.frozen(); --i) run_any(false);
    } else if (what < 800) {
        answer_attempt();
    } else if (what < 860) {
        pass(std::chrono::milliseconds{pick(one_in(10) ? 5000 : 60)});
    } else if (what < 890) {
        pass_to_next_alarm();
    } else if (what < 930) {
        note("totals");
        life_->control.push_back([this] {
            life_->line->hand_over_totals();
            if (!one_in(4)) life_->line->release_segments();
        });
        if (one_in(2)) life_->journal->chores_due();
    } else if (what < 950) {
        const std::string name = *std::next(names_.begin(), static_cast<std::ptrdiff_t>(pick(names_.size())));
        const Mood mood = one_in(2) ? Mood::works : static_cast<Mood>(pick(mood_names.size()));
        note(name + ' ' + mood_names[static_cast<std::size_t>(mood)]);
        moods_[name] = mood;
    } else if (what < 962) {
        draw_disk_fault();
    } else if (what < 968) {
        static const std::array<Duration, 4> jumps{1h, -1h, years, -years};
        const Duration by = jumps[pick(jumps.size())];
        note("the clock jumps");
        coverage_.count(by == 1h || by == -1h ? "clock: jumps of an hour" : "clock: jumps of ten years");
        clock_.jump(by);
        book_.clock_jumped();
    } else if (what < 971) {
        clock_.wall_stands = !clock_.wall_stands;
        coverage_.count("clock: stands still");
        note("the clock stands or goes");
    } else if (what < 978) {
        reload();
    } else if (what < 988) {
        operate();
    } else if (what < 990) {
        if (rots_) rot();
    } else if (what < 993) {
        stop_cleanly();
    } else if (what < 996) {
        note("the power will go soon");
        disk_.cut_after = 1 + pick(40);
    } else {
        crash("between two steps");
    }
    power_cut_if_frozen();
}

}  // namespace eventyard::sim
