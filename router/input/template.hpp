// router/input/template.hpp — the template of a rule's input: JSON with places where parts of the event go.
//
// A place is <name>, with a name that stands in `paths` or one of the reserved ones (aws.events.rule-name, ...). It stands
// where a JSON value may, or inside a string. The text is one JSON value once each place is taken for a value, so what
// comes of it always is. To write a '<' that is no place: \u003c. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard::router {

class Template {
public:
    enum class What : std::uint8_t {
        path,            // what stands in the event at a path
        whole_event,     // <aws.events.event.json>
        event,           // <aws.events.event>: without its detail (CloudEvents: its data)
        rule_name,       // <aws.events.rule-name>
        ingestion_time,  // <aws.events.event.ingestion-time>
    };
    /// Text as it is sent, and what comes after it.
    struct Piece {
        std::string before;
        What what = What::path;
        std::uint32_t path = 0;    // index into the names
        bool in_string = false;
    };
    /// Why a text is no template, and at which of its bytes.
    struct Fault {
        std::size_t offset = 0;
        std::string message;
    };

    /// @param names  of `paths`
    static std::optional<Template> parse(std::string_view text, const std::vector<std::string>& names, Fault& fault);

    [[nodiscard]] std::span<const Piece> pieces() const noexcept { return pieces_; }
    [[nodiscard]] const std::string& rest() const noexcept { return rest_; }
    [[nodiscard]] bool uses(std::uint32_t path) const noexcept;

private:
    std::vector<Piece> pieces_;
    std::string rest_;  // after the last piece
};

}  // namespace eventyard::router
