// bench/micro/city_lot.hpp — one event of the matching benchmark, for the pieces that read events.
#pragma once

#include <string>
#include <string_view>

#include "core/json.hpp"

namespace eventyard::micro {

constexpr std::string_view city_lot =
    R"({"type":"Feature","properties":{"MAPBLKLOT":"1430022","BLKLOT":"1430022","BLOCK_NUM":"1430",)"
    R"("LOT_NUM":"022","FROM_ST":"1210","TO_ST":"1212","STREET":"RHODE ISLAND","ST_TYPE":"ST","ODD_EVEN":"E"},)"
    R"("geometry":{"type":"Polygon","coordinates":[[{"x":-122.46093040106452,"y":37.78123094401331,"z":0.0},)"
    R"({"x":-122.46107912034125,"y":37.78135910240223,"z":0.0},)"
    R"({"x":-122.46088173401934,"y":37.78140718821045,"z":0.0},)"
    R"({"x":-122.46122340118732,"y":37.78119320187714,"z":0.0},)"
    R"({"x":-122.46101873214567,"y":37.78128817730019,"z":0.0},)"
    R"({"x":-122.46117711029847,"y":37.78131190817745,"z":0.0},)"
    R"({"x":-122.46093040106452,"y":37.78123094401331,"z":0.0}]],)"
    R"("firstCoordinates":{"x":-122.46093040106452,"y":37.78123094401331,"z":0.0}}})";

/// The event with readable bytes after its end, as parse_padded wants it.
class PaddedCityLot {
public:
    PaddedCityLot() : bytes_(city_lot) { bytes_.append(json::Document::padding, ' '); }
    [[nodiscard]] std::string_view text() const noexcept
    {
        return std::string_view(bytes_).substr(0, city_lot.size());
    }

private:
    std::string bytes_;
};

}  // namespace eventyard::micro
