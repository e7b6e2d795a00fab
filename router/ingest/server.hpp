// router/ingest/server.hpp — the HTTP listener that takes events.
//
// One SO_REUSEPORT acceptor on each I/O thread; a connection stays on the thread that accepted it.
// A request is read, matched and submitted to the journal there, and answered there when the
// journal says that its events are durable. What is refused and how is docs/http-api.md.
//
// Owner's order: construct, listen(), [listen() again to move], stop(), then Journal::stop(), then
// IoThreads::finish(), then destroy. Methods may be called from any thread but the I/O threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "router/ingest/counters.hpp"
#include "router/io_threads.hpp"
#include "router/journal/journal.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

class BufferBudget;
class IngestShard;

class IngestServer {
public:
    /// @param table  gives the configuration in effect; called on every I/O thread, once or twice a
    ///               request, so it must be thread-safe and quick.
    /// @param random must be thread-safe. All references must outlive the I/O threads.
    IngestServer(IoThreads& io, Journal& journal, std::function<RouteTablePtr()> table,
                 const Clock& clock, Random& random);
    ~IngestServer();
    IngestServer(const IngestServer&) = delete;
    IngestServer& operator=(const IngestServer&) = delete;

    /// Opens "ip:port" ("[::1]:8080" for IPv6; port 0: any) and closes the address listened on before;
    /// on failure that one stays. Does nothing when the address is the same. Connections live on.
    Result<void> listen(const std::string& address);
    /// "ip:port" with the real port; empty before listen().
    [[nodiscard]] std::string address() const;
    [[nodiscard]] std::uint16_t port() const;

    /// Stops accepting, closes idle connections and waits up to `grace` for requests in flight;
    /// then cuts off those still reading or writing. True when none had to be.
    bool stop(Duration grace);

    [[nodiscard]] IngestTotals totals() const;
    /// What matching has cost, by bus; also of buses that are no more.
    [[nodiscard]] std::map<std::string, MatchTotals> match_totals() const;
    /// Events received per bus since the last call, for the state's totals. One caller at a time.
    [[nodiscard]] std::vector<Received> take_received();

private:
    IoThreads& io_;
    std::shared_ptr<std::atomic<std::uint64_t>> open_;  // connections, all threads together
    std::shared_ptr<BufferBudget> buffers_;
    std::vector<std::shared_ptr<IngestShard>> shards_;
    ReceivedLog received_;
    mutable std::mutex mutex_;  // address_ and port_
    std::string wanted_, address_;
    std::uint16_t port_ = 0;
};

}  // namespace eventyard::router
