// router/state/dead_letter.hpp — deliveries that were given up, in groups and by filter, and the
// redrives that give them another chance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.hpp"
#include "core/time.hpp"
#include "router/journal/record.hpp"

namespace eventyard::router {

/// One failed attempt, kept with its retry or dead letter.
struct AttemptRecord {
    WallTime at{};
    int status = 0;
    std::string cause;      // targets::text_of(Cause)
    std::string detail;
    std::string response;   // first bytes
    Duration latency{0};
};

struct DeadLetter {
    std::int64_t id = 0;          // given by the state; a later death has a higher one
    std::string target;           // the target that failed
    std::string rule;
    std::string bus;
    DeliveryKey key;
    Id event;
    std::string delivery_id;
    EventFormat format = EventFormat::json;
    std::string body;             // the event's, as it was accepted
    std::string input;            // what its rule made of it, see router/input/input.hpp; empty: nothing, it was sent as it is
    std::string reason;           // "max_attempts", "max_age", "final_status", ...
    std::string cause;
    int last_status = 0;
    std::string last_detail;
    std::string last_response;
    std::uint32_t attempts = 0;   // all of them, those before a redrive included
    WallTime received{}, dead{};
    std::string routed_to;        // moved before it died: the target its rule named; empty: `target`
    std::string forward_to;       // dead-letter target still to be served; empty: none or done
    std::uint32_t redrives = 0;   // how often it was given another chance
    std::int64_t group = 0;       // DeadLetterGroup::id; 0: redriven, pending again
    std::vector<AttemptRecord> trail;  // where asked for
    [[nodiscard]] const std::string& addressee() const noexcept { return routed_to.empty() ? target : routed_to; }
};

/// Letters that most likely share one reason: same target, cause and fingerprint.
struct DeadLetterGroup {
    std::int64_t id = 0;
    std::string target;
    std::string cause;
    std::string fingerprint;      // see fingerprint.hpp
    std::uint64_t letters = 0;
    std::uint64_t bytes = 0;      // of bodies
    WallTime first{}, last{};     // deaths
    DeadLetter sample;            // the newest one, without its body
};

/// Which dead letters are meant; an empty field takes all.
struct DeadLetterFilter {
    std::string target{}, rule{}, reason{}, cause{};
    std::int64_t group = 0;
    WallTime dead_from{}, dead_before{};  // at or after; before
    Id event{};                           // nil: any
    std::vector<std::int64_t> ids{};      // ascending
    std::int64_t after_id = 0;            // exclusive
    std::int64_t until_id = 0;            // inclusive; 0: no end
    // How much of each, and of them at a time.
    std::size_t limit = 100;
    bool bodies = false, trails = false;

    [[nodiscard]] bool takes(const DeadLetter& letter) const noexcept;
};

struct DeadLetterPage {
    std::vector<DeadLetter> letters;      // fewer than `limit` where a look or its bodies grow too large
    std::int64_t through = 0;             // every letter up to this id was looked at
    bool more = false;                    // there may be further ones
};

/// Who did something by hand, and why: for the log.
struct Act {
    std::string who, why;
};

/// One of a redrive's first deliveries.
struct TrialKey {
    std::string target;
    DeliveryKey key;
};
struct TrialResult {
    enum class State : std::uint8_t { waiting, ended, failed };  // ended: delivered, as a rule
    State state = State::waiting;
    std::string error;                    // of a failed one
};

/// Dead letters on their way back to their targets. Survives restarts; see dead_letter_desk.hpp.
struct RedriveJob {
    enum class State : std::uint8_t { trial, running, done, stopped, cancelled };
    std::int64_t id = 0;
    State state = State::trial;
    DeadLetterFilter filter;              // after_id moves on, until_id is fixed: no letter twice
    double per_second = 100;              // 0: as fast as it goes
    std::uint64_t total = 0;              // letters that matched when it was asked for
    std::uint64_t redriven = 0;
    std::uint64_t skipped = 0;            // of targets that are not configured any more
    std::uint64_t erased = 0;             // of events that were erased: skipped as well
    std::vector<TrialKey> trial;          // the first ones, while they are waited for
    std::string who, why;
    std::string message;                  // why it stopped, or what it waits for
    WallTime created{}, changed{};
    [[nodiscard]] bool active() const noexcept { return state == State::trial || state == State::running; }
};
[[nodiscard]] const char* text_of(RedriveJob::State state) noexcept;

/// As stored.
[[nodiscard]] std::string encode(const RedriveJob& job);
/// Errc::corrupt when it is not what encode() makes.
Result<RedriveJob> decode_redrive(std::string_view text);

}  // namespace eventyard::router
