#include "targets/webhook_batch.hpp"

#include <charconv>
#include <unordered_map>

#include "core/json.hpp"
#include "targets/fingerprint.hpp"
#include "targets/json_lines.hpp"

namespace eventyard::targets {
namespace {

constexpr std::string_view delivery_attribute = "eventyarddelivery", replay_attribute = "eventyardreplayof";

/// The event without the attributes that another daemon gave it; JSON names are each to be there once.
std::string without_attributes(const std::string& body)
{
    json::Document document;
    json::SyntaxError error;
    const bool none = body.find(delivery_attribute) == std::string::npos && body.find(replay_attribute) == std::string::npos;
    if (none || !document.parse(body, {}, error)) return body;
    std::string out = "{";
    for (std::uint32_t at = 1; at < document.root().next; at = document.values()[at].next) {
        const json::Value& member = document.values()[at];
        if (member.key == delivery_attribute || member.key == replay_attribute) continue;
        if (out.size() > 1) out.push_back(',');
        json::append_quoted(out, member.key);
        out.append(":").append(document.source(member));
    }
    return out + "}";
}

void append_attribute(std::string& out, std::string_view name, std::string_view value)
{
    json::append_quoted(out, name);
    out.push_back(':');
    json::append_quoted(out, value);
}

void append_cloudevent(std::string& out, const Delivery& delivery)
{
    const Event& event = delivery.event;
    if (event.format == EventFormat::cloudevents) {
        const std::string body = without_attributes(event.body);
        out.append(body, 0, body.rfind('}')).push_back(',');
    } else {
        out.append(R"({"specversion":"1.0",)");
        append_attribute(out, "id", event.id.text());
        out.push_back(',');
        append_attribute(out, "source", "/eventyard/" + event.bus);
        out.append(R"(,"type":"eventyard.event",)");
        append_attribute(out, "time", to_rfc3339(event.received));
        out.append(R"(,"datacontenttype":"application/json","data":)").append(event.body).push_back(',');
    }
    append_attribute(out, delivery_attribute, delivery.id);
    if (!delivery.replay_of.empty()) {
        out.push_back(',');
        append_attribute(out, replay_attribute, delivery.replay_of);
    }
    out.push_back('}');
}

std::size_t size_of(std::span<const Delivery> deliveries)
{
    std::size_t size = 2;
    for (const Delivery& delivery : deliveries) size += delivery.event.body.size() + 256;
    return size;
}

std::optional<unsigned> status_of(const json::Document& document, std::uint32_t item)
{
    const json::Value* const status = document.member(item, "status");
    if (!status || status->kind != json::Kind::number) return std::nullopt;
    unsigned number = 0;
    const auto [end, ec] = std::from_chars(status->text.data(), status->text.data() + status->text.size(), number);
    const bool whole = ec == std::errc{} && end == status->text.data() + status->text.size();
    return whole && number >= 200 && number < 600 ? std::optional{number} : std::nullopt;
}

}  // namespace

const char* content_type(BatchFormat format) noexcept
{
    switch (format) {
        case BatchFormat::ndjson: return "application/x-ndjson";
        case BatchFormat::json: return "application/json";
        case BatchFormat::cloudevents: break;
    }
    return "application/cloudevents-batch+json";
}

std::string batch_body(BatchFormat format, std::span<const Delivery> deliveries)
{
    std::string out;
    out.reserve(size_of(deliveries));
    const bool list = format != BatchFormat::ndjson;
    if (list) out.push_back('[');
    for (const Delivery& delivery : deliveries) {
        if (list && out.size() > 1) out.push_back(',');
        if (format == BatchFormat::cloudevents) {
            append_cloudevent(out, delivery);
        } else {
            append_json_line(out, delivery, true);
            if (list) out.pop_back();
        }
    }
    if (list) out.push_back(']');
    return out;
}

std::string batch_id(std::span<const Delivery> deliveries)
{
    Fingerprint all;
    for (const Delivery& delivery : deliveries) all.add(delivery.id);
    return "bat_" + all.text().substr(0, 32);
}

std::vector<std::optional<unsigned>> batch_results(std::string_view body, std::span<const Delivery> deliveries)
{
    json::Document document;
    json::SyntaxError error;
    if (!document.parse(body, {}, error)) return {};
    const auto values = document.values();
    std::uint32_t list = 0;
    if (document.root().kind == json::Kind::object) {
        const json::Value* const results = document.member(0, "results");
        if (!results) return {};
        list = static_cast<std::uint32_t>(results - values.data());
    }
    if (values[list].kind != json::Kind::array) return {};
    std::unordered_map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < deliveries.size(); ++i) places.emplace(deliveries[i].id, i);
    std::vector<std::optional<unsigned>> statuses(deliveries.size());
    for (std::uint32_t at = list + 1; at < values[list].next; at = values[at].next) {
        if (values[at].kind != json::Kind::object) continue;
        const json::Value* const id = document.member(at, "delivery");
        if (!id || id->kind != json::Kind::string) continue;
        const auto place = places.find(id->text);
        if (place == places.end()) continue;
        auto& known = statuses[place->second];
        if (!known || (*known >= 200 && *known < 300)) known = status_of(document, at).value_or(unreadable_status);
    }
    return statuses;
}

}  // namespace eventyard::targets
