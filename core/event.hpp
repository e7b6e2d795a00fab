// core/event.hpp — an accepted event, as the journal stores it and targets receive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/ids.hpp"

namespace eventyard {

enum class EventFormat : std::uint8_t {
    json = 0,         // the object as posted, byte for byte
    cloudevents = 1,  // CloudEvents 1.0 in the JSON format, whichever mode it arrived in
    erased = 2,       // somebody had its body erased; what is left is not sent to anybody
};

/// The body of an event that was erased.
constexpr std::string_view erased_body = R"({"eventyard":"erased"})";

/// Immutable once accepted.
struct Event {
    Id id;                    // given at acceptance
    WallTime received;
    EventFormat format = EventFormat::json;
    std::string bus;
    std::string body;         // one JSON object
};

[[nodiscard]] inline bool is_erased(const Event& event) noexcept { return event.format == EventFormat::erased; }

/// The media type a target announces for `format`.
[[nodiscard]] constexpr const char* content_type(EventFormat format) noexcept
{
    return format == EventFormat::cloudevents ? "application/cloudevents+json" : "application/json";
}

}  // namespace eventyard
