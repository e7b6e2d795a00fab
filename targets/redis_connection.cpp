#include "targets/redis_connection.hpp"

#include <hiredis.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "core/units.hpp"
#include "targets/redis_reply.hpp"

namespace eventyard::targets {
namespace {

constexpr std::size_t reply_max = 64U << 10;  // bytes: an id, or an error in a line
constexpr Duration backoff_first = std::chrono::milliseconds{50};
constexpr Duration backoff_max = std::chrono::seconds{1};

struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

Outcome failed(Cause cause, std::string detail)
{
    Outcome outcome;
    outcome.verdict = Verdict::retry;
    outcome.cause = cause;
    outcome.detail = std::move(detail);
    return outcome;
}

timeval to_timeval(Duration duration)
{
    const auto us = std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
    return {us / 1'000'000, us % 1'000'000};
}

void append(redisContext* context, const RedisCommand& words)
{
    std::vector<const char*> argv;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
        argv.push_back(word.data());
        sizes.push_back(word.size());
    }
    redisAppendCommandArgv(context, static_cast<int>(argv.size()), argv.data(), sizes.data());
}

Outcome judge(const redisReply& reply)
{
    Outcome outcome;
    const std::string_view text =
        reply.str != nullptr ? std::string_view{reply.str, reply.len} : std::string_view{};
    if (reply.type == REDIS_REPLY_ERROR) {
        outcome.verdict = judge_redis_error(text);
        outcome.cause = Cause::status;
        outcome.detail = "redis: " + std::string(text.substr(0, 300));
    } else if (reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS) {
        outcome.verdict = Verdict::delivered;
        outcome.detail = "added";
        outcome.response = text.substr(0, 64);
    } else {
        outcome = failed(Cause::protocol, "protocol: a reply of an unexpected kind");
    }
    return outcome;
}

}  // namespace

RedisConnection::~RedisConnection() { disconnect(); }

void RedisConnection::disconnect()
{
    connected_ = false;
    if (context_ == nullptr) return;
    {
        const std::lock_guard lock{fd_mutex_};
        fd_ = -1;
    }
    redisFree(context_);
    context_ = nullptr;
}

void RedisConnection::interrupt() noexcept
{
    const std::lock_guard lock{fd_mutex_};
    interrupted_ = true;
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

Outcome RedisConnection::context_failure() const
{
    const std::string where = " (" + peer_ + ")";
    if (context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK))
        return failed(Cause::timeout, "timeout after " + format_duration(options_.timeout) +
                                          " waiting for a reply" + where);
    if (context_->err == REDIS_ERR_PROTOCOL)
        return failed(Cause::protocol, std::string("protocol: ") + context_->errstr + where);
    return failed(Cause::lost, std::string("lost: ") + context_->errstr + where);
}

/// As redisGetReply, but a server that pours or drips holds neither memory nor the worker.
std::optional<Outcome> RedisConnection::next_reply(void*& reply)
{
    reply = nullptr;
    const SteadyTime end = clock_.steady() + options_.timeout;
    const auto late = [&] {
        return failed(Cause::timeout, "timeout after " + format_duration(options_.timeout) +
                                          " waiting for a whole reply (" + peer_ + ")");
    };
    if (redisGetReplyFromReader(context_, &reply) != REDIS_OK) return context_failure();
    if (reply != nullptr) return std::nullopt;
    for (int sent = 0; sent == 0;) {
        if (redisBufferWrite(context_, &sent) != REDIS_OK) return context_failure();
        if (sent == 0 && clock_.steady() >= end) return late();
    }
    std::size_t bytes = 0;
    while (true) {
        const std::size_t before = context_->reader->len;
        if (redisBufferRead(context_) != REDIS_OK) return context_failure();
        bytes += context_->reader->len - before;
        if (bytes > reply_max)
            return failed(Cause::protocol, "protocol: a reply of more than " +
                                               std::to_string(reply_max) + " bytes (" + peer_ + ")");
        if (redisGetReplyFromReader(context_, &reply) != REDIS_OK) return context_failure();
        if (reply != nullptr) return std::nullopt;
        if (clock_.steady() >= end) return late();
    }
}

bool RedisConnection::command(const RedisCommand& words, Outcome& failure)
{
    append(context_, words);
    void* raw = nullptr;
    if (auto broken = next_reply(raw)) {
        failure = std::move(*broken);
        return false;
    }
    const Reply reply{static_cast<redisReply*>(raw)};
    if (reply->type != REDIS_REPLY_ERROR) return true;
    failure = judge(*reply);
    return false;
}

bool RedisConnection::log_in(Outcome& failure)
{
    const std::string& password = options_.password.reveal();
    if (!password.empty()) {
        RedisCommand auth{"AUTH"};
        if (!options_.username.empty()) auth.emplace_back(options_.username);
        auth.emplace_back(password);
        if (!command(auth, failure)) return false;
    }
    const std::string database = std::to_string(options_.database);
    return options_.database == 0 || command({"SELECT", database}, failure);
}

bool RedisConnection::connect(const Endpoints& peers, WallTime now, Outcome& failure)
{
    // Going back in time ends the wait as well.
    if (backoff_ > Duration{0} && now >= failed_at_ && now < failed_at_ + backoff_) {
        failure = last_failure_;
        return false;
    }
    const timeval limit = to_timeval(options_.timeout);
    const std::size_t tries = options_.unix_path.empty() ? peers.size() : 1;
    failure = failed(Cause::resolve, "resolve: no address");
    for (std::size_t i = 0; i < tries; ++i) {
        if (!options_.unix_path.empty()) {
            peer_ = "unix:" + options_.unix_path;
            context_ = redisConnectUnixWithTimeout(options_.unix_path.c_str(), limit);
        } else {
            const std::string address = peers[i].address().to_string();
            peer_ = (peers[i].address().is_v6() ? "[" + address + "]" : address) + ":" +
                    std::to_string(peers[i].port());
            context_ = redisConnectWithTimeout(address.c_str(), peers[i].port(), limit);
        }
        if (context_ == nullptr) {
            failure = failed(Cause::internal, "internal: out of memory");
            continue;
        }
        if (context_->err != 0) {
            const bool slow = errno == ETIMEDOUT || errno == EINPROGRESS;
            failure = failed(slow ? Cause::timeout : Cause::connect,
                             std::string("connect: ") + context_->errstr + " (" + peer_ + ")");
            disconnect();
            continue;
        }
        bool interrupted = false;
        {
            const std::lock_guard lock{fd_mutex_};
            fd_ = context_->fd;
            interrupted = interrupted_;
        }
        redisSetTimeout(context_, limit);
        if (options_.unix_path.empty()) redisEnableKeepAlive(context_);
        if (!interrupted && log_in(failure)) {
            connected_ = true;
            ++connects_;
            backoff_ = Duration{0};
            return true;
        }
        disconnect();
        if (failure.cause == Cause::status) break;  // it answered; others will say the same
    }
    failed_at_ = now;
    backoff_ = std::min(backoff_max, backoff_ == Duration{0} ? backoff_first : backoff_ * 2);
    last_failure_ = failure;
    return false;
}

std::vector<Outcome> RedisConnection::exchange(const std::vector<RedisCommand>& commands,
                                               const Endpoints& peers, WallTime now)
{
    std::vector<Outcome> outcomes;
    outcomes.reserve(commands.size());
    for (bool first = true;; first = false) {
        const bool kept = context_ != nullptr;
        Outcome failure;
        if (!kept && !connect(peers, now, failure)) {
            outcomes.resize(commands.size(), failure);
            return outcomes;
        }
        for (const RedisCommand& words : commands) append(context_, words);
        std::optional<Outcome> broken;
        while (outcomes.size() < commands.size()) {
            void* raw = nullptr;
            broken = next_reply(raw);
            if (broken) break;
            const Reply reply{static_cast<redisReply*>(raw)};
            outcomes.push_back(judge(*reply));
        }
        if (!broken) return outcomes;
        failure = std::move(*broken);
        disconnect();
        if (first && kept && outcomes.empty() && failure.cause == Cause::lost) continue;
        outcomes.resize(commands.size(), failure);
        return outcomes;
    }
}

}  // namespace eventyard::targets
