// router/router_parts.hpp — the parts of a running router, in the order in which they are made: members below need those
// above. Internal to router/: everybody else knows Router.
//
// router.cpp starts, replaces and stops, and does what comes again and again; router_status.cpp tells how things are;
// router_operators.cpp passes on what people ask for.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

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
#include "router/router.hpp"
#include "router/table_holder.hpp"
#include "router/turns.hpp"

namespace eventyard::router {

class RouterParts final : public Router, public admin::Backend {
public:
    RouterParts(Disk& disk, const Clock& clock, Random& random, RouterHooks hooks, std::uint32_t threads);
    ~RouterParts() override;

    Result<void> open(std::shared_ptr<RouteTable> table);

    // Router, in router.cpp.
    Result<std::uint64_t> replace(std::shared_ptr<RouteTable> table) override;
    [[nodiscard]] std::vector<std::string> waits_for_start() const override;
    void note_reload(const ReloadResult& result) override;
    [[nodiscard]] RouteTablePtr table() const override { return table_.get(); }
    [[nodiscard]] std::string http_address() const override { return ingest_->address(); }
    [[nodiscard]] std::string admin_address() const override;
    bool alive() override;
    void stop() override;

    // admin::Backend: looks in router_status.cpp, acts in router_operators.cpp.
    void status(std::function<void(admin::StatusReport)> done) override;
    [[nodiscard]] WallTime now() const override { return clock_.wall(); }
    [[nodiscard]] std::vector<std::string> not_ready() const override;
    void reload(std::function<void(ReloadResult)> done) override { hooks_.request_reload(std::move(done)); }
    void pause(std::string target, Act act, std::function<void(Result<void>)> done) override;
    void resume(std::string target, Act act, std::function<void(Result<void>)> done) override;
    void drain(std::string target, Act act, std::function<void(Result<std::uint64_t>)> done) override;
    void retry_now(std::string target, Act act, std::function<void(Result<void>)> done) override;
    void release_keys(std::string target, std::string order_key, Act act,
                      std::function<void(Result<std::size_t>)> done) override;
    void deliveries(DeliveryFilter filter, std::string after, std::size_t limit,
                    std::function<void(Result<DeliveryPage>)> done) override;
    void act_on_deliveries(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
                           std::function<void(Result<DeliveriesActed>)> done) override;
    void move_deliveries(DeliveryFilter filter, std::string to, bool dry_run, std::string after, std::size_t limit, Act act,
                         std::function<void(Result<DeliveriesActed>)> done) override;
    void dead_letters(DeadLetterFilter filter, std::function<void(Result<DeadLetterPage>)> done) override;
    void dead_letter(std::int64_t id,
                     std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) override;
    void audit(std::function<void(Result<AuditReport>)> done) override;
    void dead_letter_groups(DeadLetterFilter filter,
                            std::function<void(Result<std::vector<DeadLetterGroup>>)> done) override;
    void redrive(DeadLetterFilter filter, double per_second, Act act,
                 std::function<void(Result<RedriveJob>)> done) override;
    void cancel_redrive(std::int64_t id, Act act, std::function<void(Result<RedriveJob>)> done) override;
    [[nodiscard]] std::vector<RedriveJob> redrives() override { return desk_->redrives(); }
    void discard(DeadLetterFilter filter, bool dry_run, Act act,
                 std::function<void(Result<std::uint64_t>)> done) override;
    Result<ReplayJob> replay(ReplayRequest request, const Act& act) override;
    Result<ReplayJob> cancel_replay(std::int64_t id, const Act& act) override { return replays_->cancel(id, act); }
    [[nodiscard]] std::vector<ReplayJob> replays() override { return replays_->replays(); }
    void erase(Id event, Act act, std::function<void(Result<Erased>)> done) override;
    void backup(std::function<void(Result<BackupMade>)> done) override { backup_->start(std::move(done)); }
    void export_state(std::function<void(Result<std::string>)> done) override;

private:
    void put_in_effect(std::shared_ptr<RouteTable> table);
    Result<void> move_listeners(const ProcessOptions& old, const ProcessOptions& wanted);
    void gather(std::function<void()> done);
    BackupDesk::Hooks backup_hooks();
    DeliveryDesk::Hooks delivery_hooks();
    EraseDesk::Hooks erase_hooks();
    DeadLetterDesk::Hooks desk_hooks();
    void arm_totals();
    void free_old_tables();
    void tend_past();
    void hand_over_received();
    void stop_control();
    static Result<void> reloading();
    [[nodiscard]] bool served(const std::string& target) const;
    [[nodiscard]] bool unknown(const std::string& target);
    [[nodiscard]] Result<void> known(const std::string& target, bool found) const;
    [[nodiscard]] admin::StatusReport look() const;

    Disk& disk_;
    const Clock& clock_;
    Random& random_;
    RouterHooks hooks_;
    const WallTime started_;
    ProcessOptions started_with_;  // what only a start takes
    std::string data_dir_;
    TableHolder table_;
    std::uint64_t generation_ = 0;
    std::atomic<bool> ready_{false};
    bool stopped_ = false;

    IoThreads io_;
    boost::asio::io_context control_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> control_work_;
    boost::asio::steady_timer totals_timer_;
    admin::Server admin_server_;
    std::thread control_thread_;
    std::mutex engine_mutex_;  // the engine is told what to do by main (reload) and control (operators)
    AsioWaits waits_;
    Pipeline::Place place_{disk_, clock_, random_, io_, waits_,
                           [this](std::function<void()> work) { boost::asio::post(control_, std::move(work)); }};
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

}  // namespace eventyard::router
