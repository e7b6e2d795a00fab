// cli/receiver_book.hpp — what the trial receiver got, and what it answers next.
//
// No I/O. Thread-safe: every connection of every thread writes into one book.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cli/response_script.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

struct AnswerPlan {
    ResponseScript respond;
    bool per_id = false;  // the script counts each webhook-id for itself
    ResetScript reset;
    bool hang = false;    // never answer
};

enum class Signature : std::uint8_t { unchecked, valid, invalid };

/// What is done with one request.
struct Decision {
    enum class Act : std::uint8_t { answer, reset, hang };
    Act act = Act::answer;
    unsigned status = 200;
};

class ReceiverBook {
public:
    /// @param ids_max  webhook-ids remembered; later ones are counted only
    ReceiverBook(AnswerPlan plan, std::size_t ids_max) : plan_(std::move(plan)), ids_max_(ids_max) {}

    /// Counts a request and decides its answer: 401 when its signature is invalid, else the plan's.
    Decision enter(std::string_view webhook_id, std::uint64_t bytes, Signature signature);
    /// Replaces the plan; its scripts start from their beginning.
    void follow(AnswerPlan plan);
    [[nodiscard]] std::uint64_t requests() const;

    /// {"requests", "webhook_ids", "accepted_ids", "repeats", "without_id", "ids_dropped", "bytes",
    ///  "resets", "hung", "status": {"200": n}, "signatures": {"valid", "invalid"}}
    [[nodiscard]] nlohmann::ordered_json summary() const;
    /// {"ids": {webhook-id: how often it came}, "dropped": n}; with `accepted_only`, how often it
    /// was answered 2xx.
    [[nodiscard]] std::string ids(bool accepted_only) const;

private:
    struct Seen {
        std::uint32_t times = 0;
        std::uint32_t accepted = 0;  // answered 2xx
        std::uint64_t step = 0;      // place in the script of the plan numbered `plan`
        std::uint64_t plan = 0;
    };
    mutable std::mutex mutex_;
    AnswerPlan plan_;
    std::uint64_t plan_number_ = 0;
    std::uint64_t plan_step_ = 0;  // requests under this plan
    std::size_t ids_max_;
    std::unordered_map<std::string, Seen> ids_;
    std::map<unsigned, std::uint64_t> status_;
    std::uint64_t requests_ = 0, bytes_ = 0, without_id_ = 0, repeats_ = 0, ids_dropped_ = 0;
    std::uint64_t accepted_ids_ = 0, resets_ = 0, hung_ = 0, valid_ = 0, invalid_ = 0;
};

/// Whether one of the signatures in the header "webhook-signature" is that of Standard Webhooks for
/// these parts ("whsec_" and base64, HMAC-SHA256), and the timestamp within five minutes of `now`.
[[nodiscard]] bool signature_valid(const Secret& secret, std::string_view id, std::string_view timestamp,
                                   std::string_view signatures, std::string_view body, WallTime now);

}  // namespace eventyard::cli
