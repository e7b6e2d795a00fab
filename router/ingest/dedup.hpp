// router/ingest/dedup.hpp — what of an event says that it came before: the `dedup` of a bus. Pure.
//
// Whether it did is decided where events are numbered, see router/journal/known_events.hpp.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/json_path.hpp"
#include "core/time.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

struct RouteTable;

struct DedupOptions {
    std::vector<json::Path> key;             // each names one value; at least one
    Duration window = std::chrono::minutes{10};
    std::uint32_t keys_max = 1'000'000;      // known at once; above it the oldest are forgotten early
};

/// Nothing when one of the values is missing or null: such an event is taken each time. Values that differ as text make
/// different keys (1 and 1.0 too), and so do buses and paths.
[[nodiscard]] std::optional<Uniqueness> uniqueness_of(const DedupOptions& options, std::string_view bus,
                                                      const json::Document& event, WallTime received);

/// Of an event as it is stored, by what its bus says now; nothing for what a replay made.
[[nodiscard]] std::optional<Uniqueness> uniqueness_of(const RouteTable& table, const StoredEvent& stored, json::Document& scratch);

}  // namespace eventyard::router
