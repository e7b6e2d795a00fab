// targets/webhook_judge.hpp — what an HTTP answer, or its absence, means for a delivery. Pure.
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "targets/outcome.hpp"

namespace eventyard::targets {

/// Which refusing statuses and which failures without an answer are worth another attempt.
class RetryOn {
public:
    /// 408, 409, 425, 429, 5xx; resolve, address, connect, tls, timeout, lost, protocol.
    RetryOn();
    /// From a list such as ["404", "5xx", "timeout"]. Statuses given replace the default statuses,
    /// words given replace the default words; a half not mentioned stays as it is.
    /// @param problem  set to a one-line reason when an item is not understood
    static RetryOn parse(const std::vector<std::string>& items, std::string& problem);

    [[nodiscard]] bool status(unsigned status) const noexcept;
    [[nodiscard]] bool failure(Cause cause) const noexcept;

private:
    std::bitset<600> statuses_;
    std::bitset<16> causes_;
};

/// What the judge looks at in an answer.
struct Answer {
    unsigned status = 0;
    std::string_view retry_after;       // header; empty: none
    bool non_retryable = false;         // header Upstash-NonRetryable-Error: true
};

struct Judgement {
    Verdict verdict = Verdict::retry;
    std::optional<Duration> retry_after;
};

/// 2xx delivered; 410 pauses the target unless `retry_on` names it; 489 with its header, a negative
/// Retry-After and every status not in `retry_on` are final.
[[nodiscard]] Judgement judge(const Answer& answer, const RetryOn& retry_on, WallTime now);

}  // namespace eventyard::targets
