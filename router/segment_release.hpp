// router/segment_release.hpp — which journal segments nobody needs any more.
//
// Asks the state, from durable rows only, how far every target has come and where retries still
// point, and lets the journal recycle or unlink the sealed segments below all of that, as far as the
// ledger has counted what they promised. Archives and replays say what they have still to read. A sealed
// segment of which little is still needed (one target is down) is rewritten to that part, so that a
// dead target pins its own events and not everybody's.
//
// Made, asked and destroyed on one thread; answers come on the threads of state and journal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router/journal/journal.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

struct ReleaseOptions {
    std::uint64_t rewrite_min_bytes = 512ULL << 20;  // sealed segments have so many bytes, or
    std::size_t rewrite_min_sealed = 8;              // are so many, before one is rewritten
    double rewrite_below = 0.25;                     // share of a segment's deliveries still needed
};

/// A part of the journal.
struct SequenceRange {
    Sequence after = 0;    // exclusive
    Sequence through = 0;  // inclusive
};

class SegmentRelease {
public:
    /// The references outlive this and everything it asked of them.
    SegmentRelease(Journal& journal, State& state, ReleaseOptions options = {});
    ~SegmentRelease();
    SegmentRelease(const SegmentRelease&) = delete;
    SegmentRelease& operator=(const SegmentRelease&) = delete;

    /// Starts a round unless one is under way or they are held. A round rewrites one segment at most.
    /// @param kept  is not only for deliveries: segments with any of it are left as they are
    void tick(const std::vector<SequenceRange>& kept = {});
    /// Nothing is released or rewritten until let_go(). False: a round is under way, ask again.
    [[nodiscard]] bool hold();
    void let_go();

private:
    struct Rounds;
    std::shared_ptr<Rounds> rounds_;
};

}  // namespace eventyard::router
