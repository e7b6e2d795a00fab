#include "router/journal/segments.hpp"

#include <algorithm>

namespace eventyard::router {

void Segment::count(const SegmentSummary& summary)
{
    targets.clear();
    for (const RouteCount& route : summary.routes)
        if (route.count > 0) {
            Share& share = targets[route.target];
            share.deliveries += route.count;
            share.bytes += route.bytes;
        }
}

void Segment::become_sealed(const SegmentSummary& summary, std::uint64_t file_bytes)
{
    count(summary);
    versions = summary.versions;
    events = summary.events;
    first = summary.first;
    last = summary.last;
    bytes = file_bytes;
    begun = sealed = true;
    index.reset();
    if (file) reading = file;
    file.reset();
}

std::uint64_t SegmentSet::take_number()
{
    const std::lock_guard lock{mutex_};
    return next_number_++;
}

void SegmentSet::take_back(Disk& disk, const Segment& segment)
{
    const auto gone = disk.unlink(path(segment.name));
    const bool unlinked = gone.has_value() || gone.error().code == Errc::not_found;
    const bool for_good = unlinked && disk.sync_directory(directory_).has_value();
    const std::lock_guard lock{mutex_};
    if (!for_good) left_.insert(segment.name);
    else if (next_number_ == segment.number + 1) next_number_ = segment.number;
}

bool SegmentSet::remove_left(Disk& disk)
{
    std::set<std::string> left;
    {
        const std::lock_guard lock{mutex_};
        left = left_;
    }
    if (left.empty()) return true;
    for (const std::string& name : left)
        if (auto gone = disk.unlink(path(name)); !gone.has_value() && gone.error().code != Errc::not_found) return false;
    if (!disk.sync_directory(directory_).has_value()) return false;
    const std::lock_guard lock{mutex_};
    for (const std::string& name : left) left_.erase(name);
    return left_.empty();
}

void SegmentSet::numbers_above(std::uint64_t number)
{
    const std::lock_guard lock{mutex_};
    next_number_ = std::max(next_number_, number + 1);
}

void SegmentSet::add(SegmentPtr segment)
{
    const std::lock_guard lock{mutex_};
    segments_[segment->number] = std::move(segment);
}

void SegmentSet::replace(SegmentPtr segment) { add(std::move(segment)); }

void SegmentSet::remove(std::uint64_t number)
{
    const std::lock_guard lock{mutex_};
    segments_.erase(number);
}

std::vector<SegmentPtr> SegmentSet::all() const
{
    const std::lock_guard lock{mutex_};
    std::vector<SegmentPtr> list;
    list.reserve(segments_.size());
    for (const auto& [number, segment] : segments_) list.push_back(segment);
    return list;
}

SegmentPtr SegmentSet::find(const std::string& name) const
{
    const auto parsed = parse_segment_name(name);
    if (!parsed) return nullptr;
    const std::lock_guard lock{mutex_};
    const auto at = segments_.find(parsed->first);
    return at != segments_.end() && at->second->name == name ? at->second : nullptr;
}

std::vector<SegmentInfo> SegmentSet::infos() const
{
    std::vector<SegmentInfo> infos;
    for (const SegmentPtr& segment : all()) {
        const std::lock_guard lock{segment->mutex};
        infos.push_back({segment->name, segment->first, segment->last, segment->bytes, segment->sealed});
    }
    return infos;
}

std::set<std::uint64_t> SegmentSet::versions_used() const
{
    std::set<std::uint64_t> used;
    for (const SegmentPtr& segment : all()) {
        const std::lock_guard lock{segment->mutex};
        const auto& list = segment->index ? segment->index->summary().versions : segment->versions;
        used.insert(list.begin(), list.end());
    }
    return used;
}

std::uint64_t SegmentSet::bytes() const
{
    std::uint64_t sum = 0;
    for (const SegmentPtr& segment : all()) {
        const std::lock_guard lock{segment->mutex};
        sum += segment->bytes;
    }
    return sum;
}

Sequence SegmentSet::oldest(Sequence next) const
{
    for (const SegmentPtr& segment : all()) {
        const std::lock_guard lock{segment->mutex};
        if (segment->last != 0) return segment->first;
    }
    return next;
}

}  // namespace eventyard::router
