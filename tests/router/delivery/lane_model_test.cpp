// One lane against a model world: commits, reads, attempts, flushes, crashes in any order.
//
// The world holds what really is: the journal, the state as submitted, the state as durable, and
// which deliveries the target has. After every step the lane's promises are checked; at the end
// everything heals, and every delivery must have ended exactly once, with duplicates only where a
// crash explains them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "router/delivery/lane.hpp"
#include "router/delivery/redriven.hpp"
#include "tests/support/fake_journal_lanes.hpp"
#include "tests/support/fake_state.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;
using targets::Cause;
using targets::Outcome;
using targets::Verdict;

namespace {

class World {
public:
    explicit World(std::uint64_t seed, Order order = Order::none) : random_(seed), draws_(seed ^ 0x5555)
    {
        settings_.order.order = order;
        settings_.order.key = "k";
        settings_.order.parked_max = 2 + static_cast<std::uint32_t>(pick(4));
        settings_.order.hold = pick(3) == 0;
        waits_ = pick(3) == 0;  // some rules delay, some let expire
        if (pick(3) == 0) bucket_.configure({0.5 + static_cast<double>(pick(20)), 1 + static_cast<std::uint32_t>(pick(4))});
        RoutingVersion version;
        version.number = 1;
        version.routes = {{"r1", "t", {}, {}, {}, {}}, {"r2", "t", {}, {}, {}, {}}, {"r3", "other", {}, {}, {}, {}}};
        if (waits_)
            version.routes = {{"r1", "t", {}, {}, 5s, {}}, {"r2", "t", {}, {}, {}, 20s}, {"r3", "other", {}, {}, {}, {}}};
        version_ = std::make_shared<const RoutingVersion>(version);
        limits_.window = {8 + pick(8), 1U << 20, 1 + pick(6), 1U << 20, pick(12)};
        limits_.retries = 2 + pick(6);
        limits_.uncommitted_max = 6 + pick(20);
        settings_.breaker.failures = 3 + static_cast<std::uint32_t>(pick(4));
        settings_.concurrency = 1 + static_cast<std::uint32_t>(pick(5));
        settings_.retry.max_attempts = 2 + static_cast<std::uint32_t>(pick(4));
        settings_.retry.backoff_max = 20s;
        if (pick(3) == 0) settings_.retry.max_age = 30s;  // a target that is down then loses its backlog
        if (pick(2) == 0) settings_.dead_letter_target = "graveyard";
        if (order != Order::strict && pick(2) == 0)
            settings_.batch = {2 + static_cast<std::uint32_t>(pick(7)), 5 + pick(60), pick(3) == 0 ? Duration{2s} : Duration{0}};
        boot(StateModel{});
    }

    void run(int steps)
    {
        for (int i = 0; i < steps; ++i) {
            step(true);
            check();
        }
        lane_->resume(todo_);
        lane_->release_keys("", todo_);
        settings_.order.hold = false;
        lane_->configure(&settings_);
        for (int rounds = 0; !finished(); ++rounds) {
            if (rounds > 60'000) FAIL("the lane came to a halt with " << lane_->pending().sum() << " pending");
            step(false);
            check();
        }
        flush();
        while (!unsynced_.empty()) sync();
        CHECK(lane_->uncommitted() == 0);
        CHECK(lane_->pending().sum() == 0);
        CHECK(durable_.complaints.empty());
        if (!durable_.complaints.empty()) WARN(durable_.complaints.front());
        for (const DeliveryKey& key : routed_) {
            const auto ended = durable_.ended.find({"t", key});
            REQUIRE(ended != durable_.ended.end());
            CHECK(ended->second.size() == 1);
            const Ending ending = ended->second.front();
            CHECK((taken_.count(key) > 0 || ending == Ending::dead_lettered || ending == Ending::damaged ||
                   ending == Ending::expired || discarded_.count(key) > 0));
            if (ending == Ending::discarded_operator) CHECK(discarded_.count(key) > 0);
            if (ending == Ending::delivered) CHECK(taken_.count(key) > 0);
        }
        for (const auto& [id, letter] : durable_.dead) {
            CHECK(!letter.body.empty());
            CHECK(letter.delivery_id == delivery_id(letter.event, letter.rule, "t"));
            CHECK(letter.forward_to == settings_.dead_letter_target);
        }
    }

private:
    std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
    Now now() const { return {steady_, wall_, seen_}; }

    // --- the lane's owner, one action at a time -----------------------------------------------------

    /// @param lost  the state lost the cursor and what has ended, and kept the retries
    void boot(StateModel durable, bool lost = false)
    {
        if (lost) {
            durable.targets.at("t").cursor = 0;
            durable.targets.at("t").settled.clear();
            for (const auto& [key, row] : durable.retries) durable.targets.at("t").settled.push_back(row.key);
            durable.ended.clear();
            std::erase_if(durable.dead, [](const auto& one) { return one.second.group != 0; });
            first_started_.clear();
            confirmed_.clear();
            astray_ = true;
        }
        durable_ = durable;
        submitted_ = std::move(durable);
        unsynced_.clear();
        flying_.clear();
        event_reads_.clear();
        key_reads_.clear();
        acts_.clear();
        chunk_.reset();
        rows_.reset();
        rows_asked_ = false;
        letters_asked_ = false;
        sync_needed_ = 0;
        todo_ = {};
        seen_ = log_.events.size();
        LaneStart start;
        start.target = "t";
        start.ages = AgeClock{steady_, wall_};
        start.window.seen = seen_;
        if (durable_.targets.count("t") == 0) {
            submitted_.apply(TargetKnown{"t", "webhook", 0});
            durable_.apply(TargetKnown{"t", "webhook", 0});
        }
        const StateSnapshot snapshot = durable_.snapshot();
        const TargetPosition& position = snapshot.targets.front();
        start.window.cursor = position.cursor;
        start.window.settled = position.settled;
        lost_settled_ = position.settled.size();
        start.window.behind =
            log_.count_after("t", {position.cursor, UINT32_MAX}) - position.settled.size();
        start.retries = position.retries;
        start.held = position.held;
        start.delayed = position.delayed;
        start.parked = position.parked;
        start.paused = position.paused;
        lane_ = std::make_unique<Lane>(std::move(start), limits_, draws_);
        lane_->configure(&settings_);
        last_first_ = last_old_ = {};
        attempts_.clear();
    }

    void crash()
    {
        // What a start will attempt again although the target has it: bounded by what the lane shows.
        const std::uint64_t bound = lane_->in_flight() + lane_->uncommitted();
        std::uint64_t repeated = 0;
        for (auto key = confirmed_.begin(); key != confirmed_.end();) {
            const bool ended = durable_.ended.count({"t", *key}) > 0;
            if (!ended) ++repeated;
            key = ended ? std::next(key) : confirmed_.erase(key);  // not this crash's, should it crash again
        }
        CHECK(repeated <= bound);
        boot(durable_, pick(8) == 0);
    }

    void perform()
    {
        for (Request& request : std::exchange(todo_.requests, {})) {
            check_request(request);
            flying_.push_back(std::move(request));
        }
        CHECK(flying_.size() <= concurrency());
        if (!settings_.batch.any()) CHECK(flying_.size() + event_reads_.size() + key_reads_.size() <= concurrency());
        for (KeyRead& read : std::exchange(todo_.keys, {})) {
            flush();
            key_reads_.push_back({std::move(read), unsynced_.size()});
        }
        for (const EventRead& read : std::exchange(todo_.events, {})) event_reads_.push_back(read);
        if (todo_.lane) chunk_ = log_.read({"t", todo_.lane->after, todo_.lane->through,
                                            todo_.lane->max_items, todo_.lane->max_bytes});
        if (todo_.rows) {
            flush();
            rows_asked_ = true;
            rows_ = *todo_.rows;
            sync_needed_ = unsynced_.size();
        }
        if (todo_.forwards) letters_asked_ = true;
        todo_.lane.reset();
        todo_.rows.reset();
        todo_.forwards.reset();
        todo_.to_forward.clear();
        todo_.notes.clear();
    }

    void check_request(const Request& request)
    {
        std::size_t bytes = 0;
        std::set<std::string> keys;
        CHECK(request.batched == settings_.batch.any());
        CHECK(!request.attempts.empty());
        for (const Attempt& attempt : request.attempts) {
            const DeliveryKey key = key_of(attempt);
            CHECK(attempt.target == "t");
            CHECK(attempt.id == delivery_id(attempt.event->id, attempt.rule, "t"));
            if (redriven_.count(key) == 0) CHECK(durable_.ended.count({"t", key}) == 0);
            check_order(attempt, key);
            bytes += attempt.event->body.size();
            if (settings_.order.order == Order::key && attempt.event->body != "{}" && !astray_ && redriven_.count(key) == 0)
                CHECK(keys.insert(attempt.event->body).second);
            CHECK(request.attempts.size() <= std::max(1U, settings_.batch.max_events >> std::min(31U, attempts_[key])));
            if (settings_.order.order != Order::key && !waits_ && !settings_.batch.any() && attempt.number == 1 && redriven_.count(key) == 0 && first_started_.insert(key).second) {
                // First attempts are made in journal order; of a target that is behind in two: the old, and the fresh.
                DeliveryKey& last = last_first_ < key ? last_first_ : last_old_;
                CHECK(last < key);
                if (settings_.order.order == Order::strict) CHECK(&last == &last_first_);
                last = key;
            }
        }
        if (request.attempts.size() > 1) CHECK(bytes <= settings_.batch.max_bytes);
    }

    void pump()
    {
        lane_->pump(now(), settings_.batch.any() && pick(10) == 0 ? 0 : UINT32_MAX, todo_, &bucket_);
        perform();
    }

    /// What goes out now has nothing before it that is not over: of its key, or of all.
    void check_order(const Attempt& attempt, DeliveryKey key)
    {
        if (settings_.order.order == Order::none || astray_ || redriven_.count(key) > 0) return;
        std::set<DeliveryKey> over;
        for (const Change& change : todo_.changes)
            if (const auto* ended = std::get_if<Ended>(&change)) over.insert(ended->key);
        for (const DeliveryKey& other : routed_) {
            if (other >= key) break;
            if (redriven_.count(other) > 0 || submitted_.ended.count({"t", other}) > 0 || over.count(other) > 0) continue;
            if (settings_.order.order == Order::key) {
                const std::string& body = log_.events[other.sequence - 1]->event.body;
                if (body == "{}" || body != attempt.event->body) continue;
            }
            FAIL("delivery " << key.sequence << '/' << key.route << " overtook " << other.sequence << '/' << other.route);
        }
    }
    std::uint32_t concurrency() const { return settings_.order.order == Order::strict ? 1 : settings_.concurrency; }

    void flush()
    {
        const Settled settled = lane_->take_unflushed();
        if (settled.count > 0) todo_.changes.emplace_back(lane_->position(now()));
        if (todo_.changes.empty()) return;
        const auto changes = std::exchange(todo_.changes, {});
        for (const Change& change : changes) {
            submitted_.apply(change);
            if (const auto* ended = std::get_if<Ended>(&change)) {
                CHECK(ended->rule == rule_of(ended->key));
                // What was answered to many is no delivery's end.
                if (ended->dead_letter && ended->dead_letter->reason == "final_status") CHECK(refused_.count(ended->key) == 1);
            }
        }
        // A cursor says only what is so: nothing at or below it, or listed, is neither ended nor in a row.
        for (const DeliveryKey& key : routed_)
            if (submitted_.covers("t", key) && submitted_.ended.count({"t", key}) == 0 &&
                submitted_.retries.count({"t", key}) == 0)
                FAIL("the cursor moved past delivery " << key.sequence << '/' << key.route);
        unsynced_.push_back({submitted_, settled});
    }

    void sync()
    {
        if (unsynced_.empty()) return;
        durable_ = unsynced_.front().first;
        lane_->on_durable(unsynced_.front().second);
        unsynced_.pop_front();
        if (sync_needed_ > 0) --sync_needed_;
        for (auto& [read, wanted] : key_reads_)
            if (wanted > 0) --wanted;
        for (Hand& act : acts_)
            if (act.wanted > 0) --act.wanted;
        pump();
    }

    // --- what may happen -----------------------------------------------------------------------------

    void step(bool wild)
    {
        switch (pick(wild ? 17 : 11)) {
            case 10: answer_key(wild); break;
            case 0: answer_attempt(wild); break;
            case 1: answer_attempt(wild); break;
            case 2: flush(); break;
            case 3: sync(); break;
            case 4:
                if (chunk_) {
                    auto chunk = std::exchange(chunk_, std::nullopt);
                    if (wild && pick(6) == 0) lane_->on_chunk(now(), fail(Errc::io, "read"), todo_);
                    else lane_->on_chunk(now(), std::move(*chunk), todo_);
                    pump();
                }
                break;
            case 5: answer_event(wild); break;
            case 6:
                if (rows_asked_ && sync_needed_ == 0) {
                    rows_asked_ = false;
                    if (wild && pick(6) == 0) lane_->on_rows(now(), fail(Errc::io, "read"));
                    else lane_->on_rows(now(), durable_.next("t", rows_->after_due, rows_->after_key, rows_->limit));
                    pump();
                } else if (letters_asked_) {
                    letters_asked_ = false;
                    lane_->on_forwards(now(), std::vector<DeadLetter>{});
                    pump();
                }
                break;
            case 7: pass(std::chrono::milliseconds(pick(3000))); break;
            case 8:
                if (const auto wake = lane_->wake_at(now()); wake && *wake > steady_) pass(*wake - steady_);
                break;
            case 9:
                if (!lane_->paused().empty()) {
                    lane_->resume(todo_);
                    pump();
                }
                break;
            case 11: commit(); break;
            case 12: commit(); break;
            case 13: redrive(); break;
            case 14: ask_act(); break;
            case 15: act(); break;
            default:
                if (pick(12) == 0) crash();
                else if (pick(6) == 0) lane_->retry_now(now());
                else if (pick(6) == 0) lane_->release_keys("", todo_);
                else if (pick(8) == 0) wall_ += std::chrono::seconds(pick(7200)) - 1h;  // somebody sets the clock
                pump();
        }
    }

    void pass(Duration time)
    {
        steady_ += time;
        wall_ += time;
        pump();
    }

    void commit()
    {
        for (std::uint64_t i = 1 + pick(4); i > 0; --i) {
            static const std::vector<std::vector<std::uint32_t>> shapes = {{0}, {1}, {0, 1}, {2}, {0, 2}, {0, 1, 2}, {1, 2}};
            const std::uint64_t who = pick(5);
            auto event = make_event(version_, shapes[pick(shapes.size())], random_, wall_,
                                    who == 0 ? "{}" : "{\"k\":" + std::to_string(who) + "}");
            event->sequence = log_.events.size() + 1;
            if (pick(40) == 0) log_.damaged.insert(event->sequence);  // as far as disk goes
            log_.events.push_back(event);
            for (std::uint32_t route = 0; route < event->routes.size(); ++route) {
                if (!EventLog::routed(*event, route, "t")) continue;
                routed_.push_back({event->sequence, route});
                lane_->offer(event, route);
            }
        }
        seen_ = log_.events.size();
        pump();
    }

    /// An operator gives a dead letter another chance.
    void redrive()
    {
        flush();
        if (lane_->uncommitted() >= limits_.uncommitted_max) return;
        for (const auto& [id, letter] : submitted_.dead) {
            if (letter.group == 0 || pick(3) == 0) continue;
            RetryRow row{"t", letter.key, letter.rule, letter.event, 0, {}, {}, {}, id, letter.attempts};
            redriven_.insert(letter.key);
            attempts_.erase(letter.key);
            confirmed_.erase(letter.key);  // of its former life, if a crash took back that it had been redriven
            lane_->redrive(now(), {row}, todo_);
            break;
        }
        pump();
    }

    /// An operator picks some deliveries: pending, ended, twice, all the same.
    void ask_act()
    {
        if (routed_.empty()) return;
        Hand act{pick(3) == 0 ? DeliveryAct::retry_now : DeliveryAct::discard, {}, 0};
        std::set<DeliveryKey> keys;
        for (std::uint64_t i = 1 + pick(8); i > 0; --i)
            keys.insert(routed_[routed_.size() - 1 - pick(std::min<std::uint64_t>(routed_.size(), 40))]);
        for (const DeliveryKey& key : keys) act.picked.push_back({key, rule_of(key)});
        lane_->watch_rows();
        flush();
        act.wanted = unsynced_.size();
        acts_.push_back(std::move(act));
        pump();
    }

    void act()
    {
        if (acts_.empty() || acts_.front().wanted > 0 || lane_->uncommitted() >= limits_.uncommitted_max) return;
        const Hand act = std::move(acts_.front());
        acts_.pop_front();
        std::vector<DeliveryKey> keys;
        for (const PickedDelivery& one : act.picked) {
            keys.push_back(one.key);
            if (act.what == DeliveryAct::discard) discarded_.insert(one.key);
        }
        const std::uint64_t pending = lane_->pending().sum();
        const Acted acted = lane_->act(now(), act.what, act.picked, durable_.rows_of("t", keys), todo_);
        lane_->unwatch_rows();
        if (act.what == DeliveryAct::discard) CHECK(lane_->pending().sum() == pending - acted.done);
        else CHECK(lane_->pending().sum() == pending);
        CHECK(lane_->window().settled_ahead() <= std::max(limits_.window.settled_ahead, lost_settled_));
        pump();
    }

    void answer_attempt(bool wild)
    {
        if (flying_.empty()) return;
        const auto at = flying_.begin() + static_cast<std::ptrdiff_t>(pick(flying_.size()));
        const Request request = std::move(*at);
        flying_.erase(at);
        const bool apart = request.batched && pick(2) == 0;  // the answer names each
        std::vector<Outcome> outcomes;
        for (const Attempt& attempt : request.attempts) {
            outcomes.push_back(outcome_of(wild, apart ? std::vector<Attempt>{attempt} : request.attempts));
            if (!apart) break;
        }
        for (std::size_t i = 0; i < request.attempts.size(); ++i) told(request, i, outcomes[apart ? i : 0], apart);
        lane_->on_outcomes(now(), request.ticket, std::move(outcomes), todo_);
        pump();
    }

    Outcome outcome_of(bool wild, const std::vector<Attempt>& of)
    {
        Outcome outcome{Verdict::delivered, Cause::none, 200, "HTTP 200", {}, {}, 5ms};
        if (wild && (bad_ || pick(3) == 0)) {
            switch (pick(12)) {
                case 0: outcome = {Verdict::reject, Cause::status, 400, "HTTP 400", "no", {}, 5ms}; break;
                case 1: outcome = {Verdict::pause, Cause::status, 410, "HTTP 410", {}, {}, 5ms}; break;
                case 2: outcome = {Verdict::retry, Cause::internal, 0, "queue", {}, {}, 0ms}; break;
                case 3: outcome = {Verdict::retry, Cause::status, 429, "HTTP 429", {}, 4s, 5ms}; break;
                case 4: outcome = {Verdict::retry, Cause::timeout, 0, "timeout", {}, {}, 5s}; break;
                default: outcome = {Verdict::retry, Cause::connect, 0, "refused", {}, {}, 1ms}; break;
            }
        }
        if (wild && pick(30) == 0) bad_ = !bad_;
        const bool poisoned = std::any_of(of.begin(), of.end(), [](const Attempt& one) { return one.sequence % 19 == 0; });
        if (outcome.verdict == Verdict::delivered && poisoned) outcome = {Verdict::reject, Cause::status, 400, "HTTP 400", "poison", {}, 5ms};
        return outcome;
    }

    void told(const Request& request, std::size_t i, const Outcome& outcome, bool apart)
    {
        const DeliveryKey key = key_of(request.attempts[i]);
        const bool own = apart || request.attempts.size() == 1;
        if (outcome.cause == Cause::timeout || outcome.verdict == Verdict::delivered) taken_.insert(key);  // it may have taken effect
        if (outcome.verdict == Verdict::delivered) confirmed_.insert(key);
        if (outcome.verdict == Verdict::reject && own) refused_.insert(key);
        if (outcome.verdict == Verdict::retry && outcome.cause != Cause::internal) ++attempts_[key];
    }

    void answer_event(bool wild)
    {
        if (event_reads_.empty()) return;
        const EventRead read = event_reads_.front();
        event_reads_.pop_front();
        if (read.letter != 0 && pick(10) != 0) {
            lane_->on_event(now(), read.ticket, true, event_of(submitted_.dead.at(read.letter)), todo_);
            return pump();
        }
        if ((wild && pick(10) == 0) || read.letter != 0) lane_->on_event(now(), read.ticket, true, fail(Errc::io, "read"), todo_);
        else if (wild && pick(20) == 0) lane_->on_event(now(), read.ticket, true, fail(Errc::corrupt, "crc"), todo_);
        else if (log_.damaged.count(read.sequence) > 0)
            lane_->on_event(now(), read.ticket, true, fail(Errc::corrupt, "crc"), todo_);
        else lane_->on_event(now(), read.ticket, !wild || pick(20) != 0, log_.events[read.sequence - 1], todo_);
        pump();
    }

    void answer_key(bool wild)
    {
        if (key_reads_.empty() || key_reads_.front().second > 0) return;
        const KeyRead read = key_reads_.front().first;
        key_reads_.pop_front();
        if (wild && pick(6) == 0) lane_->on_key(now(), read.ticket, fail(Errc::io, "read"), todo_);
        else lane_->on_key(now(), read.ticket, durable_.first_of_key("t", read.order_key), todo_);
        pump();
    }

    DeliveryKey key_of(const Attempt& attempt) const
    {
        const StoredEvent& stored = *log_.events[attempt.sequence - 1];
        for (std::uint32_t route = 0; route < stored.routes.size(); ++route)
            if (version_->routes[stored.routes[route]].rule == attempt.rule) return {attempt.sequence, route};
        FAIL("an attempt for a rule the event did not match");
        return {};
    }

    std::string rule_of(DeliveryKey key) const
    {
        const StoredEvent& stored = *log_.events[key.sequence - 1];
        return std::string{version_->routes[stored.routes[key.route]].rule};
    }

    // --- what must be so ------------------------------------------------------------------------------

    void check()
    {
        const Window& window = lane_->window();
        CHECK(window.held() <= limits_.window.deliveries + limits_.window.read_items);
        CHECK(lane_->schedule().held() <= 2 * limits_.retries + settings_.concurrency * settings_.batch.max_events);
        std::size_t flying = event_reads_.size() + key_reads_.size();
        for (const Request& request : flying_) flying += request.attempts.size();
        CHECK(lane_->in_flight() >= flying);  // the others wait for company, or to be sent
        if (!lane_->paused().empty()) CHECK(lane_->in_flight() == flying);
        CHECK(lane_->uncommitted() <= limits_.uncommitted_max + limits_.window.deliveries);
        // Pending is counted; here it is compared with what is left by subtraction.
        std::uint64_t ended = submitted_.ended.size();
        for (const Change& change : todo_.changes) ended += std::holds_alternative<Ended>(change) ? 1 : 0;
        for (const Change& change : todo_.changes) ended -= std::holds_alternative<Redriven>(change) ? 1 : 0;
        CHECK(lane_->pending().sum() + ended == routed_.size());
    }

    bool finished() const
    {
        return submitted_.ended.size() == routed_.size();
    }

    SeededRandom random_, draws_;
    RoutingVersionPtr version_;
    LaneLimits limits_;
    LaneSettings settings_;
    SteadyTime steady_{10h};
    WallTime wall_{500'000h};
    Sequence seen_ = 0;
    EventLog log_;
    std::vector<DeliveryKey> routed_;
    std::set<DeliveryKey> taken_;                 // the target has it, as far as it can know
    std::set<DeliveryKey> confirmed_;             // and it said so
    std::set<DeliveryKey> first_started_;
    std::set<DeliveryKey> redriven_;              // ever
    std::set<DeliveryKey> refused_;               // with an answer of its own
    std::map<DeliveryKey, std::uint32_t> attempts_;  // that failed in this life
    std::set<DeliveryKey> discarded_;             // somebody wanted that
    DeliveryKey last_first_{}, last_old_{};
    bool bad_ = false;
    bool waits_ = false;
    bool astray_ = false;                         // the state was lost: so is the order
    TokenBucket bucket_;

    std::unique_ptr<Lane> lane_;
    Todo todo_;
    StateModel submitted_, durable_;
    std::deque<std::pair<StateModel, Settled>> unsynced_;
    std::vector<Request> flying_;
    std::deque<EventRead> event_reads_;
    std::deque<std::pair<KeyRead, std::size_t>> key_reads_;  // and the syncs it waits for
    struct Hand {
        DeliveryAct what;
        std::vector<PickedDelivery> picked;
        std::size_t wanted;
    };
    std::deque<Hand> acts_;
    std::size_t lost_settled_ = 0;                // a start had to take so many
    std::optional<LaneChunk> chunk_;
    std::optional<Schedule::Read> rows_;
    bool rows_asked_ = false, letters_asked_ = false;
    std::size_t sync_needed_ = 0;
};

/// The long form takes a hundred times as many.
std::uint64_t seeds(std::uint64_t few)
{
    return std::getenv("EVENTYARD_LONG") ? few * 100 : few;
}

}  // namespace

TEST_CASE("every delivery of a lane ends exactly once, whatever happens in between", "[model]")
{
    for (std::uint64_t seed = 1; seed <= seeds(150); ++seed) {
        CAPTURE(seed);
        World world{seed};
        world.run(300);
    }
}

TEST_CASE("a lane keeps the order of a key, and every delivery ends exactly once", "[model]")
{
    for (std::uint64_t seed = 1; seed <= seeds(150); ++seed) {
        CAPTURE(seed);
        World world{seed, Order::key};
        world.run(300);
    }
}

TEST_CASE("a strict lane keeps the order of all, and every delivery ends exactly once", "[model]")
{
    for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
        CAPTURE(seed);
        World world{seed, Order::strict};
        world.run(200);
    }
}
