// router/admin/api.hpp — the admin listener's paths. docs/http-api.md describes them for users.
//
//     GET  /healthz /readyz /metrics /v1/status /v1/audit
//     POST /v1/reload
//     POST /v1/targets/{name}/pause?reason= · /drain?reason= · /resume · /retry-now · /release?key= (each with who=, reason=)
//     POST /v1/targets/{name}/move?to=&dry_run=
//     GET  /v1/deliveries · POST /v1/deliveries/discard · /v1/deliveries/retry-now
//     GET  /v1/dead-letters · /v1/dead-letters/groups · /v1/dead-letters/{id} · /v1/redrives[/{id}]
//     POST /v1/dead-letters/redrive · /v1/dead-letters/discard · /v1/redrives/{id}/cancel
//     GET  /v1/replays[/{id}]
//     POST /v1/replays · /v1/replays/{id}/cancel
//     POST /v1/events/{id}/erase
//     POST /v1/state/export · /v1/backup
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "router/admin/server.hpp"
#include "router/admin/status.hpp"
#include "router/audit.hpp"
#include "router/backup.hpp"
#include "router/archive/replay.hpp"
#include "router/delivery_desk.hpp"
#include "router/erase_desk.hpp"
#include "router/router.hpp"
#include "router/state/state.hpp"

namespace eventyard::router::admin {

/// What the paths act on; the Router implements it. Answers may come on any thread.
class Backend {
public:
    virtual ~Backend() = default;
    virtual void status(std::function<void(StatusReport)> done) = 0;
    [[nodiscard]] virtual WallTime now() const = 0;
    /// Why not ready; empty when ready.
    [[nodiscard]] virtual std::vector<std::string> not_ready() const = 0;
    virtual void reload(std::function<void(ReloadResult)> done) = 0;
    virtual void pause(std::string target, Act act, std::function<void(Result<void>)> done) = 0;
    virtual void resume(std::string target, Act act, std::function<void(Result<void>)> done) = 0;
    /// Brings how many deliveries are left, see Lane::drain(). Errc::conflict: the target is sent nothing.
    virtual void drain(std::string target, Act act, std::function<void(Result<std::uint64_t>)> done) = 0;
    virtual void retry_now(std::string target, Act act, std::function<void(Result<void>)> done) = 0;
    /// Order keys on hold go on; empty: all. Brings how many.
    virtual void release_keys(std::string target, std::string order_key, Act act,
                      std::function<void(Result<std::size_t>)> done) = 0;
    // See DeliveryDesk.
    virtual void deliveries(DeliveryFilter filter, std::string after, std::size_t limit,
                            std::function<void(Result<DeliveryPage>)> done) = 0;
    virtual void act_on_deliveries(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
                                   std::function<void(Result<DeliveriesActed>)> done) = 0;
    /// Those of `filter.target` go on as deliveries of `to`; the sum's `done` is how many, or with `dry_run` would be.
    virtual void move_deliveries(DeliveryFilter filter, std::string to, bool dry_run, std::string after, std::size_t limit,
                                 Act act, std::function<void(Result<DeliveriesActed>)> done) = 0;
    virtual void dead_letters(DeadLetterFilter filter,
                              std::function<void(Result<DeadLetterPage>)> done) = 0;
    virtual void audit(std::function<void(Result<AuditReport>)> done) = 0;
    virtual void dead_letter_groups(DeadLetterFilter filter,
                                    std::function<void(Result<std::vector<DeadLetterGroup>>)> done) = 0;
    // See DeadLetterDesk.
    virtual void redrive(DeadLetterFilter filter, double per_second, Act act,
                         std::function<void(Result<RedriveJob>)> done) = 0;
    virtual void cancel_redrive(std::int64_t id, Act act, std::function<void(Result<RedriveJob>)> done) = 0;
    [[nodiscard]] virtual std::vector<RedriveJob> redrives() = 0;
    virtual void discard(DeadLetterFilter filter, bool dry_run, Act act,
                         std::function<void(Result<std::uint64_t>)> done) = 0;
    virtual void dead_letter(std::int64_t id,
                             std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) = 0;
    // See ReplayDesk.
    virtual Result<ReplayJob> replay(ReplayRequest request, const Act& act) = 0;
    virtual Result<ReplayJob> cancel_replay(std::int64_t id, const Act& act) = 0;
    [[nodiscard]] virtual std::vector<ReplayJob> replays() = 0;
    /// See EraseDesk.
    virtual void erase(Id event, Act act, std::function<void(Result<Erased>)> done) = 0;
    /// See BackupDesk. Called, as everything, on the server's thread.
    virtual void backup(std::function<void(Result<BackupMade>)> done) = 0;
    /// Writes a consistent copy of state.db below the data directory; gives its path.
    virtual void export_state(std::function<void(Result<std::string>)> done) = 0;
};

/// @param backend  must outlive every request; called on the server's thread.
[[nodiscard]] Handler make_handler(Backend& backend);

}  // namespace eventyard::router::admin
