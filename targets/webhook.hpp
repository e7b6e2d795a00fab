// targets/webhook.hpp — the webhook kind: each delivery is one HTTP request.
#pragma once

#include <span>

#include "targets/registry.hpp"

namespace eventyard::targets {

[[nodiscard]] std::span<const Setting> webhook_settings() noexcept;
std::shared_ptr<const Blueprint> read_webhook(Fields& fields);
/// By somebody else than the operator: ordinary addresses only (targets/address_guard.hpp), https
/// unless allowed, and no setting that reads a file of this machine or asks other name servers.
std::shared_ptr<const Blueprint> read_untrusted_webhook(Fields& fields, const Untrusted& limits);

}  // namespace eventyard::targets
