// What the lists of targets say of a backlog's end.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/target_text.hpp"

using eventyard::cli::forecast_text;
using nlohmann::json;

namespace {

json target(json pending, json forecast) { return {{"pending", std::move(pending)}, {"forecast", std::move(forecast)}}; }

const json standing{{"drains_in_seconds", nullptr}, {"ended_per_second", 0.0}};

}  // namespace

TEST_CASE("a forecast says how a backlog ends, and does not complain of what is not due yet")
{
    CHECK(forecast_text(target({{"total", 0}}, standing)).empty());
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 0}}, standing)) == "does not drain");
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 8}}, standing)) == "does not drain");
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 9}}, standing)) == "nothing is due yet");
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 0}}, {{"drains_in_seconds", 250.0}})) == "drains in 4m");
    // Not known yet: no word of it.
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 0}}, {{"drains_in_seconds", nullptr}})).empty());
    const json old{{"drains_in_seconds", nullptr}, {"ended_per_second", 0.0}, {"given_up_in_seconds", 18000.0}, {"given_up_by", "max_age"}};
    CHECK(forecast_text(target({{"total", 9}, {"delayed", 0}}, old)) == "does not drain, oldest given up in 5h (max_age)");
    const json late{{"drains_in_seconds", nullptr}, {"ended_per_second", 0.0}, {"given_up_in_seconds", 60.0}, {"given_up_by", "expire_after"}};
    CHECK(forecast_text(target({{"total", 1}, {"delayed", 1}}, late)) == "nothing is due yet, oldest given up in 1m (expire_after)");
}
