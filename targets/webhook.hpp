// targets/webhook.hpp — the webhook kind: each delivery is one HTTP request.
#pragma once

#include <span>

#include "targets/registry.hpp"

namespace eventyard::targets {

[[nodiscard]] std::span<const Setting> webhook_settings() noexcept;
std::shared_ptr<const Blueprint> read_webhook(Fields& fields);

}  // namespace eventyard::targets
