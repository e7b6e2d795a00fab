// router/archive/replay.hpp — what a replay is asked to do and how far it has come; as JSON on disk. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "core/result.hpp"
#include "core/time.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

/// Which events, where to, and how.
struct ReplayRequest {
    std::string bus = "default";
    Sequence first = 0, last = 0;    // inclusive; 0: from the oldest, to what the journal held when it was asked
    WallTime from{}, before{};       // of receipt; zero: any
    std::string rule, target;        // only this one; empty: every one that matches now
    double per_second = 0;           // events; 0: no limit
    bool dry_run = false;            // only counts
    bool same_ids = false;           // deliveries have the ids that the originals had
};

enum class ReplayState : std::uint8_t { running, done, cancelled, failed };
[[nodiscard]] const char* text_of(ReplayState state) noexcept;

struct ReplayJob {
    std::int64_t id = 0;
    std::string tag;                 // in the names of its routes; see replay_name.hpp
    ReplayRequest request;
    ReplayState state = ReplayState::running;
    Sequence begin = 0, through = 0; // of the events to be looked at, inclusive
    Sequence cursor = 0;             // looked at up to here, and what matched is in the journal
    Sequence next = 0;               // where cursor goes when the batch under way is in the journal; 0: none is
    Sequence mark = 0;               // the batch under way can stand above it only
    std::uint64_t next_read = 0, next_unreadable = 0;  // what the batch under way adds to `read` and `unreadable`
    std::uint64_t read = 0;          // events of the range and the times asked for
    std::uint64_t events = 0, deliveries = 0;  // replayed; of a dry run: that would be
    std::uint64_t unreadable = 0;    // events in damaged blocks or segments
    WallTime earliest{}, latest{};   // receipt of the first and last of those events
    std::map<std::pair<std::string, std::string>, std::uint64_t> routes;  // deliveries by (rule, target)
    std::string message;             // what it waits for, or why it ended
    std::string who, why;
    WallTime created{}, changed{};
};

[[nodiscard]] std::string encode_replay(const ReplayJob& job);
/// Errc::corrupt: not a replay; unsupported: of a newer form.
Result<ReplayJob> decode_replay(const std::string& text);

}  // namespace eventyard::router
