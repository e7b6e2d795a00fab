// targets/webhook_batch.hpp — many deliveries as the body of one request, and what its answer says of each. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "targets/target.hpp"

namespace eventyard::targets {

enum class BatchFormat : std::uint8_t {
    ndjson,       // a line each, see to_json_line() with its envelope
    json,         // an array of the same
    cloudevents,  // the batch format of CloudEvents 1.0
};

[[nodiscard]] const char* content_type(BatchFormat format) noexcept;

/// Every delivery's id is in it: in the member `delivery`, of a CloudEvent in the extension attribute
/// `eventyarddelivery`. In a batch of CloudEvents an event that is none becomes the data of one.
[[nodiscard]] std::string batch_body(BatchFormat format, std::span<const Delivery> deliveries);

/// The webhook-id of the request: the same for the same deliveries, in any attempt.
[[nodiscard]] std::string batch_id(std::span<const Delivery> deliveries);

/// The statuses that an answer gives to single deliveries, in their order; none: to that one it gives none. It is
/// [{"delivery": ID, "status": 503}, ...], or an object with that as its member `results`. Empty: any other body. Of several
/// for one delivery the first that is no success counts.
constexpr unsigned unreadable_status = 0;  // it names the delivery, with no status from 200 to 599
[[nodiscard]] std::vector<std::optional<unsigned>> batch_results(std::string_view body,
                                                                 std::span<const Delivery> deliveries);

}  // namespace eventyard::targets
