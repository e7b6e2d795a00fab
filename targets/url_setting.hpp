// targets/url_setting.hpp — reads a setting that is the URL of a server, and checks what it may name.
#pragma once

#include <string>
#include <vector>

#include "core/fields.hpp"
#include "targets/address_guard.hpp"
#include "targets/registry.hpp"
#include "targets/webhook_request.hpp"

namespace eventyard::targets {

/// Mistakes are reported; the host is then empty. A URL with a reference is shown without its path,
/// which joins `secrets`.
/// @param limits  null: the operator's own URL
[[nodiscard]] WebhookUrl read_url(Fields& fields, const char* key, const AddressGuard& guard,
                                  const Untrusted* limits, std::vector<std::string>& secrets);

}  // namespace eventyard::targets
