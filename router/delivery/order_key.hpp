// router/delivery/order_key.hpp — what of an event says which others it keeps its order with.
//
// Written as a JSONPath that names one value (a singular query of RFC 9535: $.detail.id, $['a b'][0], $.list[-1]),
// or as the name of a CloudEvents attribute or another member of the event's outermost object: subject. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/event.hpp"
#include "core/json_path.hpp"
#include "core/result.hpp"

namespace eventyard::router {

class OrderKey {
public:
    /// Errc::invalid: says what was expected where.
    static Result<OrderKey> parse(std::string_view text);

    /// The value as text: what differs as text is another key (1 and 1.0 too). Empty: the event has no such
    /// value, or null; it keeps no order. At most `length_max` bytes: of a longer one the beginning and a checksum.
    [[nodiscard]] std::string of(const Event& event, json::Document& scratch) const;
    static constexpr std::size_t length_max = 128;

private:
    json::Path path_;
};

}  // namespace eventyard::router
