// router/journal/record.hpp — what the journal takes in and gives out.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/event.hpp"
#include "core/result.hpp"
#include "router/routing_version.hpp"

namespace eventyard::router {

/// Position in the journal, given once and never again in one store. 0 is before the first event.
using Sequence = std::uint64_t;

enum class Durability : std::uint8_t {
    fsync,   // answered after fdatasync
    os,      // answered after write(): survives the process, not the machine
    memory,  // answered when queued: survives nothing
};

/// What tells an event from others of its bus, see router/ingest/dedup.hpp.
using EventKey = std::array<std::uint8_t, 16>;

/// Of an event that is taken once.
struct Uniqueness {
    EventKey key{};
    WallTime until{};               // its key is known up to here
    std::uint32_t keys_max = 0;     // how many its bus keeps
};

/// An event with its routes. Built by ingest, numbered by the journal, immutable from then on and
/// shared by every lane that still needs it.
struct StoredEvent {
    Event event;
    RoutingVersionPtr version;
    std::vector<std::uint32_t> routes;  // indices into version->routes, ascending
    std::uint32_t bus = 0;              // index into version->buses
    Sequence sequence = 0;              // set by the journal
    std::optional<Uniqueness> once{};   // its bus takes no event twice; not stored
};

using StoredEventPtr = std::shared_ptr<const StoredEvent>;

/// One delivery: route `route` (an index into StoredEvent::routes) of event `sequence`.
struct DeliveryKey {
    Sequence sequence = 0;
    std::uint32_t route = 0;
    auto operator<=>(const DeliveryKey&) const = default;
};

/// An event that came before and was not stored again.
struct Repeated {
    std::uint32_t place = 0;  // in the unit as submitted
    Id event;                 // of the one that is stored
    Sequence sequence = 0;
};

/// The answer to one commit unit.
struct CommitResult {
    Sequence first = 0;  // sequence of the unit's first event that is no repetition; the others follow without a gap
    Durability durability = Durability::fsync;
    std::vector<Repeated> repeated{};  // ascending places
};

/// The accepted items of one request: after a crash either all are there or none.
struct CommitUnit {
    std::vector<std::shared_ptr<StoredEvent>> events;  // at least one
    Durability durability = Durability::fsync;
    std::vector<Repeated> repeated{};  // the journal's
    /// Called once on the journal thread. Errors: no_space, io (outcome unknown), cancelled.
    std::function<void(const Result<CommitResult>&)> done;
};

/// Keys of a bus that are not known any more: those of events up to here.
struct ForgottenKeys {
    std::string bus;
    Sequence through = 0;
};

/// One commit made durable (to its durability): what lanes that keep up read.
struct CommitBatch {
    Sequence first = 0;
    Sequence last = 0;                   // inclusive
    std::vector<StoredEventPtr> events;  // ascending
    std::vector<ForgottenKeys> forgotten{};
};

using CommitBatchPtr = std::shared_ptr<const CommitBatch>;

/// One delivery that a lane reads back from disk.
struct LaneItem {
    StoredEventPtr event;
    std::uint32_t route = 0;             // index into event->routes
};

/// One delivery whose event can no longer be read; the rule's name survives in the segment's index.
struct DamagedDelivery {
    DeliveryKey key;
    std::string rule;
    auto operator<=>(const DamagedDelivery&) const = default;
};

/// A piece of one target's work, in order of (sequence, route).
struct LaneChunk {
    std::vector<LaneItem> items;
    Sequence through = 0;                // everything of the target up to here is in items or before
    /// Deliveries of this target in the range that can no longer be read: settle as damaged/lost.
    std::vector<DamagedDelivery> damaged;
};

/// Events whoever they go to, in order of sequence.
struct EventChunk {
    std::vector<StoredEventPtr> events;
    Sequence through = 0;                // every kept event up to here is in events, in damaged, or before
    std::vector<Sequence> damaged;       // can no longer be read
};

}  // namespace eventyard::router
