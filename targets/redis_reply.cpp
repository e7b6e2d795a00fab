#include "targets/redis_reply.hpp"

#include <array>

namespace eventyard::targets {

Verdict judge_redis_error(std::string_view reply) noexcept
{
    // MOVED and ASK: we do not follow cluster redirects, but a cluster that moves a slot away may
    // move it back, and an operator may correct the address.
    constexpr std::array<std::string_view, 13> passing{
        "OOM",        "LOADING",  "BUSY",    "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY",
        "NOREPLICAS", "MISCONF", "UNKILLABLE", "MOVED",   "ASK",        "FAILOVER"};
    const std::string_view word = reply.substr(0, reply.find(' '));
    for (const std::string_view candidate : passing)
        if (word == candidate) return Verdict::retry;
    // Not a word of its own: "ERR max number of clients reached" ends a connection, not a command.
    if (reply.find("max number of clients") != std::string_view::npos) return Verdict::retry;
    return Verdict::reject;
}

}  // namespace eventyard::targets
