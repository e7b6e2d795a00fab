#include "router/ingest/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <charconv>
#include <optional>
#include <thread>

#include "router/ingest/shard.hpp"

namespace eventyard::router {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

std::optional<tcp::endpoint> parse_endpoint(std::string_view text)
{
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    boost::system::error_code ec;
    const auto address = asio::ip::make_address(std::string(host), ec);
    if (ec) return std::nullopt;
    return tcp::endpoint{address, port};
}

std::string text_of(const tcp::endpoint& endpoint)
{
    const std::string host = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                      : fmt::format("{}:{}", host, endpoint.port());
}

/// @param shared  several acceptors of this process on one port
Result<IngestAcceptor> open_acceptor(asio::io_context& io, const tcp::endpoint& endpoint, bool shared)
{
    IngestAcceptor acceptor{io.get_executor()};
    boost::system::error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address{true}, ec);
    if (!ec && shared) acceptor.set_option(ReusePort{true}, ec);
    if (!ec && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only{true}, ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec && shared) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(Errc::io, fmt::format("cannot listen on {}: {}", text_of(endpoint), ec.message()));
    return acceptor;
}

}  // namespace

IngestServer::IngestServer(IoThreads& io, Journal& journal, std::function<RouteTablePtr()> table,
                           const Clock& clock, Random& random)
    : io_(io), open_(std::make_shared<std::atomic<std::uint64_t>>(0)), buffers_(std::make_shared<BufferBudget>())
{
    for (std::size_t i = 0; i < io.size(); ++i)
        shards_.push_back(std::make_shared<IngestShard>(io.at(i), journal, table, clock, random, open_,
                                                        buffers_));
}

IngestServer::~IngestServer() = default;

Result<void> IngestServer::listen(const std::string& address)
{
    auto endpoint = parse_endpoint(address);
    if (!endpoint)
        return fail(Errc::invalid, fmt::format("'{}' is no address to listen on; write ip:port", address));
    const std::lock_guard lock{mutex_};
    if (address == wanted_) return {};
    if (endpoint->port() != port_) {
        // Shared ports would let a second process listen here unnoticed: ask without sharing first.
        EVENTYARD_TRY(probe, open_acceptor(io_.at(0), *endpoint, false));
    }
    std::vector<IngestAcceptor> acceptors;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        EVENTYARD_TRY(acceptor, open_acceptor(io_.at(i), *endpoint, true));
        boost::system::error_code ec;
        if (i == 0) endpoint->port(acceptor.local_endpoint(ec).port());
        acceptors.push_back(std::move(acceptor));
    }
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        auto adopt = [shard = shards_[i], acceptor = std::move(acceptors[i])]() mutable {
            shard->adopt(std::move(acceptor));
        };
        asio::post(shards_[i]->io(), std::move(adopt));
    }
    wanted_ = address;
    address_ = text_of(*endpoint);
    port_ = endpoint->port();
    return {};
}

std::string IngestServer::address() const
{
    const std::lock_guard lock{mutex_};
    return address_;
}

std::uint16_t IngestServer::port() const
{
    const std::lock_guard lock{mutex_};
    return port_;
}

bool IngestServer::stop(Duration grace)
{
    constexpr Duration step = std::chrono::milliseconds{2};
    const auto wait = [this, step](Duration limit) {
        for (Duration waited{0}; open_->load() > 0 && waited < limit; waited += step)
            std::this_thread::sleep_for(step);
        return open_->load() == 0;
    };
    for (const auto& shard : shards_) asio::post(shard->io(), [shard] { shard->stop(); });
    if (wait(grace)) return true;
    for (const auto& shard : shards_) asio::post(shard->io(), [shard] { shard->cut_off(); });
    wait(std::chrono::seconds{1});
    return false;
}

IngestTotals IngestServer::totals() const
{
    IngestTotals totals;
    for (const auto& shard : shards_) shard->sum_into(totals);
    totals.connections_open = open_->load(std::memory_order_relaxed);
    totals.buffered_bytes = buffers_->held();
    return totals;
}

std::map<std::string, MatchTotals> IngestServer::match_totals() const
{
    std::map<std::string, MatchTotals> totals;
    for (const auto& shard : shards_) shard->sum_into(totals);
    return totals;
}

std::vector<Received> IngestServer::take_received() { return received_.take(totals()); }

}  // namespace eventyard::router
