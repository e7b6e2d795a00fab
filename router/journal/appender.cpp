#include "router/journal/appender.hpp"

namespace eventyard::router {

std::uint64_t block_size_max(const std::vector<CommitUnit>& units) noexcept
{
    std::uint64_t sum = commit_frame_size;
    for (const CommitUnit& unit : units)
        for (const auto& event : unit.events) sum += frame_size_max(*event);
    return sum;
}

Appender::Appender(const Clock& clock, SegmentSet& segments, Spares& spares,
                   std::uint64_t segment_size, Start start,
                   std::function<void(SegmentPtr, bool)> closed)
    : clock_(clock),
      segments_(segments),
      spares_(spares),
      segment_size_(segment_size),
      store_(start.store),
      closed_(std::move(closed)),
      last_(start.next - 1),
      good_(start.end),
      synced_(start.end)
{
    for (const SegmentPtr& segment : segments_.all()) {
        const std::lock_guard lock{segment->mutex};
        previous_number_ = segment->number;
        previous_first_ = segment->first;
    }
}

Result<void> Appender::sync_file(File& file)
{
    const SteadyTime before = clock_.steady();
    auto synced = file.sync_data();
    sync_nanoseconds_ += static_cast<std::uint64_t>((clock_.steady() - before).count());
    return synced;
}

Result<void> Appender::open_next(bool probe)
{
    EVENTYARD_TRY(segment, spares_.take());
    EVENTYARD_ASSERT(segment->number > previous_number_, "segments are read in the order of their numbers");
    SegmentHeader header;
    header.store = store_;
    header.segment = segment->id;
    header.number = segment->number;
    header.first = last_ + 1;
    header.synced_before = synced_;
    if (good_ < last_) {
        header.hole_first = good_ + 1;
        header.hole_reason = hole_reason_;
        probe = true;  // the hole is known before anything stands behind it
    }
    header.reserved = reserved_;
    header.created = clock_.wall();
    header.previous_number = previous_number_;
    header.previous_first = previous_first_;
    if (probe) {
        auto probed = segment->file->write_at(0, {encode_segment_header(header)});
        if (probed.has_value()) probed = segment->file->sync_all();
        if (!probed.has_value()) {
            closed_(std::move(segment), true);
            return probed;
        }
    }
    {
        const std::lock_guard lock{segment->mutex};
        segment->header = header;
        segment->index.emplace();
        segment->index->set_reserved(reserved_);
        segment->first = header.first;
        segment->bytes = segment_size_;
        segment->begun = probe;
    }
    segments_.add(segment);
    active_ = std::move(segment);
    good_ = last_;
    offset_ = segment_data_start;
    header_pending_ = !probe;
    return {};
}

void Appender::fail_active()
{
    SegmentPtr failed = std::exchange(active_, nullptr);
    hole_reason_ = GapReason::uncertain;
    bool used = false;
    {
        const std::lock_guard lock{failed->mutex};
        used = failed->last != 0;
        if (used) {
            previous_number_ = failed->number;
            previous_first_ = failed->first;
        } else if (failed->header.hole_first != 0) {
            good_ = failed->header.hole_first - 1;  // the hole before it was told of in it alone
        }
    }
    if (!used) segments_.remove(failed->number);
    closed_(std::move(failed), true);
}

Result<void> Appender::roll()
{
    if (synced_ < good_)
        if (auto synced = sync(); !synced.has_value()) return synced;
    const SegmentPtr full = active_;
    {
        const std::lock_guard lock{full->mutex};
        previous_number_ = full->number;
        previous_first_ = full->first;
    }
    EVENTYARD_CHECK(open_next(false));
    closed_(full, false);
    return {};
}

Result<void> Appender::clear_tail(bool roll)
{
    if (!active_) return {};
    if (roll && offset_ > segment_data_start) return this->roll();
    auto cut = active_->file->truncate(offset_);
    if (cut.has_value()) cut = active_->file->sync_all();
    if (!cut.has_value()) fail_active();
    return cut;
}

Result<void> Appender::ready(std::uint64_t block_max)
{
    if (!active_) return open_next(true);
    // A block larger than a segment gets one of its own, which grows.
    const bool empty = offset_ == segment_data_start;
    if (!empty && offset_ + block_max > segment_size_) return roll();
    // A start, and whoever was faster than the keeper, has a file that grows: there a sync takes half as long again.
    if (!empty && !active_->written && spares_.prepared()) return roll();
    return {};
}

void Appender::number(const std::vector<CommitUnit>& units)
{
    for (const CommitUnit& unit : units)
        for (const auto& event : unit.events) event->sequence = ++last_;
}

Result<void> Appender::write(const std::vector<CommitUnit>& units, bool sync)
{
    const Sequence first = units.front().events.front()->sequence;
    buffer_.clear();
    if (header_pending_) buffer_ = encode_segment_header(active_->header);
    const std::uint64_t write_offset = header_pending_ ? 0 : offset_;
    FrameWriter frames{buffer_, active_->seed, offset_};
    places_.clear();
    frames.commit(first, {last_, synced_, reserved_});
    for (const CommitUnit& unit : units) {
        const auto size = static_cast<std::uint32_t>(unit.events.size());
        for (std::uint32_t i = 0; i < size; ++i) {
            const std::uint64_t at = frames.offset();
            frames.event(*unit.events[i], i, size, unit.durability);
            places_.push_back({at, static_cast<std::uint32_t>(frames.offset() - at)});
        }
    }
    // One contiguous copy: for events of a KiB cheaper than a vector of pieces for the kernel.
    auto done = active_->file->write_at(write_offset, {buffer_});
    if (done.has_value() && sync) done = sync_file(*active_->file);
    if (!done.has_value()) {
        fail_active();
        return fail(Errc::io, done.error().what);
    }
    written_bytes_ += buffer_.size();
    header_pending_ = false;
    offset_ = frames.offset();
    good_ = last_;
    if (sync) synced_ = last_;
    {
        const std::lock_guard lock{active_->mutex};
        std::size_t place = 0;
        for (const CommitUnit& unit : units)
            for (const auto& event : unit.events) {
                active_->index->add(*event, places_[place].offset, places_[place].length);
                ++place;
            }
        active_->index->set_data_end(offset_);
        active_->index->set_reserved(reserved_);
        active_->last = last_;
        if (sync) active_->begun = true;
        active_->events += places_.size();
        active_->bytes = std::max(segment_size_, offset_);
    }
    if (buffer_.capacity() > (16U << 20)) std::string{}.swap(buffer_);
    return {};
}

Result<void> Appender::sync()
{
    if (!active_ || synced_ == good_) return {};
    if (auto synced = sync_file(*active_->file); !synced.has_value()) {
        fail_active();
        return synced;
    }
    synced_ = good_;
    const std::lock_guard lock{active_->mutex};
    active_->begun = true;
    return {};
}

}  // namespace eventyard::router
