// targets/redis.hpp — the redis_stream kind: each delivery is one XADD.
#pragma once

#include <span>

#include "targets/registry.hpp"

namespace eventyard::targets {

[[nodiscard]] std::span<const Setting> redis_settings() noexcept;
std::shared_ptr<const Blueprint> read_redis_stream(Fields& fields);

}  // namespace eventyard::targets
