#include "router/admin/paths.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "router/ingest/cloudevents.hpp"

namespace eventyard::router::admin {

using nlohmann::json;

std::string dump(const json& value)
{
    return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Answer error_answer(unsigned status, const std::string& why)
{
    return {status, dump({{"error", why}})};
}

Answer failure(const Error& error)
{
    const unsigned status = error.code == Errc::not_found    ? 404
                            : error.code == Errc::invalid    ? 400
                            : error.code == Errc::conflict   ? 409
                            : error.code == Errc::unavailable ? 503
                                                              : 500;
    return error_answer(status, error.what);
}

std::string query(const Request& request, const char* key)
{
    const auto found = request.query.find(key);
    return found == request.query.end() ? std::string() : found->second;
}

bool number(const std::string& text, std::int64_t& value)
{
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size();
}

Act act_of(const Request& request)
{
    const std::string who = query(request, "who");
    return {who.empty() ? "somebody" : who, query(request, "why")};
}

void put_bytes(json& out, const std::string& key, const std::string& bytes)
{
    if (is_utf8(bytes)) {
        out[key] = bytes;
        return;
    }
    std::string text;
    append_base64(text, bytes);
    out[key + "_base64"] = text;
}

}  // namespace eventyard::router::admin
