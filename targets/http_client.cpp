#include "targets/http_client.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <deque>

#include "core/units.hpp"
#include "targets/connect_race.hpp"

// GCC 12 inlines one half of Asio's pair of frame allocation functions and then misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace eventyard::targets {
namespace asio = boost::asio;
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// "Connection refused" -> "connection refused": it stands inside a sentence of ours.
std::string reason(const ErrorCode& ec)
{
    std::string text = ec.message();
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0)
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

/// Of several addresses that failed the one that came furthest says most: a certificate that was
/// refused by one, not the connection that another refused.
int how_far(Cause cause) { return cause == Cause::tls ? 1 : 0; }

std::string text_of(const asio::ip::tcp::endpoint& peer)
{
    const std::string address = peer.address().to_string();
    return (peer.address().is_v6() ? "[" + address + "]" : address) + ":" +
           std::to_string(peer.port());
}

}  // namespace

/// One exchange. Shared with its timer's handler, which may run after the exchange has ended.
struct HttpClient::Attempt {
    Attempt(asio::io_context& io, Duration limit, SteadyTime end)
        : timer(io.get_executor()), timeout(limit), deadline(end)
    {
    }
    Timer timer;
    Duration timeout;
    SteadyTime deadline;
    std::string phase;
    std::shared_ptr<ConnectRace> race;       // while it is being made
    std::shared_ptr<Connection> connection;
    bool timed_out = false;
    bool closed = false;

    void stop()
    {
        if (race) race->abort();
        if (connection) connection->abort();
    }
};

struct HttpClient::Pool {
    struct Idle {
        std::shared_ptr<Connection> connection;
        SteadyTime since;
    };
    Pool(asio::io_context& io, const Clock& with, Duration limit)
        : clock(with), idle_timeout(limit), timer(io.get_executor())
    {
    }
    const Clock& clock;
    Duration idle_timeout;
    std::deque<Idle> idle;  // longest idle first
    Timer timer;
    bool sweeping = false;

    static void sweep_later(const std::shared_ptr<Pool>& pool)
    {
        if (pool->sweeping || pool->idle.empty()) return;
        pool->sweeping = true;
        pool->timer.expires_after(pool->idle.front().since + pool->idle_timeout -
                                  pool->clock.steady() + std::chrono::milliseconds{1});
        pool->timer.async_wait([weak = std::weak_ptr<Pool>{pool}](ErrorCode ec) {
            const auto self = weak.lock();
            if (!self) return;
            self->sweeping = false;
            if (ec) return;
            const SteadyTime now = self->clock.steady();
            while (!self->idle.empty() && now - self->idle.front().since >= self->idle_timeout)
                self->idle.pop_front();
            sweep_later(self);
        });
    }
};

HttpClient::HttpClient(asio::io_context& io, const Clock& clock, HttpServer server)
    : io_(io),
      clock_(clock),
      server_(std::move(server)),
      resolver_(io, clock, server_.dns_servers),
      pool_(std::make_shared<Pool>(io, clock, server_.idle_timeout))
{
}

HttpClient::~HttpClient() { close(); }

void HttpClient::close()
{
    closed_ = true;
    resolver_.close();
    pool_->idle.clear();
    pool_->timer.cancel();
    for (const auto& attempt : *attempts_) {
        attempt->closed = true;
        attempt->stop();
    }
}

std::size_t HttpClient::idle() const noexcept { return pool_->idle.size(); }

HttpFailure HttpClient::explain(const Attempt& attempt, Cause cause, std::string detail) const
{
    if (attempt.closed || closed_)
        return {Cause::internal, "the target was closed while " + attempt.phase};
    if (attempt.timed_out)
        return {Cause::timeout,
                "timeout after " + format_duration(attempt.timeout) + " " + attempt.phase};
    return {cause, std::move(detail)};
}

Task<HttpResult> HttpClient::exchange(std::string_view head, std::string_view body, Duration timeout)
{
    if (closed_) co_return HttpFailure{Cause::internal, "the target is closed"};
    const auto attempt = std::make_shared<Attempt>(io_, timeout, clock_.steady() + timeout);
    attempts_->insert(attempt);
    // Owns what it touches: an io_context that is destroyed takes its frames along last.
    struct Leave {
        std::shared_ptr<Attempts> attempts;
        const std::shared_ptr<Attempt>& attempt;
        ~Leave()
        {
            attempt->timer.cancel();
            attempt->connection.reset();  // it may serve others now: a late timer must not end it
            attempts->erase(attempt);
        }
    } const leave{attempts_, attempt};
    attempt->timer.expires_after(timeout);
    attempt->timer.async_wait([attempt](ErrorCode ec) {
        if (ec) return;
        attempt->timed_out = true;
        attempt->stop();
    });

    for (bool first = true;; first = false) {
        bool reused = false;
        while (first && !pool_->idle.empty() && !reused) {
            attempt->connection = std::move(pool_->idle.back().connection);
            pool_->idle.pop_back();
            reused = attempt->connection->looks_alive();
        }
        if (reused) {
            ++counters_.reused;
        } else {
            attempt->connection.reset();
            if (Failure failed = co_await open(attempt)) co_return std::move(*failed);
        }
        AnswerReader reader{server_.body_kept};
        bool nothing_read = true;
        Failure failed = co_await transact(attempt, head, body, reader, nothing_read);
        if (failed) {
            attempt->connection.reset();
            if (reused && nothing_read && failed->cause == Cause::lost) {
                ++counters_.resent;
                continue;
            }
            co_return std::move(*failed);
        }
        co_return reader.take();
    }
}

Task<HttpClient::Failure> HttpClient::open(std::shared_ptr<Attempt> attempt)
{
    attempt->phase = "resolving '" + server_.host + "'";
    const Duration left = std::max<Duration>(attempt->deadline - clock_.steady(), Duration{1});
    auto found = co_await resolver_.resolve(server_.host, server_.port, left);
    if (!found.has_value()) {
        if (found.error().code == Errc::too_large) attempt->timed_out = true;
        co_return explain(*attempt, Cause::resolve, "resolve: " + found.error().what);
    }
    // The connection goes to an address that was asked about here, never back to the name.
    Endpoints peers;
    std::string refused;
    for (const auto& peer : *found) {
        const std::string why = server_.guard.refusal(peer.address());
        if (why.empty()) peers.push_back(peer);
        else if (refused.empty()) refused = why;
    }
    if (peers.empty())
        co_return explain(*attempt, Cause::address,
                          "address refused: " + refused + " (host '" + server_.host + "')");
    HttpFailure told;
    peers = interleaved(peers);
    peers.resize(std::min(peers.size(), ConnectRace::peers_max));
    while (!peers.empty()) {
        Failure failed = co_await connect(attempt, peers, told);
        if (!failed) co_return std::nullopt;
        if (attempt->closed || attempt->timed_out) co_return failed;
    }
    co_return told;
}

/// To whichever of the addresses answers first. A failure leaves in `peers` those that may still be tried, and in
/// `told` what says most of all failures so far.
Task<HttpClient::Failure> HttpClient::connect(std::shared_ptr<Attempt> attempt, Endpoints& peers, HttpFailure& told)
{
    attempt->phase = "connecting to " + text_of(peers.front());
    for (std::size_t i = 1; i < peers.size(); ++i) attempt->phase += (i + 1 == peers.size() ? " and " : ", ") + text_of(peers[i]);
    if (attempt->closed || attempt->timed_out) co_return explain(*attempt, Cause::connect, "connect: not tried");
    const auto race = std::make_shared<ConnectRace>(io_, [this] { return make_connection(io_, server_.tls, sessions_); });
    attempt->race = race;
    asio::ip::tcp::endpoint peer;
    attempt->connection = co_await race->run(peers, peer);
    attempt->race.reset();
    if (attempt->closed || attempt->timed_out || closed_) co_return explain(*attempt, Cause::connect, "");
    const auto tell = [&](HttpFailure failure) {
        if (told.detail.empty() || how_far(failure.cause) > how_far(told.cause)) told = std::move(failure);
    };
    for (const auto& failed : race->failed()) {
        tell({Cause::connect, "connect: " + reason(failed.error) + " (" + text_of(failed.peer) + ")"});
        std::erase(peers, failed.peer);
    }
    if (!attempt->connection) {
        peers.clear();
        co_return told;
    }
    std::erase(peers, peer);
    Failure failed = co_await shake_hands(attempt, peer);
    if (failed) tell(*failed);
    co_return failed;
}

Task<HttpClient::Failure> HttpClient::shake_hands(std::shared_ptr<Attempt> attempt, asio::ip::tcp::endpoint peer)
{
    const auto connection = attempt->connection;
    ++counters_.opened;
    attempt->phase = "in the TLS handshake with " + text_of(peer);
    const ErrorCode shaken = co_await connection->handshake(server_.host);
    if (shaken)
        co_return explain(*attempt, Cause::tls, "tls: " + connection->handshake_problem(shaken) +
                                                    " (" + text_of(peer) + ")");
    if (connection->resumed()) ++counters_.resumed;
    co_return std::nullopt;
}

Task<HttpClient::Failure> HttpClient::transact(std::shared_ptr<Attempt> attempt,
                                               std::string_view head, std::string_view body,
                                               AnswerReader& reader, bool& nothing_read)
{
    const auto connection = attempt->connection;
    attempt->phase = "sending the request";
    const std::array<asio::const_buffer, 2> request{asio::buffer(head), asio::buffer(body)};
    const ErrorCode written = co_await connection->write(request);
    if (attempt->closed || attempt->timed_out) co_return explain(*attempt, Cause::lost, "");
    // A server may refuse early and close: its answer is worth more than "broken pipe".
    attempt->phase = "waiting for the answer";
    std::array<char, 2048> buffer;  // part of the frame; most answers are shorter
    while (true) {
        if (attempt->closed || attempt->timed_out)
            co_return explain(*attempt, Cause::lost, "");
        const auto [ec, size] = co_await connection->read_some(asio::buffer(buffer));
        if (size > 0) nothing_read = false;
        auto state = AnswerReader::State::more;
        if (size > 0) state = reader.feed({buffer.data(), size});
        if (state == AnswerReader::State::more && ec == asio::error::eof) {
            state = reader.finish();
            if (state == AnswerReader::State::broken)
                co_return explain(*attempt, Cause::lost,
                                  nothing_read ? "lost: the connection was closed before an answer"
                                               : "lost: " + reader.problem());
        } else if (state == AnswerReader::State::more && ec) {
            co_return explain(*attempt, Cause::lost, "lost: " + reason(written ? written : ec));
        }
        switch (state) {
            case AnswerReader::State::more:
                attempt->phase = "reading the answer";
                continue;
            case AnswerReader::State::broken:
                co_return explain(*attempt, Cause::protocol, "protocol: " + reader.problem());
            case AnswerReader::State::capped: co_return std::nullopt;
            case AnswerReader::State::done: break;
        }
        if (!ec && !written && reader.keep_alive() && !closed_ &&
            pool_->idle.size() < server_.idle_max) {
            pool_->idle.push_back({connection, clock_.steady()});
            Pool::sweep_later(pool_);
        }
        co_return std::nullopt;
    }
}

}  // namespace eventyard::targets
