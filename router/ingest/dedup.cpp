#include "router/ingest/dedup.hpp"

#include <algorithm>
#include <string>

#include "core/bytes.hpp"
#include "core/sha256.hpp"
#include "router/replay_name.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

std::optional<Uniqueness> uniqueness_of(const DedupOptions& options, std::string_view bus, const json::Document& event,
                                        WallTime received)
{
    std::string input, text;
    ByteWriter writer{input};
    writer.text(bus);
    for (const json::Path& path : options.key) {
        const json::Value* const value = path.find(event);
        if (value == nullptr || value->kind == json::Kind::null) return std::nullopt;
        path.append_to(input);  // another `key` makes other keys, whatever the values
        text.clear();
        if (value->kind == json::Kind::string) json::append_quoted(text, value->text);
        else text = event.source(*value);
        writer.text(text);
    }
    // A chance meeting of two keys would lose an event, and somebody might look for one: so no lesser checksum.
    const auto digest = sha256(input);
    Uniqueness once;
    std::copy_n(digest.begin(), once.key.size(), once.key.begin());
    once.until = received + options.window;
    once.keys_max = options.keys_max;
    return once;
}

std::optional<Uniqueness> uniqueness_of(const RouteTable& table, const StoredEvent& stored, json::Document& scratch)
{
    const auto bus = table.buses.find(stored.event.bus);
    if (bus == table.buses.end() || !bus->second.dedup) return std::nullopt;
    if (!stored.routes.empty() && parse_replay_name(stored.version->routes[stored.routes.front()].rule)) return std::nullopt;
    json::SyntaxError error;
    if (!scratch.parse(stored.event.body, {.depth = UINT32_MAX}, error)) return std::nullopt;  // it was accepted once
    return uniqueness_of(*bus->second.dedup, stored.event.bus, scratch, stored.event.received);
}

}  // namespace eventyard::router
