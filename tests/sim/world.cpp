#include "tests/sim/world.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "router/journal/scan.hpp"
#include "tests/sim/sqlite_vfs.hpp"

namespace eventyard::sim {
namespace {

using namespace std::chrono_literals;
using targets::Cause;
using targets::Outcome;
using targets::Verdict;

constexpr std::size_t shards = 2;
constexpr Duration attempt_timeout = 10s;
constexpr Duration years = 24h * 3652;
const std::string data_dir = "/data";

/// Who can run.
enum class Actor : std::uint8_t { shard0, shard1, control, writer, reader, keeper, state, count };
constexpr std::array<const char*, 7> actor_names{"shard 0", "shard 1", "control", "writer", "reader", "keeper", "state"};

/// How a far end answers.
enum class Mood : std::uint8_t { works, fails, refuses, rejects, hangs, flaps, late, swallows, throttles, gone };
constexpr std::array<const char*, 10> mood_names{"works", "fails",    "refuses",   "rejects", "hangs",
                                                 "flaps", "is late", "takes it and fails", "throttles", "is gone"};

/// What the configuration says.
struct Table {
    std::vector<TargetSpec> specs;
    RoutingVersionPtr version;  // stored
};

/// One process: from a start to a crash or a stop.
struct Life {
    Life(const Clock& clock, std::function<bool()> go_on) : waits(clock, std::move(go_on)) {}
    ~Life()
    {
        waits.clear();
        line.reset();
    }
    SimWaits waits;
    IoThreads io{shards};
    std::deque<std::function<void()>> control;
    SimState* state = nullptr;
    SimJournal* journal = nullptr;
    std::unique_ptr<Pipeline> line;
    bool started = false;
};

class World {
public:
    explicit World(const RunOptions& options)
        : options_(options), dice_(options.seed * 0x9e3779b97f4a7c15ULL + 1), chance_(options.seed ^ 0x5deece66dULL),
          disk_random_(options.seed + 77), disk_(disk_random_, coverage_), book_(coverage_)
    {
        attach_sqlite(disk_, chance_);
        book_.trace = [this](const std::string& line) { note(line); };
        far_->clock = &clock_;
        far_->arrived = [this](Flight& flight) { arrived(flight); };
        disk_.clock = &clock_;
        disk_.fault = [this](Call call, const std::string& path) { return disk_fault(call, path); };
        disk_.syncing = [this](const std::string& path) { others_meanwhile(path); };
        wires_.published = [this](const CommitBatch& batch) {
            if (!disk_.frozen()) book_.published(batch);
        };
        wires_.submitted = [this](const std::vector<Change>& changes) {
            if (!disk_.frozen()) book_.handed_over(changes);
        };
        wires_.durable = [this](const std::vector<Change>& changes) {
            if (!disk_.frozen()) book_.durable(changes);
        };
        draw_limits();
        draw_first_table();
        plant();
    }

    RunResult go()
    {
        for (step_ = 1; step_ <= options_.steps && right(); ++step_) {
            step();
            check();
        }
        if (right()) settle();
        RunResult result;
        result.fault = book_.fault();
        result.step = step_;
        result.hash = hash_;
        result.lives = book_.life();
        result.events = book_.events();
        result.accepted = book_.accepted();
        result.taken = book_.deliveries_taken();
        end_life();
        coverage_.count("lives", result.lives);
        coverage_.count("events accepted", result.accepted);
        result.coverage = coverage_;
        return result;
    }

private:
    [[nodiscard]] bool right() const { return book_.fault().empty(); }
    std::uint64_t pick(std::uint64_t below) { return dice_.next() % below; }
    bool one_in(std::uint64_t n) { return pick(n) == 0; }
    void note(const std::string& line)
    {
        for (const char c : line) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        if (options_.trace) options_.trace(std::to_string(step_) + ": " + line);
    }

    // --- the world as drawn -------------------------------------------------------------------------

    void draw_limits();
    void draw_first_table();
    void plant();
    TargetSpec spec_of(const std::string& name);
    RoutingVersion version_of(const std::vector<TargetSpec>& specs);

    // --- lives ----------------------------------------------------------------------------------------

    void start();
    void end_life();
    void crash(const char* how);
    void stop_cleanly();
    void power_cut_if_frozen()
    {
        if (disk_.frozen()) crash("in the middle of something");
    }

    // --- steps ----------------------------------------------------------------------------------------

    void step();
    bool run_actor(Actor actor);
    bool run_any(bool fairly);
    bool ring_alarm();
    bool go_on();
    void others_meanwhile(const std::string& path);
    void pass(Duration time);
    void pass_to_next_alarm();
    void ingest();
    void answer_attempt();
    void answer(std::size_t place, Outcome outcome, bool took);
    void arrived(Flight& flight);
    void expire_attempts();
    void reload();
    void restart_targets(Table& wanted);
    std::optional<Error> disk_fault(Call call, const std::string& path);
    void draw_disk_fault();
    void rot();
    void operate();
    bool send_cursors_first(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable);
    bool hold_new_cursors(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable);
    void recycled(const std::string& from, const std::string& to);
    void revive_frames();
    void check();
    void settle();
    bool drained();
    void heal();

    RunOptions options_;
    SeededRandom dice_, chance_, disk_random_;
    Coverage coverage_;
    SimClock clock_;
    SimDisk disk_;
    Book book_;
    Wires wires_;
    std::uint64_t step_ = 0, hash_ = 0xcbf29ce484222325ULL;

    Pipeline::Options limits_;
    bool rots_ = false, stands_still_ = false;
    Table table_, former_;
    std::set<std::string> names_;               // every target there ever was
    std::uint64_t made_names_ = 0, revision_ = 0, units_ = 0;
    std::shared_ptr<FarSide> far_ = std::make_shared<FarSide>();
    std::map<std::string, Mood> moods_;         // by target; missing: works
    std::unique_ptr<Life> life_;
    std::array<bool, static_cast<std::size_t>(Actor::count)> busy_{};
    int depth_ = 0;
    bool main_busy_ = false;
    bool calm_ = false;                         // no more faults
    SteadyTime down_until_{};

    struct DiskFault {
        std::optional<Call> call;               // none: every changing call
        std::string below;
        std::uint64_t times = 0;                // so many more; UINT64_MAX: until it is healed
        Errc code = Errc::io;
    };
    std::optional<DiskFault> disk_fault_;
    SteadyTime disk_heals_{};

    // Of planted mistakes.
    std::uint64_t drop_retries_ = 0;
    std::optional<std::pair<SteadyTime, TargetKnown>> late_known_;
    std::map<std::string, Id> former_ids_;      // by path of what is recycled
};

// --- the world as drawn -----------------------------------------------------------------------------

void World::draw_limits()
{
    limits_.data_dir = data_dir;
    limits_.journal.segment_size = 8192 + 4096 * pick(8);
    limits_.journal.min_free = 1;
    limits_.journal.spare_segments = static_cast<std::uint32_t>(pick(3));
    limits_.journal.max_queued_bytes = 64U << 10;
    EngineOptions& engine = limits_.engine;
    engine.window_bytes = 8U << 20;
    engine.flush_changes = 1 + pick(64);
    engine.lane.window = {4 + pick(30), 1U << 16, 1 + pick(12), 1U << 14};
    engine.lane.retries = 2 + pick(8);
    engine.lane.uncommitted_max = 4 + pick(60);
    engine.lane.letter_bytes_max = 1U << (9 + pick(8));
    engine.lane.health.failures = 2 + static_cast<std::uint32_t>(pick(8));
    engine.lane.health.connect_failures = 1 + static_cast<std::uint32_t>(pick(5));
    limits_.release.rewrite_min_sealed = 2 + pick(4);
    limits_.release.rewrite_below = 0.25 + 0.25 * static_cast<double>(pick(3));
    rots_ = one_in(8);
}

TargetSpec World::spec_of(const std::string& name)
{
    TargetSpec spec;
    spec.name = name;
    spec.kind = "webhook";
    spec.blueprint = std::make_shared<SimBlueprint>(far_, name + " revision " + std::to_string(one_in(3) ? ++revision_ : 0),
                                                    "http://" + name);
    spec.concurrency = 1 + static_cast<std::uint32_t>(pick(6));
    spec.retry.max_attempts = 2 + static_cast<std::uint32_t>(pick(6));
    spec.retry.backoff_initial = std::chrono::milliseconds{10 + pick(2000)};
    spec.retry.backoff_max = 30s;
    spec.retry.jitter = !one_in(3);
    if (one_in(3)) spec.retry.max_age = 40s;
    names_.insert(name);
    return spec;
}

RoutingVersion World::version_of(const std::vector<TargetSpec>& specs)
{
    RoutingVersion version;
    version.buses = {"default"};
    for (std::size_t rule = 0; rule < 3; ++rule)
        for (const TargetSpec& spec : specs)
            if (rule == 0 || one_in(2)) version.routes.push_back({"r" + std::to_string(rule), spec.name, {}, {}, {}, {}});
    return version;
}

void World::draw_first_table()
{
    for (std::uint64_t i = 1 + pick(4); i > 0; --i) table_.specs.push_back(spec_of("t" + std::to_string(++made_names_)));
    if (one_in(2) && table_.specs.size() > 1) table_.specs.front().dead_letter_target = table_.specs.back().name;
    table_.version = std::make_shared<const RoutingVersion>(version_of(table_.specs));
}

// --- lives ------------------------------------------------------------------------------------------

void World::start()
{
    note("start");
    if (options_.trace)
        for (const std::string& path : disk_.paths())
            options_.trace("    " + path + ": " + std::to_string(disk_.size_of(path)) + " bytes");
    main_busy_ = true;
    former_ = {};
    if (!calm_ && one_in(6)) disk_.cut_after = 1 + pick(60);
    life_ = std::make_unique<Life>(clock_, [this] { return go_on(); });
    life_->line = std::make_unique<Pipeline>(Pipeline::Place{
        disk_, clock_, chance_, life_->io, life_->waits,
        [life = life_.get()](std::function<void()> work) { life->control.push_back(std::move(work)); }});
    const Pipeline::Makers makers{
        [this](StateOptions options) -> Result<std::unique_ptr<State>> {
            options.batch_max = 20 + pick(200);
            EVENTYARD_TRY(opened, open_or_salvage(disk_, options.path, clock_.wall()));
            EVENTYARD_TRY(snapshot, opened.store->snapshot());
            if (opened.report.set_aside) coverage_.count("recovery: state.db was set aside");
            if (opened.report.created && book_.life() > 0) coverage_.count("recovery: state.db was made again");
            auto state = std::make_unique<SimState>(disk_, clock_, std::move(options), std::move(opened),
                                                    std::move(snapshot), wires_);
            life_->state = state.get();
            return std::unique_ptr<State>(std::move(state));
        },
        [this](JournalOptions options, JournalMarks marks) -> Result<std::unique_ptr<Journal>> {
            if (options_.plant == Plant::sequence_reused) marks.reserved = 0;
            EVENTYARD_TRY(log, Log::open(disk_, clock_, chance_, options, marks));
            const RecoveryReport& report = log->recovery();
            if (report.torn_bytes > 0) coverage_.count("recovery: a torn tail was cut");
            if (report.rebuilt_indexes > 0) coverage_.count("recovery: an index was rebuilt");
            if (!report.damaged.empty()) coverage_.count("recovery: damage was found");
            if (report.store_mismatch) coverage_.count("recovery: journal and state do not match");
            auto journal = std::make_unique<SimJournal>(std::move(log), clock_, std::move(options), marks.reserved, wires_);
            life_->journal = journal.get();
            return std::unique_ptr<Journal>(std::move(journal));
        }};
    Result<void> opened = life_->line->open(limits_, makers);
    if (opened.has_value() && !disk_.frozen()) {
        book_.begin_life(life_->state->snapshot());
        book_.recovered([this](Sequence sequence) { return life_->journal->look_up(sequence); });
        auto stored = life_->line->journal().store_version(*table_.version);
        if (stored.has_value()) {
            table_.version = *stored;
            opened = life_->line->start(table_.specs);
            life_->started = opened.has_value();
        } else {
            opened = stored.error();
        }
    }
    main_busy_ = false;
    if (disk_.frozen()) return crash("during the start");
    disk_.cut_after = 0;
    if (opened.has_value()) return;
    note("the start failed: " + opened.error().what);
    coverage_.count("start failed");
    if (calm_) book_.violated("a start on a disk without faults failed: " + opened.error().what);
    end_life();
    book_.end_life(true);
    down_until_ = clock_.steady() + std::chrono::milliseconds{pick(10'000)};
}

void World::end_life()
{
    far_->flights.clear();
    life_.reset();
    busy_.fill(false);
}

void World::crash(const char* how)
{
    note(std::string{"crash "} + how);
    coverage_.count("crashes");
    if (life_ && life_->started)
        life_->line->engine().look_at(
            [&](const Lane& lane, Sequence, const std::vector<Change>&) { book_.check_repeats(lane); });
    disk_.freeze();
    end_life();
    disk_.power_on();
    book_.end_life(true);
    if (options_.plant == Plant::stale_frame) revive_frames();
    late_known_.reset();
}

void World::stop_cleanly()
{
    note("stop");
    coverage_.count("clean stops");
    main_busy_ = true;
    life_->line->stop_lanes(2s);
    while (!life_->control.empty()) {
        life_->control.front()();
        life_->control.pop_front();
    }
    life_->line->stop_state();
    main_busy_ = false;
    if (disk_.frozen()) return crash("during a stop");
    end_life();
    book_.end_life(!calm_);  // in a storm the grace may be over before all is stored
}

// --- steps ------------------------------------------------------------------------------------------

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
        case Actor::state: worked = life.state && life.state->work(life.state->has_work() && one_in(3)); break;
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
        stored->event.body = "{\"n\":\"" + std::string(pick(one_in(20) ? 3000 : 200), 'x') + "\"}";
        stored->version = version;
        for (std::uint32_t route = 0; route < version->routes.size(); ++route)
            if (one_in(3)) stored->routes.push_back(route);
        if (stored->routes.empty())
            stored->routes.push_back(static_cast<std::uint32_t>(pick(version->routes.size())));
        unit.events.push_back(std::move(stored));
    }
    const std::uint64_t number = ++units_;
    note("unit " + std::to_string(number) + " of " + std::to_string(unit.events.size()));
    book_.submitted_unit(number, unit.events);
    unit.done = [this, number](const Result<CommitResult>& result) {
        if (disk_.frozen()) return;
        note("unit " + std::to_string(number) +
             (result.has_value() ? " accepted at " + std::to_string(result->first) : ": " + result.error().what));
        if (!result.has_value()) coverage_.count("ingest: a unit was refused or uncertain");
        book_.answered_unit(number, result);
    };
    life_->journal->submit(std::move(unit));
}

void World::arrived(Flight& flight)
{
    if (disk_.frozen()) return;
    note("attempt " + std::to_string(flight.number) + " at " + flight.target + ": " + flight.rule + " -> " + flight.of);
    book_.attempted(flight.event, flight.rule, flight.of, flight.target);
}

void World::answer(std::size_t place, Outcome outcome, bool took)
{
    const Flight flight = std::move(far_->flights[place]);
    far_->flights.erase(far_->flights.begin() + static_cast<std::ptrdiff_t>(place));
    const bool told = outcome.verdict == Verdict::delivered;
    note("attempt " + std::to_string(flight.number) + ": " + (told ? "delivered" : outcome.detail));
    if (!disk_.frozen()) book_.attempt_ended(flight.event, flight.rule, flight.of, flight.target, took, told);
    flight.answer(std::move(outcome));
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

std::optional<Error> World::disk_fault(Call call, const std::string& path)
{
    if (!disk_fault_ || disk_fault_->times == 0) return std::nullopt;
    DiskFault& fault = *disk_fault_;
    if (fault.call ? *fault.call != call : (call == Call::read || call == Call::open)) return std::nullopt;
    if (!path.starts_with(fault.below)) return std::nullopt;
    if (fault.times != UINT64_MAX) --fault.times;
    coverage_.count(fault.call == Call::read ? "disk: a read failed" : "disk: a change failed");
    return fail(fault.code, "'" + path + "': " + (fault.code == Errc::no_space ? "no space left on device" : "input/output error"));
}

void World::draw_disk_fault()
{
    disk_heals_ = clock_.steady() + std::chrono::milliseconds{pick(20'000)};
    if (one_in(4)) {
        note("the disk is full");
        coverage_.count("fault: disk full");
        disk_.full = true;
        return;
    }
    DiskFault fault;
    static const std::array<std::optional<Call>, 6> calls{Call::sync, Call::sync, Call::write, Call::read, Call::sync_directory,
                                                          std::nullopt};
    fault.call = calls[pick(calls.size())];
    fault.below = one_in(3) ? data_dir : one_in(2) ? data_dir + "/journal" : data_dir + "/state.db";
    const std::uint64_t kind = pick(4);
    fault.times = kind < 2 ? 1 : kind == 2 ? 1 + pick(4) : UINT64_MAX;
    static const std::array<const char*, 4> names{"fault: EIO once", "fault: EIO once", "fault: EIO, then success",
                                                  "fault: EIO for ever"};
    coverage_.count(names[kind]);
    note(std::string{names[kind]} + " below " + fault.below);
    disk_fault_ = fault;
}

void World::operate()
{
    if (names_.empty()) return;
    const std::string name = *std::next(names_.begin(), static_cast<std::ptrdiff_t>(pick(names_.size())));
    Engine& engine = life_->line->engine();
    switch (pick(4)) {
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
            if (one_in(2)) life_->line->release_segments();
        });
        if (one_in(4)) life_->journal->chores_due();
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

void World::check()
{
    if (!life_ || !life_->started || !right()) return;
    const LaneLimits& limits = limits_.engine.lane;
    life_->line->engine().look_at([&](const Lane& lane, Sequence seen, const std::vector<Change>& unflushed) {
        book_.check_lane(lane, seen, unflushed);
        const auto bound = [&](const char* what, std::uint64_t is, std::uint64_t most) {
            if (is > most)
                book_.violated(std::string{what} + " of '" + lane.target() + "': " + std::to_string(is) + " of at most " +
                               std::to_string(most));
        };
        bound("window", lane.window().held(), limits.window.deliveries + limits.window.read_items);
        bound("retries in memory", lane.schedule().held(), 2 * limits.retries + 16);
        bound("uncommitted", lane.uncommitted(), limits.uncommitted_max + limits.window.deliveries);
        bound("in flight", lane.in_flight(), 16);
    });
    const std::uint64_t queued = life_->journal->stats().queued_bytes;
    if (queued > limits_.journal.max_queued_bytes + (16U << 10)) book_.violated("the journal's queue exceeds its bound");
}

// --- the end ----------------------------------------------------------------------------------------

void World::heal()
{
    note("all faults stop");
    calm_ = true;
    disk_fault_.reset();
    disk_.full = false;
    disk_.cut_after = 0;
    moods_.clear();
    clock_.wall_stands = false;
}

bool World::drained()
{
    std::uint64_t pending = 0;
    life_->line->engine().look_at([&](const Lane& lane, Sequence seen, const std::vector<Change>&) {
        pending += lane.pending().sum() + lane.uncommitted() + (lane.forwards_waiting() > 0 ? 1 : 0);
        if (seen < life_->journal->synced()) ++pending;
    });
    return pending == 0 && far_->flights.empty() && life_->journal->stats().queued_bytes == 0;
}

void World::settle()
{
    heal();
    if (!life_) start();
    if (!life_ || !right()) return;
    Table all;
    for (const std::string& name : names_) all.specs.push_back(spec_of(name));
    bool reloaded = false;
    for (std::uint64_t round = 0; right(); ++round) {
        if (round > 20'000) return book_.violated("nothing moves any more, and not everything has ended");
        if (!reloaded && round % 50 == 0) {
            Table wanted = all;
            const auto before = coverage_.counts();
            restart_targets(wanted);
            reloaded = table_.specs.size() == names_.size();
        }
        if (round % 10 == 0) {
            for (const std::string& name : names_) (void)life_->line->engine().resume(name);
            life_->journal->chores_due();
        }
        bool worked = false;
        for (int i = 0; i < 20 && !far_->flights.empty(); ++i) answer_attempt();
        for (int i = 0; i < 20; ++i) worked = run_any(true) || worked;
        check();
        if (worked) continue;
        if (reloaded && drained()) break;
        pass_to_next_alarm();
    }
    if (!right()) return;
    stop_cleanly();
    if (!right()) return;
    auto opened = open_or_salvage(disk_, data_dir + "/state.db", clock_.wall());
    if (!opened.has_value()) return book_.violated("the state cannot be opened in the end: " + opened.error().what);
    const auto rows = opened->store->ledger();
    if (!rows.has_value()) return book_.violated("the ledger cannot be read in the end");
    book_.check_ledger(*rows);
}

// --- rot --------------------------------------------------------------------------------------------

/// One bit of a file flips. Which events were hit is known; of a state that forgets, less is asked.
void World::rot()
{
    std::vector<std::string> paths;
    for (const std::string& path : disk_.paths())
        if (disk_.size_of(path) > 0 && !path.ends_with(".b") && path.find("/spare-") == std::string::npos &&
            path.find("quarantine") == std::string::npos)
            paths.push_back(path);
    if (paths.empty()) return;
    const std::string& path = paths[pick(paths.size())];
    const bool of_journal = path.starts_with(data_dir + "/journal");
    const std::uint64_t at = pick(disk_.size_of(path));
    const std::string content = disk_.content(path);
    if (const auto segment = parse_segment_name(path.substr(path.rfind('/') + 1))) {
        const auto file = disk_.open(path, OpenMode::read);
        const Scan scan = scan_segment(**file, content.size(), segment->second);
        for (const ScannedEvent& event : scan.events)
            if (at >= event.offset && at < event.offset + event.size) book_.hit.insert(event.sequence);
        coverage_.count("rot: in a segment");
    } else if (of_journal) {
        coverage_.count("rot: in a routing version");
    } else {
        book_.forgetful = true;
        coverage_.count("rot: in the state");
    }
    note("a bit flips in " + path + " at " + std::to_string(at));
    const char flipped = static_cast<char>(content[static_cast<std::size_t>(at)] ^ (1 << pick(8)));
    disk_.patch(path, at, {&flipped, 1});
}

// --- planted mistakes -------------------------------------------------------------------------------

void World::plant()
{
    disk_.renamed = [this](const std::string& from, const std::string& to) { recycled(from, to); };
    switch (options_.plant) {
        case Plant::none:
        case Plant::stale_frame: break;                      // revive_frames()
        case Plant::sync_skipped: disk_.skip_sync_below = data_dir + "/journal"; break;
        case Plant::sequence_reused: wires_.no_reservations = true; break;
        case Plant::released_unsynced: disk_.skip_sync_below = data_dir + "/state.db"; break;
        case Plant::sync_retried: disk_.retry_failed_sync = true; break;
        case Plant::new_cursor_at_end: wires_.instead = [this](auto& state, auto& changes, auto& durable) {
                return hold_new_cursors(state, changes, durable);
            }; break;
        case Plant::cursor_early: wires_.instead = [this](auto& state, auto& changes, auto& durable) {
                return send_cursors_first(state, changes, durable);
            }; break;
        case Plant::retry_dropped: wires_.instead = [this](auto&, auto& changes, auto&) {
                std::erase_if(changes, [this](const Change& change) {
                    return drop_retries_ > 0 && std::holds_alternative<Retrying>(change) && drop_retries_-- > 0;
                });
                return false;
            }; break;
    }
}

/// Positions go to the state ahead of what they vouch for.
bool World::send_cursors_first(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable)
{
    std::vector<Change> cursors, rest;
    for (Change& change : changes)
        (std::holds_alternative<CursorMoved>(change) ? cursors : rest).push_back(std::move(change));
    if (cursors.empty() || rest.empty()) {
        changes = cursors.empty() ? std::move(rest) : std::move(cursors);
        return false;
    }
    auto& real = static_cast<SimState&>(state);
    real.pass_on(std::move(cursors), [&real, rest, durable](const Result<void>& result) {
        if (result.has_value()) real.pass_on(rest, durable);
        else if (durable) durable(result);
    });
    return true;
}

/// A new target's cursor is stored later than the table takes effect, and says where the journal ends then.
bool World::hold_new_cursors(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable)
{
    if (changes.size() != 1 || !life_ || !life_->started) return false;
    const auto* known = std::get_if<TargetKnown>(&changes.front());
    if (!known) return false;
    (void)state;
    late_known_ = {clock_.steady() + 100ms, *known};
    if (durable) durable(Result<void>{});
    return true;
}

/// Segments that are used again, with the id of their former life.
void World::recycled(const std::string& from, const std::string& to)
{
    const auto name_of_path = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
    if (const auto was = parse_segment_name(name_of_path(from))) former_ids_[to] = was->second;
    else if (const auto spare = former_ids_.find(from); spare != former_ids_.end()) former_ids_[to] = spare->second;
    if (parse_segment_name(name_of_path(from)) && name_of_path(to).starts_with("spare-"))
        coverage_.count("journal: a segment was recycled");
}

/// What a journal would do that does not tell frames of a file's former life from those of this one.
void World::revive_frames()
{
    for (const std::string& path : disk_.paths()) {
        const auto name = parse_segment_name(path.substr(path.rfind('/') + 1));
        const auto former = former_ids_.find(path);
        if (!name || former == former_ids_.end()) continue;
        const auto file = disk_.open(path, OpenMode::read);
        const std::uint64_t size = disk_.size_of(path);
        const Scan live = scan_segment(**file, size, name->second);
        const Scan stale = scan_segment(**file, size, former->second);
        if (live.events.empty()) continue;
        Sequence sequence = live.events.back().sequence;
        const FrameSeed seed{name->second};
        for (const ScannedEvent& event : stale.events) {
            if (event.offset < live.end || event.unit_size != 1 || !event.intact()) continue;
            const std::string content = disk_.content(path);
            const auto read = decode_event({content.data() + event.offset, static_cast<std::size_t>(event.size)},
                                           FrameSeed{former->second}.at(event.offset), event.sequence);
            if (!read.has_value()) continue;
            std::string bytes;
            FrameWriter{bytes, seed, event.offset}.event(++sequence, 0, 1, read->meta, read->body);
            disk_.patch(path, event.offset, bytes);
            coverage_.count("plant: a stale frame lives again");
        }
    }
}

}  // namespace

RunResult run(const RunOptions& options) { return World{options}.go(); }

const char* name_of(Plant plant) noexcept
{
    switch (plant) {
        case Plant::none: break;
        case Plant::sync_skipped: return "sync_skipped";
        case Plant::stale_frame: return "stale_frame";
        case Plant::sequence_reused: return "sequence_reused";
        case Plant::released_unsynced: return "released_unsynced";
        case Plant::sync_retried: return "sync_retried";
        case Plant::new_cursor_at_end: return "new_cursor_at_end";
        case Plant::cursor_early: return "cursor_early";
        case Plant::retry_dropped: return "retry_dropped";
    }
    return "none";
}

std::optional<Plant> plant_of(const std::string& name)
{
    for (int i = 0; i <= static_cast<int>(Plant::retry_dropped); ++i)
        if (name == name_of(static_cast<Plant>(i))) return static_cast<Plant>(i);
    return std::nullopt;
}

}  // namespace eventyard::sim
