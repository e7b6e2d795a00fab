// router/journal/segments.hpp — the segments of an open journal, shared by its three threads.
//
// The appender adds events to the newest segment's index, the keeper seals and removes, the reader
// looks up. A segment's mutex is held for look-ups and small copies only, never across a sync.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.hpp"
#include "router/journal/journal.hpp"
#include "router/journal/segment_index.hpp"

namespace eventyard::router {

struct Segment {
    Segment(std::uint64_t n, const Id& i) : number(n), id(i), name(segment_name(n, i)), seed(i) {}

    const std::uint64_t number;
    const Id id;
    const std::string name;
    const FrameSeed seed;
    bool written = false;                // blocks and all, when it was made: a commit changes no size. Before it is shared

    mutable std::mutex mutex;            // guards everything below
    SegmentHeader header;
    std::shared_ptr<File> file;          // while not sealed
    std::weak_ptr<File> reading;         // a sealed segment's file while somebody reads it
    std::optional<SegmentIndex> index;   // while not sealed
    bool begun = false;                  // its header is on disk
    bool sealed = false;
    bool released = false;               // its name may be gone
    bool replaced = false;               // rewritten: look the number up again
    std::uint64_t bytes = 0;             // of the file
    Sequence first = 0, last = 0;        // last 0: nothing in it yet
    std::uint64_t events = 0;
    struct Share {
        std::uint64_t deliveries = 0;
        std::uint64_t bytes = 0;         // of their bodies
    };
    std::map<std::string, Share, std::less<>> targets;  // sealed: by target
    std::vector<std::uint64_t> versions;                        // sealed

    /// What goes to which target. Call with the mutex held.
    void count(const SegmentSummary& summary);
    /// Takes what stays in memory of a sealed segment. Call with the mutex held.
    void become_sealed(const SegmentSummary& summary, std::uint64_t file_bytes);
};

using SegmentPtr = std::shared_ptr<Segment>;

class SegmentSet {
public:
    explicit SegmentSet(std::string directory) : directory_(std::move(directory)) {}
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
    [[nodiscard]] std::string path(const std::string& name) const { return directory_ + '/' + name; }

    /// A number no segment of this journal had.
    std::uint64_t take_number();
    /// Removes the file of a segment that was never used and takes its number back, if it is the newest:
    /// numbers without a gap tell recovery that two segments are neighbours. Only once the name is gone
    /// for good: two files of one number would hide each other's events after a crash.
    void take_back(Disk& disk, const Segment& segment);
    /// Removes what take_back() could not. False: something is still there, or may be after a crash.
    bool remove_left(Disk& disk);
    void numbers_above(std::uint64_t number);

    void add(SegmentPtr segment);
    void remove(std::uint64_t number);
    void replace(SegmentPtr segment);  // the one with the same number
    [[nodiscard]] std::vector<SegmentPtr> all() const;  // ascending
    [[nodiscard]] SegmentPtr find(const std::string& name) const;
    [[nodiscard]] std::vector<SegmentInfo> infos() const;
    [[nodiscard]] std::set<std::uint64_t> versions_used() const;
    [[nodiscard]] std::uint64_t bytes() const;
    /// First sequence of the oldest segment, or `next` when all are empty.
    [[nodiscard]] Sequence oldest(Sequence next) const;

private:
    std::string directory_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, SegmentPtr> segments_;
    std::uint64_t next_number_ = 1;
    std::set<std::string> left_;  // files that take_back() could not remove for good
};

}  // namespace eventyard::router
