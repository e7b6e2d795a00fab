#include "router/ingest/shard.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>

#include "core/log.hpp"

namespace eventyard::router {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr asio::use_awaitable_t<IngestExecutor> awaitable;
constexpr auto as_result = asio::as_tuple(awaitable);

/// A connection's coroutine ends without an exception; one that comes out is a bug.
void rethrow(std::exception_ptr bug)
{
    if (bug) std::rethrow_exception(bug);
}

std::string http_date(WallTime time)
{
    const std::time_t seconds = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace

IngestShard::IngestShard(asio::io_context& io, Journal& journal, std::function<RouteTablePtr()> table,
                         const Clock& clock, Random& random,
                         std::shared_ptr<std::atomic<std::uint64_t>> open,
                         std::shared_ptr<BufferBudget> buffers)
    : io_(io), open_(std::move(open)),
      host_(std::move(table), clock, random, std::move(buffers)),
      outbox_(std::make_shared<Outbox>(journal, io.get_executor())),
      mailbox_(std::make_shared<Mailbox>(io.get_executor())), timer_(io.get_executor())
{
    look_at_the_clock();
}

void IngestShard::look_at_the_clock()
{
    host_.now = host_.clock.steady();
    host_.date = http_date(host_.clock.wall());
}

void IngestShard::adopt(IngestAcceptor acceptor)
{
    boost::system::error_code ec;
    if (acceptor_) acceptor_->close(ec);
    if (host_.stopping) return;
    acceptor_ = std::make_shared<IngestAcceptor>(std::move(acceptor));
    asio::co_spawn(io_, accept(shared_from_this(), acceptor_), rethrow);
    if (!sweeping_) {
        sweeping_ = true;
        asio::co_spawn(io_, sweep(shared_from_this()), rethrow);
    }
}

void IngestShard::stop()
{
    boost::system::error_code ec;
    host_.stopping = true;
    if (acceptor_) acceptor_->close(ec);
    for (Connection* connection : connections_) connection->stop();
    if (connections_.empty()) timer_.cancel();
}

void IngestShard::cut_off()
{
    for (Connection* connection : connections_) connection->cut_off();
}

IngestTask<void> IngestShard::accept(std::shared_ptr<IngestShard> self,
                                     std::shared_ptr<IngestAcceptor> acceptor)
{
    while (acceptor->is_open()) {
        IngestSocket socket{self->io_.get_executor()};
        const auto [ec] = co_await acceptor->async_accept(socket, as_result);
        if (!ec) {
            self->welcome(std::move(socket));
            continue;
        }
        if (!acceptor->is_open() || ec == asio::error::operation_aborted) break;
        // Out of descriptors or memory: connections in flight will free some.
        self->look_at_the_clock();
        if (self->host_.now - self->last_complaint_ > std::chrono::seconds{10}) {
            self->last_complaint_ = self->host_.now;
            log::warn("ingest", "cannot accept connections", {{"error", ec.message()}});
        }
        if (ec == asio::error::connection_aborted) continue;
        Timer pause{self->io_.get_executor()};
        pause.expires_after(std::chrono::milliseconds{100});
        const auto [waited] = co_await pause.async_wait(as_result);
        if (waited) break;
    }
}

void IngestShard::welcome(IngestSocket socket)
{
    constexpr std::uint64_t refused_at_once = 256;  // open connections that only wait to be refused
    const std::uint64_t limit = host_.table()->limits.connections;
    const std::uint64_t open = open_->fetch_add(1, std::memory_order_relaxed) + 1;
    boost::system::error_code ec;
    socket.non_blocking(true, ec);
    if (!ec) socket.set_option(tcp::no_delay{true}, ec);
    if (ec || open > limit + refused_at_once || host_.stopping) {
        open_->fetch_sub(1, std::memory_order_relaxed);
        if (open > limit + refused_at_once) IngestCounters::add(host_.counters.connections_refused);
        return;  // closes it
    }
    IngestCounters::add(host_.counters.connections_accepted);
    auto connection = std::make_shared<Connection>(host_, std::move(socket));
    if (open > limit) connection->refuse_connection(limit);
    asio::co_spawn(io_, serve(shared_from_this(), std::move(connection)), rethrow);
}

IngestTask<void> IngestShard::serve(std::shared_ptr<IngestShard> self,
                                    std::shared_ptr<Connection> connection)
{
    self->connections_.insert(connection.get());
    for (;;) {
        const Connection::Next next = connection->advance();
        // A failed or cancelled wait is found out by advance(): the socket's error, or the deadline.
        if (next == Connection::Next::readable) {
            co_await connection->socket().async_wait(asio::socket_base::wait_read, as_result);
        } else if (next == Connection::Next::writable) {
            co_await connection->socket().async_wait(asio::socket_base::wait_write, as_result);
        } else if (next == Connection::Next::commit) {
            CommitUnit unit = connection->take_unit();
            const Result<CommitResult> result = co_await async_commit(
                *self->outbox_, self->mailbox_, self->io_.get_executor(), std::move(unit), awaitable);
            connection->committed(result);
        } else if (next == Connection::Next::yield) {
            co_await asio::post(self->io_, awaitable);
        } else {
            break;
        }
    }
    self->connections_.erase(connection.get());
    self->open_->fetch_sub(1, std::memory_order_relaxed);
    if (self->host_.stopping && self->connections_.empty()) self->timer_.cancel();
}

/// A fraction of the shortest limit, so that none is overrun by much.
Duration IngestShard::tick() const
{
    const IngestLimits& limits = host_.table()->limits;
    return std::clamp<Duration>(std::min(limits.idle, limits.request) / 8, std::chrono::milliseconds{5},
                                std::chrono::seconds{1});
}

IngestTask<void> IngestShard::sweep(std::shared_ptr<IngestShard> self)
{
    while (!(self->host_.stopping && self->connections_.empty())) {
        self->timer_.expires_after(self->tick());
        co_await self->timer_.async_wait(as_result);
        self->look_at_the_clock();
        for (Connection* connection : self->connections_)
            if (boost::system::error_code ec; connection->expire()) connection->socket().cancel(ec);
    }
}

}  // namespace eventyard::router
