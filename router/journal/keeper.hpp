// router/journal/keeper.hpp — what need not cost a commit its time: sealing, recycling, rewriting, erasing.
//
// Not thread-safe: one thread at a time; appender and reader may work beside it. Blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "router/journal/journal.hpp"
#include "router/journal/load.hpp"
#include "router/journal/segments.hpp"
#include "router/journal/spares.hpp"
#include "router/journal/versions.hpp"

namespace eventyard::router {

class Keeper {
public:
    Keeper(Disk& disk, SegmentSet& segments, Versions& versions, Spares& spares)
        : disk_(disk), segments_(segments), versions_(versions), spares_(spares)
    {
    }

    /// Ends a segment that gets no more events. One whose writes failed is not written to again:
    /// what is good of it goes to a new file. False: it could not be; to be tried again as failed.
    /// @param again  it was tried before: a failure is not news
    bool close(const SegmentPtr& segment, bool failed, bool again = false);
    /// Removes segments that ended without an event, once they may go. False: one that should be gone is still there.
    bool remove_unused();
    /// Unlinks or recycles segments that nobody needs. One stays while no later one has its header on disk, or a start
    /// would find nothing that tells which events there were; and one whose former neighbour is not sealed: its header
    /// says where that one ends.
    void release(const std::vector<std::string>& names);
    Result<void> rewrite(const std::string& name,
                         const std::function<bool(const StoredEvent&, std::uint32_t route)>& keep);
    /// See Journal::find. Reads indexes, and the frames whose ids have the same hash. In keeper_erase.cpp, as what follows.
    Result<std::vector<StoredEventPtr>> find(const Id& event);
    /// Whether the event is in a segment that is still written to.
    [[nodiscard]] bool in_open_segment(const Id& event) const;
    /// Takes over segments that recovery found without an event, and whose headers may be all that tells.
    void adopt_unused(std::vector<SegmentPtr> unused) { unused_ = std::move(unused); }
    /// No file that is no segment yet, or never became one, holds anything of a former life.
    /// @param closing  names of segments on their way to close()
    Result<void> clear_spares(const std::function<std::set<std::string>()>& closing);
    /// Rewrites the sealed segments that hold the event; how many events that are. Errc::unavailable: one is not sealed.
    Result<std::uint64_t> erase(const Id& event);
    /// See Journal::copy_to. No segment is sealed, released or rewritten while this runs.
    Result<JournalCopy> copy_to(const std::string& directory);
    /// Prepares the next segment and spares within `room` bytes; without room gives spares up.
    void prepare(std::uint64_t room);

private:
    /// Where an event with the sought id lies.
    struct Place {
        SegmentPtr segment;
        LoadedSegment loaded;  // the index: of a sealed segment only
        Sequence sequence = 0;
        std::uint64_t offset = 0;
        std::vector<std::pair<std::string, std::string>> names;  // (rule, target) by place among its routes
        std::string frame;
    };
    [[nodiscard]] bool told_without(const Segment& unused) const;
    void remove_file(Segment& segment);
    void remove_unused_versions();
    /// @param erased  ascending: sequences whose bodies are left behind
    Result<void> replace(const SegmentPtr& segment, File& source, const SegmentIndex& index,
                         const std::function<bool(const StoredEvent&, std::uint32_t)>& keep,
                         const std::vector<Sequence>& erased = {});
    Result<std::vector<Place>> places_of(const Id& event);
    /// An event that cannot be read: its deliveries, by the names that its index has.
    static StoredEvent by_names(Sequence sequence, const std::vector<std::pair<std::string, std::string>>& names);
    Result<void> seal_anew(const SegmentPtr& segment);
    /// Leaves the header of those that stay. @param sure  synced, also when it was cut before
    Result<void> cut_unused(bool sure);
    Result<void> rewrite_unsealed();

    Disk& disk_;
    SegmentSet& segments_;
    Versions& versions_;
    Spares& spares_;
    std::vector<SegmentPtr> unused_;  // never used, and to go
    std::set<std::string> unsealed_;  // names of ended segments of which a file stands that is not as its index
    bool name_unsure_ = false;        // of a rewritten file: a crash may show the former one
    bool lingers_ = false;            // a released file that cannot be removed: the next start meets it again
    bool held_back_ = false;          // one cannot be removed, and people know
};

}  // namespace eventyard::router
