#include "cli/target_text.hpp"

#include <cstdint>

#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

/// One unit is enough for "how long ago".
std::string coarse(std::int64_t seconds)
{
    if (seconds < 1) return "now";
    if (seconds < 60) return std::to_string(seconds) + "s ago";
    if (seconds < 3600) return std::to_string(seconds / 60) + "m ago";
    if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + "h ago";
    return std::to_string(seconds / 86400) + "d ago";
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
    return state;
}

std::string last_error_text(const nlohmann::json& target)
{
    const std::string error = target.value("last_error", "");
    if (error.empty() || !target.contains("last_error_age_seconds")) return error;
    return error + " (" + coarse(target.at("last_error_age_seconds").get<std::int64_t>()) + ")";
}

}  // namespace eventyard::cli
