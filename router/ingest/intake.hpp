// router/ingest/intake.hpp — one request, from its body to its answer. Pure.
//
// take() reads the items, matches each against its bus and builds the events to commit; the owner
// submits them as one commit unit and calls answer() with the result (or at once, when there is
// nothing to commit). Lives on one I/O thread; its scratch memory is reused.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/ingest/match_meter.hpp"
#include "router/ingest/refusal.hpp"
#include "router/ingest/request.hpp"
#include "router/journal/record.hpp"
#include "router/route_table.hpp"

namespace eventyard::router {

struct ItemOutcome {
    std::optional<Refusal> refusal;  // nothing: accepted
    Id id;
    std::uint32_t deliveries = 0;    // routes matched
    std::int64_t place = -1;         // in the commit unit; -1: accepted, but not stored
    std::uint64_t line = 0;          // NDJSON
};

/// What one request came to, before the commit.
struct Intake {
    bool batch = false;
    std::optional<Refusal> refusal;  // of the request as a whole; then no items
    std::vector<ItemOutcome> items;
    std::vector<std::shared_ptr<StoredEvent>> events;  // to be committed as one unit
    Durability durability = Durability::fsync;
    std::string bus;
};

struct Answer {
    unsigned status = 202;
    unsigned retry_after = 0;  // seconds; 0: none
    std::string body;          // JSON
};

/// Bytes a batch needs beside its events' bodies until it is answered, about.
[[nodiscard]] std::size_t memory_of(const Intake& intake) noexcept;

/// How many of a request's items ended how, for the ledger.
struct IntakeTally {
    std::uint64_t accepted = 0, duplicate = 0, refused = 0, matched = 0, unmatched = 0;
};

class IntakeDesk {
public:
    IntakeDesk(Random& random, const Clock& clock) : random_(random), meter_(clock) {}

    /// @param body    moved from when it is kept as it is
    /// @param atomic  take all items or none
    [[nodiscard]] Intake take(const RouteTable& table, const Bus& bus, BodyForm form,
                              const BodyHeaders& headers, std::string& body, bool atomic,
                              WallTime now);
    /// What matching has cost here; see its sum_into().
    [[nodiscard]] const MatchMeter& meter() const noexcept { return meter_; }

private:
    Random& random_;
    MatchMeter meter_;
    ReadScratch scratch_;
    std::vector<std::uint32_t> rules_;
};

/// @param commit  null when `intake` has no events
[[nodiscard]] Answer answer(const Intake& intake, const Result<CommitResult>* commit);
[[nodiscard]] Answer answer(const Refusal& refusal);
[[nodiscard]] IntakeTally tally(const Intake& intake, const Result<CommitResult>* commit) noexcept;

/// The refusal a failed commit means.
[[nodiscard]] Refusal commit_refusal(const Error& error);

}  // namespace eventyard::router
