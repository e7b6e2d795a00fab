// router/ingest/shard.hpp — the part of the ingest server that lives on one I/O thread.
//
// Accepts, drives its connections by a coroutine each, and sweeps them for deadlines: one timer a
// thread instead of one a request. Everything but totals runs on that thread.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <unordered_set>

#include "router/ingest/connection.hpp"
#include "router/ingest/mailbox.hpp"

namespace eventyard::router {

using IngestExecutor = boost::asio::io_context::executor_type;
template <class T>
using IngestTask = boost::asio::awaitable<T, IngestExecutor>;
using IngestAcceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, IngestExecutor>;

class IngestShard : public std::enable_shared_from_this<IngestShard> {
public:
    /// @param open  connections of all shards together
    /// @param buffers  shared by them, too
    IngestShard(boost::asio::io_context& io, Journal& journal, std::function<RouteTablePtr()> table,
                const Clock& clock, Random& random, std::shared_ptr<std::atomic<std::uint64_t>> open,
                std::shared_ptr<BufferBudget> buffers);

    /// From now on accepts from `acceptor` only, which is bound to this thread's io_context.
    void adopt(IngestAcceptor acceptor);
    /// Closes the acceptor and idle connections; others are closed after their answer.
    void stop();
    /// Ends all connections but those that wait for the journal.
    void cut_off();
    [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
    /// Any thread.
    void sum_into(IngestTotals& totals) const { host_.counters.sum_into(totals); }
    void sum_into(std::map<std::string, MatchTotals>& totals) const { host_.desk.meter().sum_into(totals); }

private:
    using Timer = boost::asio::basic_waitable_timer<
        std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, IngestExecutor>;

    static IngestTask<void> accept(std::shared_ptr<IngestShard> self,
                                   std::shared_ptr<IngestAcceptor> acceptor);
    static IngestTask<void> serve(std::shared_ptr<IngestShard> self,
                                  std::shared_ptr<Connection> connection);
    static IngestTask<void> sweep(std::shared_ptr<IngestShard> self);
    void welcome(IngestSocket socket);
    void look_at_the_clock();
    [[nodiscard]] Duration tick() const;

    boost::asio::io_context& io_;
    std::shared_ptr<std::atomic<std::uint64_t>> open_;
    ConnectionHost host_;
    std::shared_ptr<Outbox> outbox_;
    std::shared_ptr<Mailbox> mailbox_;
    std::shared_ptr<IngestAcceptor> acceptor_;
    std::unordered_set<Connection*> connections_;
    Timer timer_;
    bool sweeping_ = false;
    SteadyTime last_complaint_{};
};

}  // namespace eventyard::router
