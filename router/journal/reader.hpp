// router/journal/reader.hpp — reads a lane's work, single events and counts back from segments.
//
// A lane jumps over segments without its work and reads only its own frames, neighbours in one
// piece. What the disk does not give is an error first, and lost only when it is asked for again and
// again while other things can be read. Not thread-safe: one thread at a time; writer and keeper may work beside it.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/journal/journal.hpp"
#include "router/journal/load.hpp"

namespace eventyard::router {

class Reader {
public:
    using Tally = std::map<std::pair<std::string, std::string>, std::uint64_t>;

    Reader(Disk& disk, SegmentSet& segments, Versions& versions)
        : disk_(disk), segments_(segments), versions_(versions)
    {
    }

    Result<LaneChunk> read_lane(const LaneRead& request);
    Result<StoredEventPtr> read_event(Sequence sequence);
    Result<EventChunk> read_events(const EventsRead& request);
    /// See Journal::visit_events().
    Result<void> visit_events(Sequence after, Sequence through, const std::function<void(const StoredEvent&)>& visit);
    Result<Tally> tally(Sequence after, Sequence through);
    /// Of these alone, as far as they are kept; sorts them.
    Result<Tally> tally_of(std::vector<DeliveryKey>& keys);
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after);
    Result<Excess> excess(const ExcessRead& request);
    [[nodiscard]] std::uint64_t read_bytes() const noexcept { return read_bytes_; }
    /// Closes files that have been unlinked or replaced: the disk may have their blocks back.
    void close_replaced();

private:
    /// One event that a lane wants.
    struct Wanted {
        Sequence sequence = 0;
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
        std::uint32_t body_length = 0;
        bool damaged = false;
        std::vector<std::uint32_t> routes;  // places in the event's routes; none: the event alone is wanted
    };

    template <class Look>
    static auto settled(Look look) -> decltype(look());
    Result<LaneChunk> read_lane_once(const LaneRead& request);
    Result<StoredEventPtr> read_event_once(Sequence sequence);
    Result<EventChunk> read_events_once(const EventsRead& request);
    Result<Tally> tally_once(Sequence after, Sequence through);
    Result<Tally> tally_of_once(const std::vector<DeliveryKey>& keys);
    Result<std::uint64_t> count_after_once(const std::string& target, DeliveryKey after);
    Result<Excess> excess_once(const ExcessRead& request);
    Result<double> mean_size(const std::vector<SegmentPtr>& segments, const std::string& target);
    template <class Visit>
    Result<void> with_index(Segment& segment, Visit visit);
    template <class Visit>
    Result<bool> look_into(const SegmentPtr& segment, Visit visit);
    Result<LoadedSegment> load(const SegmentPtr& segment);
    /// Ends before the first event that the disk does not give now; true then, and chunk.through says so.
    Result<bool> read_frames(Segment& segment, File& file, const std::vector<Wanted>& wanted,
                             std::size_t max_piece, LaneChunk& chunk);
    bool given_up(File& file, Sequence sequence);
    Result<void> name_rules(const SegmentPtr& segment, std::vector<DamagedDelivery>& damaged, std::size_t from);

    Disk& disk_;
    SegmentSet& segments_;
    Versions& versions_;
    struct Cached {
        SegmentPtr segment;
        LoadedSegment loaded;
    };
    std::list<Cached> cache_;  // most recent first
    std::map<Sequence, unsigned> refused_;  // events the disk does not give: how often asked
    std::uint64_t read_bytes_ = 0;
};

}  // namespace eventyard::router
