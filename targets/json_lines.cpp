#include "targets/json_lines.hpp"

#include "core/json.hpp"

namespace eventyard::targets {
namespace {

void append_member(std::string& out, const char* key, std::string_view value)
{
    out.append("\"").append(key).append("\":");
    json::append_quoted(out, value);
    out.push_back(',');
}

}  // namespace

void append_json_line(std::string& out, const Delivery& delivery, bool envelope)
{
    const Event& event = delivery.event;
    if (envelope) {
        out.push_back('{');
        append_member(out, "delivery", delivery.id);
        if (!delivery.replay_of.empty()) append_member(out, "replay_of", delivery.replay_of);
        append_member(out, "id", event.id.text());
        append_member(out, "rule", delivery.rule);
        append_member(out, "bus", event.bus);
        append_member(out, "received", to_rfc3339(event.received));
        out.append("\"event\":");
    }
    const std::size_t body = out.size();
    out.append(event.body);
    for (const char end : {'\n', '\r'})  // a search each: few bodies have any
        for (auto at = out.find(end, body); at != std::string::npos; at = out.find(end, at + 1)) out[at] = ' ';
    if (envelope) out.push_back('}');
    out.push_back('\n');
}

std::string to_json_line(const Delivery& delivery, bool envelope)
{
    std::string line;
    line.reserve(delivery.event.body.size() + (envelope ? 256 : 2));
    append_json_line(line, delivery, envelope);
    return line;
}

}  // namespace eventyard::targets
