#include "router/admin/paths.hpp"

#include <algorithm>
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

std::string refused_parameters(const Request& request, const std::vector<std::string_view>& known)
{
    if (!request.repeated.empty()) return "'" + request.repeated + "' is given twice";
    for (const auto& [key, value] : request.query) {
        if (key.empty() && value.empty()) continue;  // "?" with nothing behind it
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            std::string text = "there is no parameter '" + key + "'";
            if (known.empty()) return text + " here";
            text += known.size() == 1 ? "; there is " : "; there are ";
            for (std::size_t i = 0; i < known.size(); ++i)
                text += std::string(i == 0 ? "" : i + 1 == known.size() ? " and " : ", ") + std::string(known[i]);
            return text;
        }
        if (value.empty() && key != "after" && key != "who" && key != "why") return "'" + key + "' is empty; leave it out";
    }
    return {};
}

std::string refused_parameters_of_act(const Request& request, std::vector<std::string_view> known)
{
    known.insert(known.end(), {"who", "why"});
    return refused_parameters(request, known);
}

std::string read_flag(const Request& request, const char* key, bool& value)
{
    const std::string text = query(request, key);
    if (text.empty()) return {};
    if (text != "true" && text != "false") return std::string(key) + " must be true or false";
    value = text == "true";
    return {};
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
