#include "router/reserve.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "core/units.hpp"
#include "router/journal/journal.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint64_t piece = 1U << 20;  // a tick's worth: the thread has other things to do

}  // namespace

Reserve::Reserve(Disk& disk, std::string directory, std::uint64_t min_free, std::uint64_t size)
    : disk_(disk), directory_(std::move(directory)), path_(directory_ + "/reserve"), min_free_(min_free), size_(size)
{
    if (const auto kept = disk_.open(path_, OpenMode::read); kept.has_value())
        if (const auto bytes = (*kept)->size(); bytes.has_value()) held_ = *bytes;
}

void Reserve::tick(bool starved)
{
    if (starved ? held_ == 0 : held_ >= size_) return;
    const auto space = disk_.space(directory_);
    if (!space.has_value()) return;
    const std::uint64_t least = least_free(*space, min_free_);
    // A state that fails for another reason gains nothing from space.
    if (starved && space->free < least) give_up();
    if (!starved && space->free > least) take_more(space->free - least);
}

void Reserve::give_up()
{
    file_.reset();
    if (auto gone = disk_.unlink(path_); !gone.has_value()) {
        log::error("disk", "the reserve could not be given up", {{"path", path_}, {"why", gone.error().what}});
        return;
    }
    log::warn("disk", "the disk is full: the reserve is given up, so that cursors, retries and dead letters can be stored",
              {{"bytes", held_}});
    held_ = 0;
}

void Reserve::take_more(std::uint64_t spare)
{
    const std::uint64_t more = std::min(piece, size_ - held_);
    if (spare < size_ - held_) return;  // it would be given up again at once
    if (!file_) {
        auto opened = disk_.open(path_, disk_.exists(path_) ? OpenMode::read_write : OpenMode::create_new);
        if (!opened.has_value()) return;
        file_ = std::move(*opened);
    }
    const std::string zeros(static_cast<std::size_t>(more), '\0');
    if (!file_->write_at(held_, {zeros}).has_value()) return file_.reset();  // next time
    held_ += more;
    if (held_ >= size_) file_.reset();
}

}  // namespace eventyard::router
