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

std::string to_json_line(const Delivery& delivery, bool envelope)
{
    const Event& event = delivery.event;
    std::string line;
    line.reserve(event.body.size() + (envelope ? 256 : 2));
    if (envelope) {
        line.push_back('{');
        append_member(line, "delivery", delivery.id);
        if (!delivery.replay_of.empty()) append_member(line, "replay_of", delivery.replay_of);
        append_member(line, "id", event.id.text());
        append_member(line, "rule", delivery.rule);
        append_member(line, "bus", event.bus);
        append_member(line, "received", to_rfc3339(event.received));
        line.append("\"event\":");
    }
    for (const char c : event.body) line.push_back(c == '\n' || c == '\r' ? ' ' : c);
    if (envelope) line.push_back('}');
    line.push_back('\n');
    return line;
}

}  // namespace eventyard::targets
