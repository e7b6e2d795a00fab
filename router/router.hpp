// router/router.hpp — the whole router: starts its parts in order, swaps tables, stops.
//
// Owns the journal, the state, the lanes, the listeners and the control thread. What decides lives
// in those parts; this file knows only the order in which they need one another.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/disk.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

/// What a reload came to: shown to whoever asked, in status and in the log.
struct ReloadResult {
    bool ok = false;
    std::string report;            // warnings or every mistake, as Report::text()
    std::uint64_t generation = 0;  // the configuration now in effect
};

struct RouterHooks {
    /// Somebody asked for a reload over the admin listener. Any thread; `done` exactly once.
    std::function<void(std::function<void(ReloadResult)> done)> request_reload;
};

class Router {
public:
    /// Recovers, then opens the listeners. Disk, clock and random must outlive the router.
    static Result<std::unique_ptr<Router>> start(std::shared_ptr<RouteTable> table, Disk& disk,
                                                 const Clock& clock, Random& random,
                                                 RouterHooks hooks);
    virtual ~Router() = default;

    /// Puts `table` in the place of the current one; on failure nothing has changed. Blocks until
    /// new targets have a durable cursor. One caller at a time.
    virtual Result<std::uint64_t> replace(std::shared_ptr<RouteTable> table) = 0;
    /// Keys of the current configuration that differ from what the process was started with, and only a start takes.
    [[nodiscard]] virtual std::vector<std::string> waits_for_start() const = 0;
    /// Remembers the outcome of a reload for status and metrics.
    virtual void note_reload(const ReloadResult& result) = 0;

    [[nodiscard]] virtual RouteTablePtr table() const = 0;
    [[nodiscard]] virtual std::string http_address() const = 0;
    [[nodiscard]] virtual std::string admin_address() const = 0;
    /// Every I/O thread answered a message since the last call: what a watchdog wants to know.
    [[nodiscard]] virtual bool alive() = 0;

    /// Stops accepting, lets attempts in flight end within the table's shutdown_grace, commits the
    /// state, joins every thread.
    virtual void stop() = 0;
};

}  // namespace eventyard::router
