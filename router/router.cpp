#include "router/router.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include <malloc.h>
#include <unistd.h>

#include "core/log.hpp"
#include "core/units.hpp"
#include "router/admin/api.hpp"
#include "router/archive_desk.hpp"
#include "router/backup.hpp"
#include "router/dead_letter_desk.hpp"
#include "router/delivery_desk.hpp"
#include "router/erase_desk.hpp"
#include "router/ingest/server.hpp"
#include "router/journal/worker.hpp"
#include "router/pipeline.hpp"
#include "router/replay_desk.hpp"
#include "router/reserve.hpp"
#include "router/table_holder.hpp"
#include "router/turns.hpp"

namespace eventyard::router {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds totals_interval{50};
constexpr std::chrono::milliseconds received_interval{1000};
constexpr std::chrono::seconds release_interval{2};
constexpr std::chrono::milliseconds past_interval{20};
constexpr int past_steps = 16;  // of replays, before archives get their turn

std::uint64_t resident_bytes()
{
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

const char* text_of(Durability durability)
{
    switch (durability) {
        case Durability::fsync: return "fsync";
        case Durability::os: return "os";
        case Durability::memory: break;
    }
    return "memory";
}

const char* text_of(Unmatched unmatched)
{
    switch (unmatched) {
        case Unmatched::drop: return "drop";
        case Unmatched::store: return "store";
        case Unmatched::refuse: break;
    }
    return "refuse";
}

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

/// The parts, in the order in which they are made; members below need those above.
class RouterParts final : public Router, public admin::Backend {
public:
    RouterParts(Disk& disk, const Clock& clock, Random& random, RouterHooks hooks, std::uint32_t threads)
        : disk_(disk), clock_(clock), random_(random), hooks_(std::move(hooks)), started_(clock.wall()),
          io_(threads), control_work_(asio::make_work_guard(control_)), totals_timer_(control_),
          admin_server_(control_, admin::make_handler(*this)), pings_(threads)
    {
    }
    ~RouterParts() override
    {
        if (!stopped_) stop();
    }

    Result<void> open(std::shared_ptr<RouteTable> table)
    {
        const ProcessOptions& process = table->process;
        data_dir_ = process.data_dir;
        Pipeline::Options options;
        options.data_dir = data_dir_;
        options.journal.segment_size = process.segment_size;
        options.journal.min_free = process.min_free;
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
        eraser_ = std::make_unique<EraseDesk>(disk_, line_.journal(), line_.state(), *archives_, data_dir_, erase_hooks());
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

    Result<std::uint64_t> replace(std::shared_ptr<RouteTable> table) override
    {
        const RouteTablePtr old = table_.get();
        const std::lock_guard lock{engine_mutex_};
        EVENTYARD_TRY(version, line_.prepare(specs_of(*table), *table->version));
        table->version = std::move(version);
        if (auto moved = move_listeners(old->process, table->process); !moved.has_value()) {
            line_.abandon();
            return moved.error();
        }
        warn_of_restart(old->process, table->process);
        line_.commit();
        put_in_effect(std::move(table));
        return table_.get()->generation;
    }

    void note_reload(const ReloadResult& result) override
    {
        const std::lock_guard lock{mutex_};
        ++reloads_;
        if (!result.ok) ++reloads_failed_;
        last_reload_ = result;
        last_reload_at_ = clock_.wall();
    }

    [[nodiscard]] RouteTablePtr table() const override { return table_.get(); }
    [[nodiscard]] std::string http_address() const override { return ingest_->address(); }
    [[nodiscard]] std::string admin_address() const override
    {
        const std::lock_guard lock{mutex_};
        return admin_address_;
    }

    bool alive() override
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

    void stop() override
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

    // --- admin::Backend --------------------------------------------------------------------------

    /// Of one cut: lanes, what they have had end, and what was routed, all behind the same commit.
    void status(std::function<void(admin::StatusReport)> done) override
    {
        struct Cut {  // control thread
            std::optional<std::vector<TargetStatus>> targets;
            std::optional<std::vector<LedgerRow>> routed;
            std::vector<EventTotals> events;
            std::function<void(admin::StatusReport)> done;
            bool in_turn = true;
        };
        const auto cut = std::make_shared<Cut>();
        cut->done = std::move(done);
        const auto whole = [this, cut] {
            if (!cut->targets || !cut->routed) return;
            if (cut->in_turn) turns_.end();
            admin::StatusReport report = look();
            report.ledger = admin::with_replays(admin::ledger_at_cut(std::move(*cut->routed), *cut->targets));
            report.targets = std::move(*cut->targets);
            report.events = std::move(cut->events);
            cut->done(std::move(report));
        };
        const auto begin = [this, cut, whole] {
            line_.between_commits([&] {
                line_.engine().status([this, cut, whole](std::vector<TargetStatus> targets) {
                    asio::post(control_, [cut, whole, targets = std::move(targets)]() mutable {
                        cut->targets = std::move(targets);
                        whole();
                    });
                });
            });
            line_.hand_over_totals();
            hand_over_received();
            // The state applies what was submitted before it reads.
            line_.state().ledger([this, cut, whole](Result<std::vector<LedgerRow>> rows, std::vector<EventTotals> events) {
                asio::post(control_, [cut, whole, rows = std::move(rows), events = std::move(events)]() mutable {
                    cut->routed.emplace();
                    if (rows.has_value()) cut->routed = std::move(*rows);
                    cut->events = std::move(events);
                    whole();
                });
            });
        };
        cut->in_turn = !line_.state().stats().failing;  // or a move that waits for a disk would keep people from seeing why
        if (cut->in_turn) turns_.take(begin);
        else begin();
    }

    [[nodiscard]] WallTime now() const override { return clock_.wall(); }
    [[nodiscard]] std::vector<std::string> not_ready() const override
    {
        std::vector<std::string> reasons;
        if (!ready_) reasons.emplace_back("starting or stopping");
        if (!line_.journal().stats().accepting)
            reasons.emplace_back("the journal accepts nothing: too little free space, or a failing disk");
        if (line_.state().stats().failing) reasons.emplace_back("state.db cannot be written");
        return reasons;
    }

    void reload(std::function<void(ReloadResult)> done) override { hooks_.request_reload(std::move(done)); }

    void pause(std::string target, std::string reason, std::function<void(Result<void>)> done) override
    {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        done(lock ? known(target, line_.engine().pause(target, std::move(reason))) : reloading());
    }
    void resume(std::string target, std::function<void(Result<void>)> done) override
    {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        done(lock ? known(target, line_.engine().resume(target)) : reloading());
    }
    void drain(std::string target, Act act, std::function<void(Result<std::uint64_t>)> done) override
    {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        if (!lock) return done(reloading().error());
        auto durable = [target, act, done](std::uint64_t left) {
            log::info("delivery", "target is to drain", {{"target", target}, {"left", left}, {"who", act.who}, {"why", act.why}});
            done(left);
        };
        if (!served(target)) {
            const bool orphaned = line_.engine().knows(target);
            return done(orphaned ? fail(Errc::conflict, "target '" + target + "' is not configured any more: nothing is sent to it")
                                 : known(target, false).error());
        }
        if (!line_.engine().drain(target, act.why, std::move(durable))) done(known(target, false).error());
    }
    void retry_now(std::string target, std::function<void(Result<void>)> done) override
    {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        done(lock ? known(target, line_.engine().retry_now(target)) : reloading());
    }
    void release_keys(std::string target, std::string order_key,
                      std::function<void(Result<std::size_t>)> done) override
    {
        const std::unique_lock lock{engine_mutex_, std::try_to_lock};
        if (!lock) return done(reloading().error());
        if (!line_.engine().release_keys(target, order_key, done)) done(known(target, false).error());
    }
    void deliveries(DeliveryFilter filter, std::string after, std::size_t limit,
                    std::function<void(Result<DeliveryPage>)> done) override
    {
        deliveries_->list(std::move(filter), std::move(after), limit, std::move(done));
    }
    void act_on_deliveries(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
                           std::function<void(Result<DeliveriesActed>)> done) override
    {
        deliveries_->act(what, std::move(filter), std::move(after), limit, std::move(act), std::move(done));
    }
    void move_deliveries(DeliveryFilter filter, std::string to, bool dry_run, std::string after, std::size_t limit, Act act,
                         std::function<void(Result<DeliveriesActed>)> done) override
    {
        if (line_.state().stats().failing) return done(fail(Errc::unavailable, "state.db cannot be written now; see the log"));
        const RouteTablePtr table = table_.get();
        const auto taker = table->targets.find(to);
        if (taker == table->targets.end()) return done(known(to, false).error());
        if (to == filter.target) return done(fail(Errc::invalid, "'" + to + "' has these deliveries already"));
        if (taker->second.order.order != Order::none)
            return done(fail(Errc::conflict, "target '" + to + "' keeps an order, in which deliveries of another target have no place: "
                                             "move them to one without 'order'"));
        line_.engine().status([=, this, filter = std::move(filter), after = std::move(after), act = std::move(act),
                               done = std::move(done)](const std::vector<TargetStatus>& targets) {
            const auto giver = std::find_if(targets.begin(), targets.end(), [&](const auto& one) { return one.name == filter.target; });
            const bool there = giver != targets.end();
            const bool still = there && (giver->state == TargetState::orphaned || giver->state == TargetState::paused);
            asio::post(control_, [=, this] {
                if (!there) return done(known(filter.target, false).error());
                if (!still)
                    return done(fail(Errc::conflict, "target '" + filter.target + "' is neither paused nor orphaned: pause it first"));
                if (!dry_run) return deliveries_->move(filter, to, after, limit, act, done);
                deliveries_->list(filter, after, limit, [done](const Result<DeliveryPage>& page) {
                    if (!page.has_value()) return done(page.error());
                    done(DeliveriesActed{page->deliveries.size(), 0, 0, page->next});
                });
            });
        });
    }
    void dead_letters(DeadLetterFilter filter, std::function<void(Result<DeadLetterPage>)> done) override
    {
        line_.state().dead_letters(std::move(filter), std::move(done));
    }
    void dead_letter(std::int64_t id,
                     std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) override
    {
        line_.state().dead_letter(id, std::move(done));
    }
    void audit(std::function<void(Result<AuditReport>)> done) override
    {
        if (!line_.hold_segments()) {  // what is counted in the journal stays there meanwhile; a round takes a moment
            const auto again = std::make_shared<asio::steady_timer>(control_, std::chrono::milliseconds{20});
            return again->async_wait([this, again, done = std::move(done)](const boost::system::error_code& cancelled) mutable {
                if (cancelled) done(fail(Errc::cancelled, "the daemon stops"));
                else audit(std::move(done));
            });
        }
        gather([this, done = std::move(done)] {
            line_.state().audit([this, done](Result<AuditState> state) {
                asio::post(control_, [this, done, state = std::move(state)] {
                    auto report = state.has_value() ? router::audit(*state, line_.journal()) : Result<AuditReport>{state.error()};
                    line_.let_segments_go();
                    done(std::move(report));
                });
            });
        });
    }
    void dead_letter_groups(DeadLetterFilter filter,
                            std::function<void(Result<std::vector<DeadLetterGroup>>)> done) override
    {
        desk_->groups(std::move(filter), std::move(done));
    }
    void redrive(DeadLetterFilter filter, double per_second, Act act,
                 std::function<void(Result<RedriveJob>)> done) override
    {
        desk_->redrive(std::move(filter), per_second, std::move(act), std::move(done));
    }
    void cancel_redrive(std::int64_t id, Act act, std::function<void(Result<RedriveJob>)> done) override
    {
        desk_->cancel(id, act, std::move(done));
    }
    [[nodiscard]] std::vector<RedriveJob> redrives() override { return desk_->redrives(); }
    void discard(DeadLetterFilter filter, bool dry_run, Act act,
                 std::function<void(Result<std::uint64_t>)> done) override
    {
        desk_->discard(std::move(filter), dry_run, std::move(act), std::move(done));
    }
    Result<ReplayJob> replay(ReplayRequest request, const Act& act) override
    {
        return replays_->replay(*table_.get(), std::move(request), act);
    }
    Result<ReplayJob> cancel_replay(std::int64_t id) override { return replays_->cancel(id); }
    [[nodiscard]] std::vector<ReplayJob> replays() override { return replays_->replays(); }
    void erase(Id event, Act act, std::function<void(Result<Erased>)> done) override
    {
        const bool posted = past_->post([this, event, act = std::move(act), done] { done(eraser_->erase(event, act)); });
        if (!posted) done(fail(Errc::cancelled, "the daemon stops"));
    }
    void backup(std::function<void(Result<BackupMade>)> done) override { backup_->start(std::move(done)); }
    void export_state(std::function<void(Result<std::string>)> done) override
    {
        const std::string directory = data_dir_ + "/exports";
        if (auto made = disk_.make_directory(directory); !made.has_value()) return done(made.error());
        std::string stamp = to_rfc3339(clock_.wall());
        stamp.erase(std::remove(stamp.begin(), stamp.end(), ':'), stamp.end());
        const std::string path = directory + "/state-" + stamp + ".db";
        line_.state().export_copy(path, [path, done = std::move(done)](const Result<void>& written) {
            if (written.has_value())
                done(path);
            else
                done(written.error());
        });
    }

private:
    /// Brings the routed totals up to the journal's end: a crash may have lost the last interval.
    void put_in_effect(std::shared_ptr<RouteTable> table)
    {
        table->generation = ++generation_;
        table->loaded = clock_.wall();
        table_.set(std::move(table));
        for (std::size_t i = 0; i < io_.size(); ++i)
            asio::post(io_.at(i), [this] { (void)table_.get(); });
        asio::post(control_, [this] { (void)table_.get(); });
    }

    Result<void> move_listeners(const ProcessOptions& old, const ProcessOptions& wanted)
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

    static void warn_of_restart(const ProcessOptions& old, const ProcessOptions& wanted)
    {
        const auto warn = [](const char* key) {
            log::warn("config", "this change takes effect at the next start only", {{"key", key}});
        };
        if (old.data_dir != wanted.data_dir) warn("data_dir");
        if (old.threads != wanted.threads) warn("threads");
        if (old.segment_size != wanted.segment_size) warn("journal.segment_size");
        if (old.min_free != wanted.min_free) warn("journal.min_free");
    }

    /// Lanes hand over what they settled, so that positions are as new as they can be; then `done`, on the control thread.
    void gather(std::function<void()> done)
    {
        line_.engine().status([this, done = std::move(done)](const std::vector<TargetStatus>&) {
            asio::post(control_, [this, done] {
                line_.hand_over_totals();
                done();
            });
        });
    }

    /// All of it on the control thread.
    BackupDesk::Hooks backup_hooks()
    {
        BackupDesk::Hooks hooks;
        hooks.post = [this](std::function<void()> work) { asio::post(control_, std::move(work)); };
        hooks.gather = [this](std::function<void()> done) { gather(std::move(done)); };
        hooks.hold = [this] { return line_.hold_segments(); };
        hooks.let_go = [this] { line_.let_segments_go(); };
        return hooks;
    }

    /// All of it on the control thread.
    DeliveryDesk::Hooks delivery_hooks()
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
    EraseDesk::Hooks erase_hooks()
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
        hooks.drop_copies = [this](const Id& event, std::function<void()> done) {
            line_.engine().drop_copies(event, std::move(done));
        };
        hooks.read_anew = [this] { replays_->read_anew(); };
        return hooks;
    }

    /// All of it on the control thread.
    DeadLetterDesk::Hooks desk_hooks()
    {
        DeadLetterDesk::Hooks hooks;
        hooks.post = [this](std::function<void()> work) { asio::post(control_, std::move(work)); };
        hooks.served = [this](const std::string& target) { return served(target); };
        hooks.redrive = [this](std::string target, std::vector<RetryRow> rows, std::function<void(Result<void>)> done) {
            const std::unique_lock lock{engine_mutex_, std::try_to_lock};
            if (!lock) return done(reloading());
            if (!line_.engine().redrive(target, std::move(rows), done)) done(known(target, false));
        };
        return hooks;
    }

    /// Control thread.
    void arm_totals()
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
                line_.release_segments(archives_->through(*table));
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
    void free_old_tables()
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
    void tend_past()
    {
        const RouteTablePtr table = table_.get();
        archives_->tick(*table);
        for (int steps = 0; steps < past_steps && replays_->tick(table); ++steps) continue;
    }

    void hand_over_received()
    {
        if (!ingest_) return;
        std::vector<Change> changes;
        for (Received& received : ingest_->take_received()) changes.emplace_back(std::move(received));
        if (!changes.empty()) line_.state().submit(std::move(changes));
    }

    void stop_control()
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

    /// The control thread never waits for a reload: the reload may wait for the control thread.
    static Result<void> reloading()
    {
        return fail(Errc::unavailable, "a reload is under way; try again in a moment");
    }

    /// Configured, or renamed since.
    [[nodiscard]] bool served(const std::string& target) const
    {
        const RouteTablePtr table = table_.get();
        return std::any_of(table->targets.begin(), table->targets.end(), [&](const auto& one) {
            return one.first == target || one.second.renamed_from == target;
        });
    }

    [[nodiscard]] Result<void> known(const std::string& target, bool found) const
    {
        if (found) return {};
        std::vector<std::string> names;
        for (const auto& [name, spec] : table_.get()->targets) names.push_back(name);
        return fail(Errc::not_found, "no target '" + target + "'" + did_you_mean(target, names));
    }

    /// Everything that needs no other thread.
    [[nodiscard]] admin::StatusReport look() const
    {
        const RouteTablePtr table = table_.get();
        admin::StatusReport report;
        report.version = EVENTYARD_VERSION;
        report.started = started_;
        report.now = clock_.wall();
        report.not_ready = not_ready();
        report.generation = table->generation;
        report.rules = table->rules.size();
        report.loaded = table->loaded;
        report.resident_bytes = resident_bytes();
        auto matching = ingest_->match_totals();
        for (const auto& [name, bus] : table->buses)
            report.buses.push_back({name, bus.rules.size(), text_of(bus.durability), text_of(bus.unmatched),
                                    bus.rules.figures(), bus.rules_built, std::move(matching[name])});
        {
            const std::lock_guard lock{mutex_};
            report.reloads = reloads_;
            report.reloads_failed = reloads_failed_;
            report.has_last_reload = reloads_ > 0;
            report.last_reload = last_reload_;
            report.last_reload_at = last_reload_at_;
        }
        const IngestTotals totals = ingest_->totals();
        report.ingest.requests.assign(totals.requests.begin(), totals.requests.end());
        report.ingest.body_bytes = totals.body_bytes;
        report.ingest.connections = totals.connections_open;
        report.ingest.connections_total = totals.connections_accepted;
        report.ingest.connections_refused = totals.connections_refused;
        report.ingest.buffered_bytes = totals.buffered_bytes;
        const Journal::Stats& journal = line_.journal().stats();
        report.journal = {line_.journal().last(), line_.journal().synced(), line_.journal().oldest(), journal.commits, journal.events,
                          journal.event_bytes, journal.written_bytes, journal.failed_commits,
                          journal.uncertain_events, journal.refused_no_space,
                          static_cast<double>(journal.sync_nanoseconds) * 1e-9, journal.queued_bytes,
                          journal.segments, journal.disk_bytes, journal.lane_reads, journal.read_bytes,
                          journal.accepting, line_.journal().recovery()};
        const State::Stats& state = line_.state().stats();
        report.archives = archives_->status();
        report.state = {state.batches, state.changes, state.queued, state.wal_bytes, state.settled_unsynced,
                        state.failing, line_.state().report()};
        return report;
    }

    Disk& disk_;
    const Clock& clock_;
    Random& random_;
    RouterHooks hooks_;
    const WallTime started_;
    std::string data_dir_;
    TableHolder table_;
    std::uint64_t generation_ = 0;
    std::atomic<bool> ready_{false};
    bool stopped_ = false;

    IoThreads io_;
    asio::io_context control_{1};
    asio::executor_work_guard<asio::io_context::executor_type> control_work_;
    asio::steady_timer totals_timer_;
    admin::Server admin_server_;
    std::thread control_thread_;
    std::mutex engine_mutex_;  // the engine is told what to do by main (reload) and control (operators)
    AsioWaits waits_;
    Pipeline::Place place_{disk_, clock_, random_, io_, waits_,
                           [this](std::function<void()> work) { asio::post(control_, std::move(work)); }};
    Pipeline line_{place_};
    std::unique_ptr<IngestServer> ingest_;
    std::unique_ptr<Reserve> reserve_;
    std::unique_ptr<DeadLetterDesk> desk_;
    std::unique_ptr<DeliveryDesk> deliveries_;
    std::unique_ptr<BackupDesk> backup_;
    std::unique_ptr<ArchiveDesk> archives_;
    std::unique_ptr<ReplayDesk> replays_;
    std::unique_ptr<EraseDesk> eraser_;
    std::unique_ptr<Worker> past_;
    std::vector<std::atomic<bool>> pings_;  // asked, not answered yet

    std::atomic<bool> freeing_{false};
    // Control thread only.
    std::thread freer_;
    bool just_loaded_ = true;
    Turns turns_;  // of looks at the status and of moves: what is between two lanes is in neither
    SteadyTime received_at_{}, release_at_{};

    mutable std::mutex mutex_;  // what follows
    std::string admin_address_;
    std::uint64_t reloads_ = 0, reloads_failed_ = 0;
    ReloadResult last_reload_;
    WallTime last_reload_at_{};
};

}  // namespace

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
