// targets/standard_webhooks.hpp — signs an attempt as the Standard Webhooks specification says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/secret.hpp"

namespace eventyard::targets {

/// The key bytes of "whsec_<base64>" (the prefix may be missing): 24 to 64 bytes. The error does
/// not quote the secret.
Result<Secret> decode_webhook_secret(const Secret& text);

/// The value of `webhook-signature`: "v1,<base64 of HMAC-SHA256>" of "id.timestamp.body" for each
/// key, separated by blanks; receivers take any one that fits, which is how keys are rotated.
[[nodiscard]] std::string sign_webhook(const std::vector<Secret>& keys, std::string_view id,
                                       std::int64_t timestamp, std::string_view body);

}  // namespace eventyard::targets
