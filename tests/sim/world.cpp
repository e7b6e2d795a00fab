#include "tests/sim/world.hpp"

#include <algorithm>

#include "tests/sim/sqlite_vfs.hpp"

namespace eventyard::sim {

using namespace std::chrono_literals;

World::World(const RunOptions& options)
    : options_(options), dice_(options.seed * 0x9e3779b97f4a7c15ULL + 1), chance_(options.seed ^ 0x5deece66dULL),
      disk_random_(options.seed + 77), inputs_(options.seed + 99), keys_(options.seed + 111), disk_(disk_random_, coverage_), book_(coverage_)
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

RunResult World::go()
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

void World::draw_limits()
{
    limits_.data_dir = data_dir;
    limits_.journal.segment_size = 8192 + 4096 * pick(8);
    limits_.journal.min_free = 1;
    limits_.journal.spare_segments = static_cast<std::uint32_t>(pick(4));
    limits_.journal.max_queued_bytes = 64U << 10;
    EngineOptions& engine = limits_.engine;
    engine.window_bytes = 8U << 20;
    engine.flush_changes = 1 + pick(64);
    engine.lane.window = {4 + pick(30), 1U << 16, 1 + pick(12), 1U << 14};
    engine.lane.window.fresh = 1 + engine.lane.window.deliveries / 3;
    engine.lane.window.fresh_ahead = 2 * engine.lane.window.deliveries;
    engine.lane.retries = 2 + pick(8);
    engine.lane.uncommitted_max = 4 + pick(60);
    engine.lane.letter_bytes_max = 1U << (9 + pick(8));
    order_offset_ = pick(21);
    breaker_.failures = 2 + static_cast<std::uint32_t>(pick(8));
    breaker_.connect_failures = 1 + static_cast<std::uint32_t>(pick(5));
    limits_.release.rewrite_min_sealed = 2 + pick(4);
    limits_.release.rewrite_below = 0.25 + 0.25 * static_cast<double>(pick(3));
    keys_max_ = keys_.next() % 3 == 0 ? 2 : 1000;
    limits_.once = [this](const StoredEvent& event) { return once_of(event.event); };
    limits_.once_longest = key_window;
    rots_ = one_in(8);
    if (one_in(3)) disk_.free = limits_.journal.segment_size / 2;  // recycles, since it cannot prepare
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
    spec.breaker = breaker_;
    // Of a name always the same: what changes its mind promises no order for what waits already.
    const std::uint64_t number = std::strtoull(name.c_str() + 1, nullptr, 10) + order_offset_;
    if (number % 3 == 0) spec.order.order = Order::key;
    if (number % 7 == 0) spec.order.order = Order::strict;
    if (spec.order.order != Order::none) book_.order[name] = spec.order.order;
    spec.order.key = "$.k";
    spec.order.parked_max = 2 + static_cast<std::uint32_t>(pick(6));
    if (spec.order.order != Order::strict && one_in(3))
        spec.batch = {2 + static_cast<std::uint32_t>(pick(batch_max - 1)), 50 + pick(1000),
                      one_in(3) ? Duration{std::chrono::milliseconds{pick(3000)}} : Duration{0}};
    if (one_in(4)) spec.rate = {1.0 + static_cast<double>(pick(50)), 1 + static_cast<std::uint32_t>(pick(5))};
    if (one_in(5)) {
        spec.budget.bytes = 300 + pick(3000);
        book_.budgets.insert(name);
    }
    names_.insert(name);
    return spec;
}

RoutingVersion World::version_of(const std::vector<TargetSpec>& specs)
{
    RoutingVersion version;
    version.buses = {"default"};
    for (std::size_t rule = 0; rule < 3; ++rule)
        for (const TargetSpec& spec : specs)
            if (rule == 0 || one_in(2)) {
                RouteExtras extras;
                if (one_in(6)) extras.delay = std::chrono::milliseconds{10 + pick(20'000)};
                if (one_in(6)) extras.deliver_at = "$.at";
                if (one_in(6)) extras.expire_after = extras.delay + std::chrono::milliseconds{10 + pick(60'000)};
                extras.input = draw_input();
                version.routes.push_back("r" + std::to_string(rule), spec.name, extras);
            }
    return version;
}

/// Of every three routes one has an input, no two the same. Book::sent_of() knows them.
Input World::draw_input()
{
    const std::string number = std::to_string(++made_inputs_);
    const auto kind = inputs_.next() % 9;
    if (kind > 2) return {};
    const std::string text = kind == 0   ? Input::constant_text("{\"v\":" + number + "}")
                             : kind == 1 ? Input::path_text("$.n")
                                         : Input::template_text({{"n", "$.n"}}, "{\"v\":" + number +
                                                                                   ", \"n\": <n>, \"r\": \"of <aws.events.rule-name>\"}");
    return *Input::parse(text);
}

/// Of events with a "d", no two with the same are taken within the window.
std::optional<Uniqueness> World::once_of(const eventyard::Event& event) const
{
    const std::string start = "\"d\":";
    const auto at = event.body.find(start);
    if (at == std::string::npos) return std::nullopt;
    Uniqueness once;
    once.key[0] = 1;
    once.key[1] = static_cast<std::uint8_t>(event.body[at + start.size()]);
    once.until = event.received + key_window;
    once.keys_max = keys_max_;
    return once;
}

void World::draw_first_table()
{
    for (std::uint64_t i = 1 + pick(4); i > 0; --i) table_.specs.push_back(spec_of("t" + std::to_string(++made_names_)));
    if (one_in(2) && table_.specs.size() > 1) table_.specs.front().dead_letter_target = table_.specs.back().name;
    table_.version = std::make_shared<const RoutingVersion>(version_of(table_.specs));
}

void World::start()
{
    note("start");
    if (options_.trace)
        for (const std::string& path : disk_.paths())
            options_.trace("    " + path + ": " + std::to_string(disk_.size_of(path)) + " bytes");
    main_busy_ = true;
    former_ = {};
    if (!calm_ && rots_ && book_.life() > 0 && one_in(12)) lose_state();
    if (!calm_ && one_in(6)) disk_.cut_after = 1 + pick(60);
    life_ = std::make_unique<Life>(clock_, [this] { return go_on(); });
    life_->line = std::make_unique<Pipeline>(Pipeline::Place{
        disk_, clock_, chance_, life_->io, life_->waits,
        [life = life_.get()](std::function<void()> work) { life->control.push_back(std::move(work)); }});
    const Pipeline::Makers makers{
        [this](StateOptions options) -> Result<std::unique_ptr<State>> {
            options.batch_max = 20 + pick(200);
            EVENTYARD_TRY(opened, open_or_salvage(disk_, options.path, clock_.wall()));
            if (opened.report.set_aside) coverage_.count("recovery: state.db was set aside");
            if (opened.report.created && book_.life() > 0) coverage_.count("recovery: state.db was made again");
            auto state = std::make_unique<SimState>(disk_, clock_, std::move(options), std::move(opened), wires_);
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
    const auto refused = [this] {
        const auto found = coverage_.counts().find("disk: no space");
        return found == coverage_.counts().end() ? 0 : found->second;
    };
    const std::uint64_t refused_before = refused();
    Result<void> opened = life_->line->open(limits_, makers);
    if (opened.has_value() && !disk_.frozen()) {
        check_forgotten();
        book_.begin_life(life_->state->snapshot());
        book_.recovered([this](Sequence sequence) { return life_->journal->look_up(sequence); },
                        refused() > refused_before);
        auto stored = life_->line->journal().store_version(*table_.version);
        if (stored.has_value()) {
            table_.version = *stored;
            opened = life_->line->start(table_.specs);
            life_->started = opened.has_value();
            if (life_->started)
                life_->deliveries = std::make_unique<DeliveryDesk>(life_->line->journal(), life_->line->state(), delivery_hooks());
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
        bound("settled ahead", lane.window().settled_ahead(), limits.window.settled_ahead);
        if (!lane.window().following() && lane.window().settled_ahead() > 0)
            coverage_.count("lane: new deliveries go before old ones (steps)");
        bound("retries in memory", lane.schedule().held(), 2 * limits.retries + 16 * batch_max);
        // Behind a target that is down all that is overdue of a window ends at once.
        bound("uncommitted", lane.uncommitted(), limits.uncommitted_max + limits.window.deliveries + limits.window.read_items);
        bound("in flight", lane.in_flight(), 16 * batch_max);
    });
    if (life_->state->stats().damaged && !book_.forgetful) book_.violated("state.db is damaged, and nothing hit it");
    const std::uint64_t queued = life_->journal->stats().queued_bytes;
    if (queued > limits_.journal.max_queued_bytes + (16U << 10)) book_.violated("the journal's queue exceeds its bound");
}

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
    return pending == 0 && !book_.moving() && far_->flights.empty() && life_->journal->stats().queued_bytes == 0;
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
            restart_targets(wanted);
            reloaded = table_.specs.size() == names_.size();
        }
        if (life_->state->stats().damaged) {
            crash("so that the next start saves what is intact of state.db");
            start();
            if (!life_ || !right()) return;
            reloaded = false;
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

RunResult run(const RunOptions& options) { return World{options}.go(); }

}  // namespace eventyard::sim
