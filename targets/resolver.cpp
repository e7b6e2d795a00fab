#include "targets/resolver.hpp"

#include <ares.h>
#include <netdb.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>

namespace eventyard::targets {
namespace asio = boost::asio;
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
constexpr auto use_task = asio::as_tuple(asio::use_awaitable_t<Executor>{});
constexpr Duration ttl_min = std::chrono::seconds{1};
constexpr Duration ttl_max = std::chrono::minutes{5};
constexpr std::size_t cache_max = 64;  // names; a target has one

/// "localhost" and what ends with ".localhost" are this machine, whoever else is asked (RFC 6761).
bool is_loopback_name(std::string name)
{
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return name == "localhost" || name.ends_with(".localhost");
}

/// A socket of c-ares, watched for it. c-ares opens and closes it; we only borrow the number.
struct Watched {
    Watched(asio::io_context& io, int fd) : descriptor(io.get_executor(), fd) {}
    ~Watched()
    {
        if (descriptor.is_open()) descriptor.release();
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    Descriptor descriptor;
    bool want_read = false, want_write = false;
    bool reading = false, writing = false;
};

}  // namespace

/// One question with a c-ares channel of its own, so that ending it touches no other, and changes of
/// /etc/resolv.conf are seen.
class Resolver::Query : public std::enable_shared_from_this<Query> {
public:
    explicit Query(asio::io_context& io) : io_(io), timer_(io.get_executor()) {}
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query() { destroy(); }

    void start(std::string host, const std::vector<std::string>& servers)
    {
        if (host.ends_with('.') && is_loopback_name(host.substr(0, host.size() - 1))) host.pop_back();
        loopback_ = is_loopback_name(host);
        static std::once_flag once;
        std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
        ares_options options{};
        options.sock_state_cb = &Query::on_socket;
        options.sock_state_cb_data = this;
        options.timeout = 2000;  // ms for the first try, doubled for each further one
        options.tries = 3;
        const int made = ares_init_options(
            &channel_, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
        if (made != ARES_SUCCESS) {
            channel_ = nullptr;
            return finish(fail(Errc::unavailable, ares_strerror(made)));
        }
        if (!servers.empty()) {
            std::string list;
            for (const std::string& server : servers) list += (list.empty() ? "" : ",") + server;
            if (const int set = ares_set_servers_ports_csv(channel_, list.c_str());
                set != ARES_SUCCESS)
                return finish(fail(Errc::unavailable, "name servers: " + std::string(ares_strerror(set))));
        }
        ares_addrinfo_hints hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        const auto keep = shared_from_this();
        ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &Query::on_answer, this);
        after_processing();
    }

    void add_waiter(Timer& timer) { waiters_.insert(&timer); }
    void remove_waiter(Timer& timer) { waiters_.erase(&timer); }
    [[nodiscard]] const auto& answer() const noexcept { return answer_; }
    [[nodiscard]] Duration ttl() const noexcept { return ttl_; }

    void cancel()
    {
        const auto keep = shared_from_this();
        if (!answer_) finish(fail(Errc::cancelled, "closed"));
        destroy();
    }

private:
    using Addresses = std::vector<asio::ip::address>;

    static void on_socket(void* self, ares_socket_t fd, int readable, int writable)
    {
        static_cast<Query*>(self)->socket_changed(fd, readable != 0, writable != 0);
    }

    static void on_answer(void* self, int status, int, ares_addrinfo* info)
    {
        static_cast<Query*>(self)->answered(status, info);
        if (info != nullptr) ares_freeaddrinfo(info);
    }

    void socket_changed(int fd, bool readable, bool writable)
    {
        if (!readable && !writable) {  // c-ares is about to close it
            if (const auto found = sockets_.find(fd); found != sockets_.end()) {
                found->second->descriptor.release();
                sockets_.erase(found);
            }
            return;
        }
        auto& watched = sockets_[fd];
        if (!watched) watched = std::make_shared<Watched>(io_, fd);
        watched->want_read = readable;
        watched->want_write = writable;
        if (!destroying_) watch(watched);
    }

    void watch(const std::shared_ptr<Watched>& watched)
    {
        if (watched->want_read && !watched->reading) {
            watched->reading = true;
            watched->descriptor.async_wait(
                Descriptor::wait_read,
                [self = shared_from_this(), watched](boost::system::error_code ec) {
                    watched->reading = false;
                    self->ready(watched, ec, true);
                });
        }
        if (watched->want_write && !watched->writing) {
            watched->writing = true;
            watched->descriptor.async_wait(
                Descriptor::wait_write,
                [self = shared_from_this(), watched](boost::system::error_code ec) {
                    watched->writing = false;
                    self->ready(watched, ec, false);
                });
        }
    }

    void ready(const std::shared_ptr<Watched>& watched, boost::system::error_code ec, bool read)
    {
        if (ec || channel_ == nullptr || !watched->descriptor.is_open()) return;
        const int fd = watched->descriptor.native_handle();
        const auto found = sockets_.find(fd);
        if (found == sockets_.end() || found->second != watched) return;
        ares_process_fd(channel_, read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
        after_processing();
        if (channel_ == nullptr) return;
        if (const auto again = sockets_.find(fd); again != sockets_.end() && again->second == watched)
            watch(watched);
    }

    /// c-ares must not be destroyed inside its own callbacks, so this is where a query ends.
    void after_processing()
    {
        if (answer_) return destroy();
        timeval limit{1, 0};
        timeval next{};
        const timeval* wait = ares_timeout(channel_, &limit, &next);
        timer_.expires_after(std::chrono::seconds{wait->tv_sec} +
                             std::chrono::microseconds{wait->tv_usec} + std::chrono::milliseconds{1});
        timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
            if (ec || self->channel_ == nullptr) return;
            ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
            self->after_processing();
        });
    }

    void answered(int status, const ares_addrinfo* info)
    {
        if (answer_) return;
        if (status != ARES_SUCCESS && loopback_)  // no /etc/hosts, or it does not say
            return finish(Addresses{asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()});
        if (status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME ||
            status == ARES_EBADNAME)
            return finish(fail(Errc::not_found, ""));
        if (status == ARES_ETIMEOUT) return finish(fail(Errc::unavailable, "the name servers did not answer"));
        if (status == ARES_ECONNREFUSED)
            return finish(fail(Errc::unavailable, "could not reach the name servers"));
        if (status != ARES_SUCCESS) {
            std::string text = ares_strerror(status);
            return finish(fail(Errc::unavailable, text));
        }
        Addresses addresses;
        int ttl = 0;
        for (const auto* node = info->nodes; node != nullptr; node = node->ai_next) {
            if (node->ai_family == AF_INET) {
                const auto* in = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
                addresses.emplace_back(asio::ip::address_v4{ntohl(in->sin_addr.s_addr)});
            } else if (node->ai_family == AF_INET6) {
                const auto* in = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
                asio::ip::address_v6::bytes_type bytes{};
                std::memcpy(bytes.data(), &in->sin6_addr, bytes.size());
                addresses.emplace_back(asio::ip::address_v6{bytes, in->sin6_scope_id});
            } else {
                continue;
            }
            ttl = addresses.size() == 1 ? node->ai_ttl : std::min(ttl, node->ai_ttl);
        }
        ttl_ = std::clamp<Duration>(std::chrono::seconds{ttl}, ttl_min, ttl_max);
        if (addresses.empty()) return finish(fail(Errc::not_found, ""));
        finish(std::move(addresses));
    }

    void finish(Result<Addresses> answer)
    {
        answer_.emplace(std::move(answer));
        for (Timer* waiter : waiters_) waiter->cancel();
        waiters_.clear();
    }

    void destroy()
    {
        if (channel_ == nullptr) return;
        destroying_ = true;
        ares_channel channel = channel_;
        channel_ = nullptr;
        timer_.cancel();
        for (auto& [fd, watched] : sockets_)
            if (watched->descriptor.is_open()) watched->descriptor.release();
        sockets_.clear();
        ares_destroy(channel);  // calls on_answer (once, if pending) and on_socket
    }

    asio::io_context& io_;
    Timer timer_;
    ares_channel channel_ = nullptr;
    std::map<int, std::shared_ptr<Watched>> sockets_;
    std::set<Timer*> waiters_;
    std::optional<Result<Addresses>> answer_;
    Duration ttl_ = ttl_min;
    bool destroying_ = false;
    bool loopback_ = false;
};

Resolver::Resolver(asio::io_context& io, const Clock& clock, std::vector<std::string> servers)
    : io_(io), clock_(clock), servers_(std::move(servers))
{
}

Resolver::~Resolver() { close(); }

void Resolver::close()
{
    closed_ = true;
    auto asking = std::move(asking_);
    asking_.clear();
    for (auto& [host, query] : asking) query->cancel();
}

Task<Result<Endpoints>> Resolver::resolve(std::string host, std::uint16_t port, Duration timeout)
{
    const auto to_endpoints = [port](const std::vector<asio::ip::address>& addresses) {
        Endpoints endpoints;
        for (const auto& address : addresses) endpoints.emplace_back(address, port);
        return endpoints;
    };
    boost::system::error_code literal;
    const auto address = asio::ip::make_address(host, literal);
    if (!literal) co_return to_endpoints({address});
    if (closed_) co_return fail(Errc::cancelled, "closed");

    const auto now = clock_.steady();
    if (const auto cached = cache_.find(host); cached != cache_.end()) {
        if (now < cached->second.until) co_return to_endpoints(cached->second.addresses);
        cache_.erase(cached);
    }
    std::shared_ptr<Query> query;
    // One that ended after its last waiter left holds an answer of unknown age: ask anew.
    if (const auto asked = asking_.find(host);
        asked != asking_.end() && !asked->second->answer()) {
        query = asked->second;
    } else {
        query = std::make_shared<Query>(io_);
        asking_[host] = query;
        query->start(host, servers_);
    }
    if (!query->answer()) {
        Timer timer{io_.get_executor()};
        timer.expires_after(timeout);
        struct Waiting {
            Query& query;
            Timer& timer;
            Waiting(Query& q, Timer& t) : query(q), timer(t) { query.add_waiter(timer); }
            Waiting(const Waiting&) = delete;
            Waiting& operator=(const Waiting&) = delete;
            ~Waiting() { query.remove_waiter(timer); }
        } const waiting{*query, timer};
        co_await timer.async_wait(use_task);
    }
    if (!query->answer())
        co_return fail(Errc::too_large, "no answer about host '" + host + "'");
    if (const auto asked = asking_.find(host); asked != asking_.end() && asked->second == query)
        asking_.erase(asked);
    const auto& answer = *query->answer();
    if (!answer.has_value()) {
        if (answer.error().code == Errc::not_found)
            co_return fail(Errc::not_found, "no such host '" + host + "'");
        co_return fail(answer.error().code, answer.error().what + " (host '" + host + "')");
    }
    if (cache_.size() >= cache_max) cache_.clear();
    cache_[host] = {*answer, clock_.steady() + query->ttl()};
    co_return to_endpoints(*answer);
}

bool is_server_address(const std::string& text)
{
    boost::system::error_code ec;
    asio::ip::make_address(text, ec);
    if (!ec) return true;
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) return false;
    std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    asio::ip::make_address(host, ec);
    const std::string port = text.substr(colon + 1);
    return !ec && !port.empty() && port.size() <= 5 &&
           port.find_first_not_of("0123456789") == std::string::npos && std::stoi(port) <= 65535;
}

}  // namespace eventyard::targets
