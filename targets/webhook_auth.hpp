// targets/webhook_auth.hpp — the `auth` settings of a webhook: how a request shows who sends it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/fields.hpp"
#include "targets/fingerprint.hpp"
#include "targets/oauth2.hpp"
#include "targets/registry.hpp"

namespace eventyard::targets {

/// At most one of the two; neither: the request shows nothing.
struct WebhookAuth {
    std::optional<std::pair<std::string, Secret>> header;  // the same in every request
    std::optional<OAuthClient> oauth;                      // a token that is fetched
};

/// Mistakes are reported. What must not be shown joins `secrets`.
/// @param head  a header of its own that `auth` would set too is a mistake
[[nodiscard]] WebhookAuth read_auth(Fields& fields, const RequestHead& head, const AddressGuard& guard,
                                    const Untrusted* limits, std::vector<std::string>& secrets,
                                    Fingerprint& fingerprint);

}  // namespace eventyard::targets
