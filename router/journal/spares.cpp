#include "router/journal/spares.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view name_start = "spare-", name_end = ".seg";

std::string spare_name(const Id& id)
{
    return std::string{name_start} + to_hex({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()}) + std::string{name_end};
}

}  // namespace

bool is_spare(std::string_view name) noexcept { return name.starts_with(name_start) && name.ends_with(name_end); }

Id Spares::draw_id()
{
    const std::lock_guard lock{mutex_};
    return random_id(random_);
}

void Spares::adopt(const std::vector<std::string>& names)
{
    const std::lock_guard lock{mutex_};
    names_.insert(names_.end(), names.begin(), names.end());
}

bool Spares::wants_more() const
{
    const std::lock_guard lock{mutex_};
    return names_.size() + (next_ ? 1 : 0) < wanted_;
}

bool Spares::prepared() const
{
    const std::lock_guard lock{mutex_};
    return next_ != nullptr;
}

std::uint64_t Spares::bytes() const
{
    const std::lock_guard lock{mutex_};
    return (names_.size() + (next_ ? 1 : 0)) * segment_size_;
}

Result<void> Spares::top_up(File& file)
{
    EVENTYARD_TRY(size, file.size());
    const std::string zeros(1U << 20, '\0');
    const std::uint64_t from = size;
    while (size < segment_size_) {
        const std::uint64_t piece = std::min<std::uint64_t>(zeros.size(), segment_size_ - size);
        EVENTYARD_CHECK(file.write_at(
            size, {std::string_view{zeros}.substr(0, static_cast<std::size_t>(piece))}));
        size += piece;
    }
    if (size > segment_size_) EVENTYARD_CHECK(file.truncate(segment_size_));
    if (size != from || size > segment_size_) EVENTYARD_CHECK(file.sync_all());
    return {};
}

Result<std::string> Spares::make_file(bool written)
{
    const std::string name = spare_name(draw_id());
    const std::string path = segments_.path(name);
    EVENTYARD_TRY(file, disk_.open(path, OpenMode::create_new));
    if (!written) return name;
    if (auto filled = top_up(*file); !filled.has_value()) {
        (void)disk_.unlink(path);
        return filled.error();
    }
    return name;
}

Result<SegmentPtr> Spares::name_file(const std::string& spare)
{
    const std::uint64_t number = segments_.take_number();
    auto segment = std::make_shared<Segment>(number, draw_id());
    const std::string path = segments_.path(segment->name);
    auto named = [&]() -> Result<std::unique_ptr<File>> {
        EVENTYARD_CHECK(disk_.rename(segments_.path(spare), path));
        EVENTYARD_CHECK(disk_.sync_directory(segments_.directory()));
        return disk_.open(path, OpenMode::read_write);
    }();
    if (!named.has_value()) {
        segments_.take_back(disk_, *segment);
        return named.error();
    }
    segment->file = std::move(*named);
    return segment;
}

Result<SegmentPtr> Spares::take()
{
    const std::lock_guard order{naming_};
    std::string spare;
    {
        const std::lock_guard lock{mutex_};
        if (next_) {
            handed_out_ = next_->name;
            return std::exchange(next_, nullptr);
        }
        if (!names_.empty()) {
            spare = names_.back();
            names_.pop_back();
        }
    }
    if (spare.empty()) {
        EVENTYARD_TRY(made, make_file(false));
        spare = made;
    }
    EVENTYARD_TRY(segment, name_file(spare));
    const std::lock_guard lock{mutex_};
    handed_out_ = segment->name;
    return segment;
}

Result<void> Spares::prepare(std::uint64_t room)
{
    while (wants_more() && room >= segment_size_) {
        EVENTYARD_TRY(name, make_file(true));
        room -= segment_size_;
        const std::lock_guard lock{mutex_};
        names_.push_back(name);
    }
    std::string spare;
    {
        const std::lock_guard lock{mutex_};
        if (next_ || names_.empty()) return {};
        spare = names_.back();
        names_.pop_back();
    }
    // The long part first, so that take() never waits for more than a rename it would do itself.
    auto full = [&]() -> Result<void> {
        EVENTYARD_TRY(file, disk_.open(segments_.path(spare), OpenMode::read_write));
        return top_up(*file);
    }();
    if (!full.has_value()) {
        (void)disk_.unlink(segments_.path(spare));
        return full;
    }
    const std::lock_guard order{naming_};
    EVENTYARD_TRY(segment, name_file(spare));
    segment->written = true;
    const std::lock_guard lock{mutex_};
    next_ = std::move(segment);
    return {};
}

Result<void> Spares::recycle(const std::string& name)
{
    const std::string spare = spare_name(draw_id());
    EVENTYARD_CHECK(disk_.rename(segments_.path(name), segments_.path(spare)));
    EVENTYARD_CHECK(disk_.sync_directory(segments_.directory()));
    const std::lock_guard lock{mutex_};
    names_.push_back(spare);
    return {};
}

/// What could not be removed when it was to go is found by its name: a list of such would not outlive a restart.
Result<void> Spares::clear(const std::function<std::set<std::string>()>& kept)
{
    const std::lock_guard order{naming_};
    std::set<std::string> used = kept();
    const std::lock_guard lock{mutex_};
    // Removed, not cut: whoever needs a segment just now waits here, and a sync of a file may take long.
    if (next_) {
        segments_.take_back(disk_, *next_);
        next_ = nullptr;
    }
    names_.clear();
    used.insert(handed_out_);
    for (const SegmentPtr& segment : segments_.all()) used.insert(segment->name);
    EVENTYARD_TRY(names, disk_.list(segments_.directory()));
    for (const std::string& name : names) {
        const bool ours = name.ends_with(".seg.tmp") || is_spare(name) || parse_segment_name(name);
        if (!ours || used.contains(name)) continue;
        const auto gone = disk_.unlink(segments_.path(name));
        if (!gone.has_value() && gone.error().code != Errc::not_found) return gone;
    }
    return disk_.sync_directory(segments_.directory());
}

void Spares::drop()
{
    std::vector<std::string> names;
    {
        const std::lock_guard lock{mutex_};
        names.swap(names_);
    }
    for (const std::string& name : names) (void)disk_.unlink(segments_.path(name));
}

}  // namespace eventyard::router
