// router/ingest/request.hpp — the body of a POST into events or refusals. Pure.
//
// Which form a body has is said by its headers (body_form), before it is read; read_items() then
// hands each item to a sink, one after the other, with its parsed document, which lives only
// during the call. So a batch of any length needs memory for one document.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.hpp"
#include "core/json.hpp"
#include "router/ingest/cloudevents.hpp"
#include "router/ingest/refusal.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

enum class BodyForm : std::uint8_t {
    json,           // one object, kept byte for byte
    ndjson,         // one object a line, blank lines ignored
    ce_structured,  // one CloudEvent in the JSON format
    ce_batch,       // a JSON array of them
    ce_binary,      // attributes in ce- headers, the body is the data
};

/// What the head of a request says about its body. Views point into the head.
struct BodyHeaders {
    std::optional<std::string_view> content_type;
    std::vector<CeHeader> ce;
};

/// Nothing, with a 415 or 400 in `refusal`, when no form is meant. A missing Content-Type means
/// application/json.
[[nodiscard]] std::optional<BodyForm> body_form(const BodyHeaders& headers, Refusal& refusal);

/// Whether the answer is a list.
[[nodiscard]] constexpr bool is_batch(BodyForm form) noexcept
{
    return form == BodyForm::ndjson || form == BodyForm::ce_batch;
}

/// An item that is an event by its form; whether it is taken is still to be decided.
struct Candidate {
    EventFormat format = EventFormat::json;
    std::string_view text;           // what to keep; valid during the call
    const json::Document& document;  // of `text`
    bool whole_body = false;         // `text` is the request's body
    std::uint64_t line = 0;          // NDJSON only
};

class ItemSink {
public:
    virtual ~ItemSink() = default;
    virtual void take(const Candidate& item) = 0;
    virtual void refuse(Refusal refusal) = 0;
};

/// Memory that is reused from request to request.
struct ReadScratch {
    json::Document document;
    json::Document batch;
    std::string text;
};

/// False when the request is refused as a whole; then the sink has seen nothing.
[[nodiscard]] bool read_items(BodyForm form, const BodyHeaders& headers, std::string_view body,
                              const IngestLimits& limits, ReadScratch& scratch, ItemSink& sink,
                              Refusal& refusal);

}  // namespace eventyard::router
