#include "cli/target_text.hpp"

#include <cstdint>
#include <optional>

#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

/// One unit is enough for "how long ago" and "how soon".
std::string coarse(std::int64_t seconds)
{
    if (seconds < 60) return std::to_string(seconds) + "s";
    if (seconds < 3600) return std::to_string(seconds / 60) + "m";
    if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + "h";
    return std::to_string(seconds / 86400) + "d";
}

std::string ago(std::int64_t seconds) { return seconds < 1 ? "now" : coarse(seconds) + " ago"; }

std::optional<std::int64_t> time_of(const nlohmann::json& object, const char* key)
{
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    return static_cast<std::int64_t>(found->get<double>());
}

}  // namespace

std::string state_text(const nlohmann::json& target)
{
    std::string state = target.value("state", "");
    if (const std::string reason = target.value("reason", ""); !reason.empty()) state += " (" + reason + ")";
    if (const auto drain = target.find("draining"); drain != target.end())
        state += ", draining: " + grouped(drain->value("left", std::uint64_t{0})) + " left (" + drain->value("reason", "") + ")";
    const nlohmann::json order = target.value("order", nlohmann::json::object());
    if (const auto keys = order.value("parked_keys", std::uint64_t{0}); keys > 0) {
        state += ", " + std::to_string(keys) + (keys == 1 ? " key parked" : " keys parked");
        if (order.value("stopped", false)) state += ": STOPPED";
        if (const auto held = order.value("keys_on_hold", std::uint64_t{0}); held > 0)
            state += ", " + std::to_string(held) + " on hold";
    }
    if (target.value("budget", nlohmann::json::object()).value("over", false)) state += ", OVER BUDGET";
    return state;
}

std::string forecast_text(const nlohmann::json& target)
{
    const nlohmann::json waits = target.value("pending", nlohmann::json::object());
    const auto pending = waits.value("total", std::uint64_t{0});
    const nlohmann::json forecast = target.value("forecast", nlohmann::json::object());
    const auto drains = time_of(forecast, "drains_in_seconds"), given_up = time_of(forecast, "given_up_in_seconds");
    if (pending == 0 || (drains && *drains < 1)) return {};
    std::string text;
    if (waits.value("delayed", std::uint64_t{0}) == pending) text = "nothing is due yet";
    else if (drains) text = "drains in " + coarse(*drains);
    else if (forecast.contains("ended_per_second")) text = "does not drain";
    if (!given_up || (drains && *drains <= *given_up)) return text;
    const std::string by = forecast.value("given_up_by", "");
    if (!text.empty()) text += ", ";
    if (by == "budget") return text + (*given_up == 0 ? "budget is used up" : "budget is used up in " + coarse(*given_up));
    return text + (*given_up == 0 ? "oldest is being given up" : "oldest given up in " + coarse(*given_up)) + " (" + by + ")";
}

std::string last_error_text(const nlohmann::json& target)
{
    const std::string error = target.value("last_error", "");
    if (error.empty() || !target.contains("last_error_age_seconds")) return error;
    return error + " (" + ago(target.at("last_error_age_seconds").get<std::int64_t>()) + ")";
}

}  // namespace eventyard::cli
