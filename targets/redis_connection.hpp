// targets/redis_connection.hpp — one hiredis connection: XADD commands in, their outcomes out.
//
// Blocking: on a worker's thread. interrupt() may be called from another thread at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/secret.hpp"
#include "core/time.hpp"
#include "targets/outcome.hpp"
#include "targets/resolver.hpp"

struct redisContext;

namespace eventyard::targets {

struct RedisOptions {
    std::string unix_path;        // instead of host and port
    std::string host;
    std::uint16_t port = 6379;
    std::string username;         // with a password: ACL login
    Secret password;              // empty: no AUTH
    int database = 0;
    Duration timeout{0};          // of each connect, write and read, and of each reply as a whole
};

/// A command as words; bytes of any kind.
using RedisCommand = std::vector<std::string_view>;

class RedisConnection {
public:
    explicit RedisConnection(const RedisOptions& options) : options_(options) {}
    ~RedisConnection();
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;

    /// Sends all commands at once and reads all replies; connects first if necessary, to the first of
    /// `peers` that answers. A kept connection that turns out closed before the first reply is
    /// replaced once. One outcome a command.
    std::vector<Outcome> exchange(const std::vector<RedisCommand>& commands, const Endpoints& peers,
                                  WallTime now);
    void disconnect();
    void interrupt() noexcept;
    [[nodiscard]] bool connected() const noexcept { return connected_; }
    [[nodiscard]] std::uint64_t connects() const noexcept { return connects_; }

private:
    bool connect(const Endpoints& peers, WallTime now, Outcome& failure);
    bool log_in(Outcome& failure);
    bool command(const RedisCommand& words, Outcome& failure);
    std::optional<Outcome> next_reply(void*& reply);
    Outcome context_failure() const;

    const RedisOptions& options_;
    SystemClock clock_;
    redisContext* context_ = nullptr;
    std::string peer_;             // for details
    WallTime failed_at_{};         // the last failed connect
    Duration backoff_{0};
    Outcome last_failure_;
    std::atomic<bool> connected_{false};
    std::atomic<std::uint64_t> connects_{0};
    std::mutex fd_mutex_;
    int fd_ = -1;                  // what interrupt() shuts down
    bool interrupted_ = false;
};

}  // namespace eventyard::targets
