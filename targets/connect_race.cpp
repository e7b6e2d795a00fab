#include "targets/connect_race.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

// GCC 12 inlines one half of Asio's pair of frame allocation functions and then misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace eventyard::targets {
namespace asio = boost::asio;
namespace {

constexpr auto use_task = asio::as_tuple(asio::use_awaitable_t<Executor>{});
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace

struct ConnectRace::Shared {
    explicit Shared(asio::io_context& io) : wake(io.get_executor()) {}
    Timer wake;  // of run(), which looks around then
    std::vector<std::shared_ptr<Connection>> running;
    std::vector<Failed> failed;
    std::shared_ptr<Connection> winner;
    Peer peer;
    bool over = false;

    void close_running()
    {
        for (const auto& connection : running) connection->abort();
    }
};

ConnectRace::ConnectRace(asio::io_context& io, Make make)
    : io_(io), make_(std::move(make)), shared_(std::make_shared<Shared>(io))
{
}

std::vector<ConnectRace::Failed> ConnectRace::failed() const { return shared_->failed; }

void ConnectRace::abort()
{
    shared_->over = true;
    shared_->close_running();
    shared_->wake.cancel();
}

Task<void> ConnectRace::connect(std::shared_ptr<Shared> shared, std::shared_ptr<Connection> connection, Peer peer)
{
    const ErrorCode error = co_await connection->connect(peer);
    std::erase(shared->running, connection);
    if (shared->over) co_return;
    if (error) {
        shared->failed.push_back({peer, error});
    } else {
        shared->over = true;
        shared->winner = std::move(connection);
        shared->peer = peer;
        shared->close_running();
    }
    shared->wake.cancel();
}

Task<std::shared_ptr<Connection>> ConnectRace::run(Endpoints peers, Peer& peer)
{
    const auto shared = shared_;
    for (std::size_t next = 0; !shared->over;) {
        if (next == peers.size() && shared->running.empty()) break;
        const std::size_t failed = shared->failed.size();
        if (next < peers.size()) {
            shared->running.push_back(make_());
            // Set before the attempt starts: one that fails at once finds a wait to end.
            shared->wake.expires_after(next + 1 < peers.size() ? head_start : Duration::max() / 2);
            asio::co_spawn(io_, connect(shared, shared->running.back(), peers[next]), asio::detached);
            ++next;
        } else {
            shared->wake.expires_after(Duration::max() / 2);
        }
        // A failure wakes; one that came before the wait shows in the count.
        if (!shared->over && shared->failed.size() == failed) co_await shared->wake.async_wait(use_task);
    }
    peer = shared->peer;
    co_return std::exchange(shared->winner, nullptr);
}

Endpoints interleaved(const Endpoints& peers)
{
    Endpoints families[2];
    for (const auto& peer : peers) families[peer.address().is_v6() == peers.front().address().is_v6() ? 0 : 1].push_back(peer);
    Endpoints out;
    for (std::size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i)
        for (const Endpoints& family : families)
            if (i < family.size()) out.push_back(family[i]);
    return out;
}

}  // namespace eventyard::targets
