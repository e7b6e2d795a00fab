// targets/redis_reply.hpp — what a Redis error reply means for a delivery. Pure.
#pragma once

#include <string_view>

#include "targets/outcome.hpp"

namespace eventyard::targets {

/// By the reply's first word: what may pass (OOM, LOADING, READONLY, a cluster changing shape, ...)
/// is worth another attempt; the rest (WRONGTYPE, NOAUTH, NOPERM, ERR, ...) is final.
[[nodiscard]] Verdict judge_redis_error(std::string_view reply) noexcept;

}  // namespace eventyard::targets
