#include "router/ingest/destination.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/bytes.hpp"
#include "core/report.hpp"

namespace eventyard::router {
namespace {

std::string percent_decoded(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%')
            if (const auto byte = from_hex(text.substr(i + 1, 2)); byte && byte->size() == 1) {
                out += *byte;
                i += 2;
                continue;
            }
        out.push_back(text[i]);
    }
    return out;
}

/// Printable and short enough for a message.
std::string shown(std::string_view text)
{
    std::string out;
    for (const char c : text.substr(0, 100)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
    return out;
}

bool refuse(Refusal& refusal, unsigned status, const char* code, std::string message)
{
    refusal.status = status;
    refusal.code = code;
    refusal.message = std::move(message);
    return false;
}

bool read_query(std::string_view query, Destination& out, Refusal& refusal)
{
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view item = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (item.empty()) continue;
        const std::size_t equals = std::min(item.find('='), item.size());
        const std::string name = percent_decoded(item.substr(0, equals));
        const std::string value = percent_decoded(item.substr(std::min(equals + 1, item.size())));
        if (name != "atomic")
            return refuse(refusal, 400, "unknown_parameter",
                          fmt::format("unknown query parameter '{}'; there is 'atomic'", shown(name)));
        if (value == "true") out.atomic = true;
        else if (value == "false") out.atomic = false;
        else
            return refuse(refusal, 400, "invalid_parameter",
                          "the query parameter 'atomic' is true or false");
    }
    return true;
}

}  // namespace

bool find_destination(std::string_view target, const RouteTable& table, Destination& out,
                      Refusal& refusal)
{
    if (const std::size_t scheme = target.find("://");
        scheme != std::string_view::npos && !target.empty() && target.front() != '/') {
        const std::size_t path = target.find('/', scheme + 3);  // the absolute form, as proxies send
        target = path == std::string_view::npos ? "/" : target.substr(path);
    }
    target = target.substr(0, target.find('#'));
    const std::size_t question = target.find('?');
    const std::string_view path = target.substr(0, question);
    const std::string_view query = question == std::string_view::npos ? "" : target.substr(question + 1);

    constexpr std::string_view before = "/v1/buses/", after = "/events";
    std::string name = "default";
    if (path.size() > before.size() + after.size() && path.substr(0, before.size()) == before &&
        path.substr(path.size() - after.size()) == after) {
        name = percent_decoded(path.substr(before.size(), path.size() - before.size() - after.size()));
    } else if (path != "/v1/events") {
        return refuse(refusal, 404, "not_found",
                      fmt::format("nothing is at '{}'; events go to POST /v1/events or "
                                  "/v1/buses/{{bus}}/events", shown(path)));
    }
    const auto bus = table.buses.find(name);
    if (bus == table.buses.end()) {
        std::vector<std::string> names;
        for (const auto& [known, unused] : table.buses) names.push_back(known);
        return refuse(refusal, 404, "unknown_bus",
                      fmt::format("there is no bus '{}'{}", shown(name), did_you_mean(shown(name), names)));
    }
    out.bus = &bus->second;
    return read_query(query, out, refusal);
}

}  // namespace eventyard::router
