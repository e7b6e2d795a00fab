// router/journal/spares.hpp — files ready to become the next segment.
//
// The keeper fills the store (zeros or a released segment's former contents: overwriting written
// blocks needs no allocation in the commit) and names the next segment ahead of need, so that
// rolling costs the commit path neither a create nor a directory sync. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"
#include "router/journal/segments.hpp"

namespace eventyard::router {

/// Whether a file of the journal's directory is one that Spares made and that is no segment yet.
[[nodiscard]] bool is_spare(std::string_view name) noexcept;

class Spares {
public:
    /// @param random  drawn from under the mutex of this class
    Spares(Disk& disk, Random& random, SegmentSet& segments, std::uint64_t segment_size,
           std::uint32_t wanted)
        : disk_(disk), random_(random), segments_(segments), segment_size_(segment_size), wanted_(wanted)
    {
    }

    /// Takes over files that recovery found unused.
    void adopt(const std::vector<std::string>& names);
    /// A file for the next segment, named, open and known to the directory: a prepared one, else
    /// one made now.
    Result<SegmentPtr> take();
    /// take() would give a file that is written from end to end.
    [[nodiscard]] bool prepared() const;
    /// Keeper: prepares what is missing. `room`: bytes that new files may take.
    Result<void> prepare(std::uint64_t room);
    /// Keeper: whether a released segment's file is wanted.
    [[nodiscard]] bool wants_more() const;
    /// Keeper: turns a released segment's file into a spare. Its old name is durably gone when
    /// this succeeds.
    Result<void> recycle(const std::string& name);
    /// Keeper: removes, durably, all files that are no segment in use: spares, the segment that waits for its turn, and
    /// what was released, rewritten or given up and could not be removed then. An error: something is still there.
    /// @param kept  files that stay; asked while nobody is handed a file
    Result<void> clear(const std::function<std::set<std::string>()>& kept);
    /// Keeper: gives up all spares, so that others have their room.
    void drop();
    [[nodiscard]] std::uint64_t bytes() const;
    [[nodiscard]] Id draw_id();

private:
    Result<std::string> make_file(bool written);
    Result<SegmentPtr> name_file(const std::string& spare);
    Result<void> top_up(File& file);

    Disk& disk_;
    Random& random_;
    SegmentSet& segments_;
    const std::uint64_t segment_size_;
    const std::uint32_t wanted_;
    /// From taking a number until its segment is handed out or kept as next: segments are used in
    /// the order of their numbers, which readers and recovery take for the order of sequences.
    std::mutex naming_;               // before mutex_
    mutable std::mutex mutex_;
    std::vector<std::string> names_;  // spare files
    SegmentPtr next_;
    std::string handed_out_;          // by the last take(); maybe not among the segments yet
};

}  // namespace eventyard::router
