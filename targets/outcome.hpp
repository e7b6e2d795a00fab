// targets/outcome.hpp — what became of one attempt: the product's normal business, not an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/time.hpp"

namespace eventyard::targets {

enum class Verdict : std::uint8_t {
    delivered,  // the target has it
    retry,      // may work later
    reject,     // will never work: dead-letter now
    pause,      // dead-letter nothing, stop the target and alert (410 Gone): an operator decides
};

/// The class of a failure, for metrics, grouping and people. Names are stable (text_of).
enum class Cause : std::uint8_t {
    none,        // delivered
    status,      // the target answered with a refusing status or error reply
    resolve,     // no address
    address,     // resolved, to nothing that may be connected to
    auth,        // the server that gives out tokens gave none
    connect,     // no connection
    tls,         // handshake or certificate
    timeout,     // no full answer in time; it may have taken effect
    lost,        // connection lost after the first byte; it may have taken effect
    protocol,    // an answer that makes no sense
    disk,        // a file target's write or sync failed
    too_large,   // the target's own limit
    internal,    // a limit of ours (e.g. shutting down); not the target's fault
};

[[nodiscard]] const char* text_of(Cause cause) noexcept;
[[nodiscard]] const char* text_of(Verdict verdict) noexcept;

struct Outcome {
    Verdict verdict = Verdict::retry;
    Cause cause = Cause::none;
    int status = 0;                        // HTTP status; 0 where there is none
    std::string detail;                    // one line for people: "HTTP 503", "connect: refused"
    std::string response;                  // first bytes of the answer's body, capped by the target
    std::optional<Duration> retry_after{}; // as the target asked, uncapped
    Duration latency{0};                   // of the attempt
};

}  // namespace eventyard::targets
