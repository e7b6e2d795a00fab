#include "targets/outcome.hpp"

namespace eventyard::targets {

const char* text_of(Cause cause) noexcept
{
    switch (cause) {
        case Cause::none: return "none";
        case Cause::status: return "status";
        case Cause::resolve: return "resolve";
        case Cause::address: return "address_refused";
        case Cause::auth: return "auth";
        case Cause::connect: return "connect";
        case Cause::tls: return "tls";
        case Cause::timeout: return "timeout";
        case Cause::lost: return "connection_lost";
        case Cause::protocol: return "protocol";
        case Cause::disk: return "disk";
        case Cause::too_large: return "too_large";
        case Cause::internal: break;
    }
    return "internal";
}

const char* text_of(Verdict verdict) noexcept
{
    switch (verdict) {
        case Verdict::delivered: return "delivered";
        case Verdict::retry: return "retry";
        case Verdict::reject: return "reject";
        case Verdict::pause: break;
    }
    return "pause";
}

}  // namespace eventyard::targets
