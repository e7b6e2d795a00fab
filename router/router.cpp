#include "router/router_parts.hpp"

#include <malloc.h>

#include <algorithm>
#include <future>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds totals_interval{50};
constexpr std::chrono::milliseconds received_interval{1000};
constexpr std::chrono::seconds release_interval{2};
constexpr std::chrono::milliseconds past_interval{20};
constexpr int past_steps = 16;  // of replays, before archives get their turn

std::vector<TargetSpec> specs_of(const RouteTable& table)
{
    std::vector<TargetSpec> specs;
    for (const auto& [name, spec] : table.targets) specs.push_back(spec);
    return specs;
}

std::uint32_t thread_count(const ProcessOptions& process)
{
    if (process.threads > 0) return process.threads;
    return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

RouterParts::RouterParts(Disk& disk, const Clock& clock, Random& random, RouterHooks hooks, std::uint32_t threads)
    : disk_(disk), clock_(clock), random_(random), hooks_(std::move(hooks)), started_(clock.wall()),
      io_(threads), control_work_(asio::make_work_guard(control_)), totals_timer_(control_),
      admin_server_(control_, admin::make_handler(*this)), pings_(threads)
{
}

RouterParts::~RouterParts()
{
    if (!stopped_) stop();
}

Result<void> RouterParts::open(std::shared_ptr<RouteTable> table)
{
    const ProcessOptions& process = table->process;
    started_with_ = process;
    data_dir_ = process.data_dir;
    Pipeline::Options options;
    options.data_dir = data_dir_;
    options.journal.segment_size = process.segment_size;
    options.journal.min_free = process.min_free;
    for (const auto& [name, bus] : table->buses)
        if (bus.dedup) options.once_longest = std::max(options.once_longest, bus.dedup->window);
    if (options.once_longest > Duration{0}) options.once = [table, document = std::make_shared<json::Document>()](const StoredEvent& stored) {
        return uniqueness_of(*table, stored, *document);
    };
    EVENTYARD_CHECK(line_.open(std::move(options), Pipeline::threaded(place_)));
    EVENTYARD_TRY(version, line_.journal().store_version(*table->version));
    table->version = std::move(version);

    io_.start();
    EVENTYARD_CHECK(line_.start(specs_of(*table)));
    reserve_ = std::make_unique<Reserve>(disk_, data_dir_, table->process.min_free);
    desk_ = std::make_unique<DeadLetterDesk>(line_.state(), clock_, desk_hooks());
    desk_->start();
    deliveries_ = std::make_unique<DeliveryDesk>(line_.journal(), line_.state(), delivery_hooks());
    backup_ = std::make_unique<BackupDesk>(disk_, clock_, line_.journal(), line_.state(), data_dir_, backup_hooks());
    put_in_effect(std::move(table));
    archives_ = std::make_unique<ArchiveDesk>(disk_, clock_, line_.journal(), data_dir_);
    replays_ = std::make_unique<ReplayDesk>(disk_, clock_, random_, line_.journal(), *archives_, data_dir_);
    EVENTYARD_CHECK(replays_->start());
    eraser_ = std::make_unique<EraseDesk>(disk_, waits_, line_.journal(), line_.state(), *archives_, data_dir_, erase_hooks());
    past_ = std::make_unique<Worker>([this] { tend_past(); }, past_interval);

    ingest_ = std::make_unique<IngestServer>(io_, line_.journal(), [this] { return table_.get(); }, clock_, random_);
    const RouteTablePtr current = table_.get();
    EVENTYARD_CHECK(ingest_->listen(current->process.listen_http));
    EVENTYARD_CHECK(admin_server_.listen(current->process.listen_admin));
    admin_address_ = admin_server_.address();
    arm_totals();
    control_thread_ = std::thread([this] { control_.run(); });
    ready_ = true;
    return {};
}

// --- Router ----------------------------------------------------------------------------------
Result<std::uint64_t> RouterParts::replace(std::shared_ptr<RouteTable> table)
{
    const RouteTablePtr old = table_.get();
    const std::lock_guard lock{engine_mutex_};
    EVENTYARD_TRY(version, line_.prepare(specs_of(*table), *table->version));
    table->version = std::move(version);
    if (auto moved = move_listeners(old->process, table->process); !moved.has_value()) {
        line_.abandon();
        return moved.error();
    }
    line_.commit();
    put_in_effect(std::move(table));
    for (const std::string& key : waits_for_start())
        log::warn("config", "this change takes effect at the next start only", {{"key", key}});
    return table_.get()->generation;
}

void RouterParts::note_reload(const ReloadResult& result)
{
    const std::lock_guard lock{mutex_};
    ++reloads_;
    if (!result.ok) ++reloads_failed_;
    last_reload_ = result;
    last_reload_at_ = clock_.wall();
}

std::string RouterParts::admin_address() const
{
    const std::lock_guard lock{mutex_};
    return admin_address_;
}

bool RouterParts::alive()
{
    bool all = true;
    for (std::size_t i = 0; i < pings_.size(); ++i) {
        if (pings_[i].exchange(true)) {
            all = false;  // the last one was not answered
            continue;
        }
        asio::post(io_.at(i), [this, i] { pings_[i] = false; });
    }
    return all;
}

void RouterParts::stop()
{
    if (std::exchange(stopped_, true)) return;
    ready_ = false;
    const RouteTablePtr current = table_.get();
    const Duration grace = current ? current->process.shutdown_grace : Duration{0};
    if (ingest_ && !ingest_->stop(grace)) log::warn("ingest", "requests were cut off at the end of shutdown_grace");
    if (past_) past_->stop();  // while the journal still answers
    line_.stop_lanes(grace);
    stop_control();
    if (freer_.joinable()) freer_.join();
    hand_over_received();
    line_.stop_state();
    io_.finish();
}

void RouterParts::put_in_effect(std::shared_ptr<RouteTable> table)
{
    table->generation = ++generation_;
    table->loaded = clock_.wall();
    table_.set(std::move(table));
    for (std::size_t i = 0; i < io_.size(); ++i)
        asio::post(io_.at(i), [this] { (void)table_.get(); });
    asio::post(control_, [this] { (void)table_.get(); });
}

Result<void> RouterParts::move_listeners(const ProcessOptions& old, const ProcessOptions& wanted)
{
    if (wanted.listen_http != old.listen_http) EVENTYARD_CHECK(ingest_->listen(wanted.listen_http));
    if (wanted.listen_admin == old.listen_admin) return {};
    std::promise<Result<void>> moved;
    auto outcome = moved.get_future();
    asio::post(control_, [this, &moved, &wanted] {
        auto result = admin_server_.listen(wanted.listen_admin);
        {
            const std::lock_guard lock{mutex_};
            admin_address_ = admin_server_.address();
        }
        moved.set_value(std::move(result));
    });
    auto result = outcome.get();
    if (!result.has_value() && wanted.listen_http != old.listen_http)
        (void)ingest_->listen(old.listen_http);  // back to where it was
    return result;
}

std::vector<std::string> RouterParts::waits_for_start() const
{
    const RouteTablePtr table = table_.get();
    const ProcessOptions& wanted = table->process;
    std::vector<std::string> keys;
    if (started_with_.data_dir != wanted.data_dir) keys.emplace_back("data_dir");
    if (started_with_.threads != wanted.threads) keys.emplace_back("threads");
    if (started_with_.segment_size != wanted.segment_size) keys.emplace_back("journal.segment_size");
    if (started_with_.min_free != wanted.min_free) keys.emplace_back("journal.min_free");
    return keys;
}

/// Lanes hand over what they settled, so that positions are as new as they can be; then `done`, on the control thread.
void RouterParts::gather(std::function<void()> done)
{
    line_.engine().status([this, done = std::move(done)](const std::vector<TargetStatus>&) {
        asio::post(control_, [this, done] {
            line_.hand_over_totals();
            done();
        });
    });
}

/// All of it on the control thread.
BackupDesk::Hooks RouterParts::backup_hooks()
{
    BackupDesk::Hooks hooks;
    hooks.post = [this](std::function<void()> work) { asio::post(control_, std::move(work)); };
    hooks.gather = [this](std::function<void()> done) { gather(std::move(done)); };
    hooks.hold = [this] { return line_.hold_segments(); };
    hooks.let_go = [this] { line_.let_segments_go(); };
    return hooks;
}

/// All of it on the control thread.
DeliveryDesk::Hooks RouterParts::delivery_hooks()
{
    DeliveryDesk::Hooks hooks;
    hooks.post = [this](std::function<void()> work) { asio::post(control_, std::move(work)); };
    hooks.views = [this](const std::string& target, std::function<void(std::vector<LaneView>)> done) {
        line_.engine().views(target, std::move(done));
    };
    hooks.act = [this](const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                       const std::function<void(Result<Acted>)>& done) {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        if (!lock) return done(reloading().error());
        if (!line_.engine().act(target, what, std::move(picked), done)) done(known(target, false).error());
    };
    hooks.move = [this](const std::string& from, const std::string& to, std::vector<PickedDelivery> picked,
                        const std::function<void(Result<Acted>)>& done) {
        turns_.take([=, this, picked = std::move(picked)]() mutable {
            const auto over = [this, done](Result<Acted> acted) {
                asio::post(control_, [this] { turns_.end(); });
                done(std::move(acted));
            };
            const std::unique_lock lock{engine_mutex_, std::try_to_lock};
            if (!lock) return over(reloading().error());
            if (!line_.engine().move(from, to, std::move(picked), over)) over(known(from, false).error());
        });
    };
    return hooks;
}

/// All of it on the thread of the past, which no reload waits for.
EraseDesk::Hooks RouterParts::erase_hooks()
{
    EraseDesk::Hooks hooks;
    hooks.stopping = [this] { return !ready_; };
    hooks.hold = [this] { return line_.hold_segments(); };
    hooks.let_go = [this] { line_.let_segments_go(); };
    hooks.discard = [this](const std::string& target, std::vector<PickedDelivery> picked,
                           const std::function<void(Result<Acted>)>& done) {
        const std::lock_guard lock{engine_mutex_};
        if (!line_.engine().act(target, DeliveryAct::discard, std::move(picked), done)) done(known(target, false).error());
    };
    hooks.drop_copies = [this](const Id& event, std::function<void(std::uint64_t)> done) {
        line_.engine().drop_copies(event, std::move(done));
    };
    hooks.read_anew = [this] { replays_->read_anew(); };
    return hooks;
}

/// All of it on the control thread.
DeadLetterDesk::Hooks RouterParts::desk_hooks()
{
    DeadLetterDesk::Hooks hooks;
    hooks.post = [this](std::function<void()> work) { asio::post(control_, std::move(work)); };
    hooks.served = [this](const std::string& target) { return served(target); };
    hooks.redrive = [this](std::string target, std::vector<RetryRow> rows, std::function<void(Result<void>)> done) {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        if (!lock) return done(reloading());
        if (!line_.engine().redrive(target, std::move(rows), done)) done(known(target, false));
    };
    hooks.standstill = [this](std::string target, std::function<void(std::string)> done) {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        if (!lock) return done({});
        line_.engine().status([target = std::move(target), done = std::move(done)](const std::vector<TargetStatus>& targets) {
            for (const TargetStatus& one : targets) {
                if (one.name != target) continue;
                if (one.state == TargetState::paused) return done("target '" + target + "' is paused: " + one.paused_reason);
                if (one.state == TargetState::failing) return done("target '" + target + "' looks down");
            }
            done({});
        });
    };
    return hooks;
}

/// Control thread.
void RouterParts::arm_totals()
{
    totals_timer_.expires_after(totals_interval);
    totals_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (cancelled) return;
        const SteadyTime now = clock_.steady();
        const RouteTablePtr table = table_.get();
        line_.hand_over_totals();
        if (now - received_at_ >= received_interval) {
            received_at_ = now;
            hand_over_received();
        }
        if (now - release_at_ >= release_interval) {
            release_at_ = now;
            std::vector<SequenceRange> kept = replays_->kept();
            kept.push_back({archives_->through(*table), UINT64_MAX});
            line_.release_segments(kept);
            reserve_->tick(line_.state().stats().failing);
        }
        desk_->tick(table->process.dead_letters, table->dead_letter_budgets);
        backup_->tick();
        free_old_tables();
        arm_totals();
    });
}

/// On a thread that lives as long as that takes (seconds, with a million rules): admin requests wait
/// for the control thread.
void RouterParts::free_old_tables()
{
    if ((!table_.has_retired() && !just_loaded_) || freeing_.exchange(true)) return;
    just_loaded_ = false;
    if (freer_.joinable()) freer_.join();  // it has ended
    freer_ = std::thread([this] {
        table_.free_retired();
        ::malloc_trim(0);  // reading a table leaves as much free memory in pieces as it takes itself
        freeing_ = false;
    });
}

/// On the thread of the past: archives and replays, which read and write files for as long as that takes.
void RouterParts::tend_past()
{
    const RouteTablePtr table = table_.get();
    archives_->tick(*table);
    for (int steps = 0; steps < past_steps && replays_->tick(table); ++steps) continue;
}

void RouterParts::hand_over_received()
{
    if (!ingest_) return;
    std::vector<Change> changes;
    for (Received& received : ingest_->take_received()) changes.emplace_back(std::move(received));
    if (!changes.empty()) line_.state().submit(std::move(changes));
}

void RouterParts::stop_control()
{
    if (!control_thread_.joinable()) return;
    asio::post(control_, [this] {
        admin_server_.close();
        totals_timer_.cancel();
        control_work_.reset();
        control_.stop();
    });
    control_thread_.join();
    control_.restart();
    control_.poll();  // commits that were told of after the stop
}

Result<std::unique_ptr<Router>> Router::start(std::shared_ptr<RouteTable> table, Disk& disk,
                                              const Clock& clock, Random& random, RouterHooks hooks)
{
    auto router = std::make_unique<RouterParts>(disk, clock, random, std::move(hooks),
                                                thread_count(table->process));
    if (auto opened = router->open(std::move(table)); !opened.has_value()) {
        router->stop();
        return opened.error();
    }
    return std::unique_ptr<Router>(std::move(router));
}

}  // namespace eventyard::router
