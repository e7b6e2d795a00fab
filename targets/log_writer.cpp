#include "targets/log_writer.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace eventyard::targets {
namespace {

constexpr std::size_t piece = 64U << 10;  // bytes read at once when looking for a line's beginning
constexpr std::uint64_t unsynced_max = 64U << 20;  // bytes; more than one write of waiting lines
constexpr Duration rotate_again = std::chrono::seconds{10};

/// Where the line begins that the byte before `end` belongs to, or would if it were no line's end.
Result<std::uint64_t> line_begin(File& file, std::uint64_t end)
{
    std::string bytes;
    while (end > 0) {
        const std::uint64_t from = end - std::min<std::uint64_t>(end, piece);
        EVENTYARD_CHECK(file.read_at(from, static_cast<std::size_t>(end - from), bytes));
        const auto found = bytes.rfind('\n');
        if (found != std::string::npos) return from + found + 1;
        end = from;
    }
    return end;
}

/// The first byte that the disk never got, or `size`. A file that grew may come out of a power cut with
/// its new length and zeros in place of some of its blocks; no line of ours holds a zero.
Result<std::uint64_t> first_hole(File& file, std::uint64_t size)
{
    std::string bytes;
    for (std::uint64_t at = size - std::min(size, unsynced_max); at < size; at += bytes.size()) {
        EVENTYARD_CHECK(file.read_at(at, piece, bytes));
        if (bytes.empty()) break;
        const auto found = bytes.find('\0');
        if (found != std::string::npos) return std::min<std::uint64_t>(at + found, size);
    }
    return size;
}

}  // namespace

LogWriter::LogWriter(LogWriterOptions options, std::shared_ptr<Disk> disk, std::string target)
    : options_(std::move(options)), disk_(std::move(disk)), target_(std::move(target))
{
    const auto slash = options_.path.rfind('/');
    directory_ = slash == std::string::npos ? "." : slash == 0 ? "/" : options_.path.substr(0, slash);
    name_ = slash == std::string::npos ? options_.path : options_.path.substr(slash + 1);
}

LogWriter::Stats LogWriter::stats() const
{
    const std::lock_guard lock{stats_mutex_};
    return stats_;
}

void LogWriter::note(const std::optional<Error>& error, std::size_t settled)
{
    const std::lock_guard lock{stats_mutex_};
    stats_.size = offset_;
    stats_.lines += settled;
    stats_.last_error = error ? error->what : "";
}

LogWriter::Appended LogWriter::append(const std::vector<std::string_view>& lines, WallTime now)
{
    if (reopen_.exchange(false)) file_.reset();
    Appended result;
    while (result.settled < lines.size()) {
        if (!file_) {
            if (auto opened = open(now); !opened.has_value()) {
                result.error = std::move(opened).error();
                break;
            }
        }
        const auto due = [&](std::uint64_t size, std::size_t line) {
            return now >= rotate_not_before_ &&
                   rotation_due(options_.rotation, size, lines[line].size(), period_, now);
        };
        if (due(offset_, result.settled)) {
            rotate(now);
            continue;
        }
        std::size_t end = result.settled;
        std::uint64_t size = offset_;
        do {
            size += lines[end].size();
            ++end;
        } while (end < lines.size() && !due(size, end));
        if (auto written = write(lines, result.settled, end); !written.has_value()) {
            result.error = std::move(written).error();
            // Not for the sake of this file, which is given up, but of the one opened next: what
            // was not settled will be sent again.
            if (file_) static_cast<void>(file_->truncate(offset_).has_value());
            file_.reset();
            break;
        }
        result.settled = end;
    }
    note(result.error, result.settled);
    return result;
}

Result<void> LogWriter::write(const std::vector<std::string_view>& lines, std::size_t begin,
                              std::size_t end)
{
    // Others may have cut the file (copytruncate) or added to it: the end is where it is now.
    EVENTYARD_TRY(size, file_->size());
    offset_ = size;
    const std::vector<std::string_view> pieces(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                                               lines.begin() + static_cast<std::ptrdiff_t>(end));
    EVENTYARD_CHECK(file_->write_at(offset_, pieces));
    if (options_.sync) EVENTYARD_CHECK(file_->sync_data());
    for (const std::string_view line : pieces) offset_ += line.size();
    return {};
}

Result<void> LogWriter::open(WallTime now)
{
    EVENTYARD_CHECK(disk_->make_directory(directory_));
    const bool existed = disk_->exists(options_.path);
    EVENTYARD_TRY(file, disk_->open_output(options_.path));
    if (!existed && options_.sync) EVENTYARD_CHECK(disk_->sync_directory(directory_));
    EVENTYARD_TRY(size, file->size());
    if (size > 0) EVENTYARD_CHECK(cut_torn_lines(*file, size));
    const auto modified = file->modified();
    period_ = period_start(size > 0 && modified.has_value() ? *modified : now,
                           options_.rotation.every);
    offset_ = size;
    file_ = std::move(file);
    tidy_due_ = true;
    return {};
}

Result<void> LogWriter::cut_torn_lines(File& file, std::uint64_t& size)
{
    EVENTYARD_TRY(begin, line_begin(file, size));
    EVENTYARD_TRY(hole, first_hole(file, size));
    if (hole < begin) {
        EVENTYARD_TRY(holed, line_begin(file, hole));
        begin = holed;
    }
    if (begin == size) return {};
    EVENTYARD_CHECK(move_to_partial(file, begin, size));
    EVENTYARD_CHECK(file.truncate(begin));
    EVENTYARD_CHECK(file.sync_all());
    log::warn("targets", "moved torn last lines aside",
              {{"target", target_},
               {"file", options_.path},
               {"bytes", size - begin},
               {"moved_to", options_.path + ".partial"}});
    {
        const std::lock_guard lock{stats_mutex_};
        ++stats_.torn;
    }
    size = begin;
    return {};
}

Result<void> LogWriter::move_to_partial(File& file, std::uint64_t begin, std::uint64_t end)
{
    EVENTYARD_TRY(partial, disk_->open_output(options_.path + ".partial"));
    EVENTYARD_TRY(at, partial->size());
    std::string bytes;
    while (begin < end) {
        EVENTYARD_CHECK(
            file.read_at(begin, std::min<std::size_t>(piece, static_cast<std::size_t>(end - begin)), bytes));
        if (bytes.empty()) break;
        EVENTYARD_CHECK(partial->write_at(at, {bytes}));
        begin += bytes.size();
        at += bytes.size();
    }
    EVENTYARD_CHECK(partial->write_at(at, {std::string_view{"\n"}}));
    EVENTYARD_CHECK(partial->sync_all());
    return disk_->sync_directory(directory_);
}

void LogWriter::rotate(WallTime now)
{
    const auto moved = [&]() -> Result<void> {
        EVENTYARD_TRY(names, disk_->list(directory_));
        const std::string to = rotated_name(name_, now, names);
        EVENTYARD_CHECK(disk_->rename(options_.path, directory_ + "/" + to));
        return disk_->sync_directory(directory_);
    }();
    if (!moved.has_value()) {
        // Growing too long is better than losing lines: go on in the old file, try again later.
        rotate_not_before_ = now + rotate_again;
        log::warn("targets", "a file was not rotated",
                  {{"target", target_}, {"file", options_.path}, {"reason", moved.error().what}});
        if (disk_->exists(options_.path)) return;
    }
    file_.reset();
    const std::lock_guard lock{stats_mutex_};
    ++stats_.rotations;
}

bool LogWriter::step()
{
    if (tidy_due_ && !compressor_) {
        tidy_due_ = false;
        tidy();
    }
    if (!compressor_ && !to_compress_.empty()) {
        compressor_ = std::make_unique<Compressor>(*disk_, to_compress_.front());
        to_compress_.pop_front();
    }
    if (compressor_) {
        const auto done = compressor_->step();
        if (!done.has_value()) {
            log::warn("targets", "a rotated file was not compressed",
                      {{"target", target_}, {"reason", done.error().what}});
            compressor_.reset();
        } else if (*done) {
            compressor_.reset();
        }
    }
    return compressor_ != nullptr || !to_compress_.empty();
}

void LogWriter::tidy()
{
    const Rotation& rotation = options_.rotation;
    if (!rotation.compress && rotation.keep == 0) return;
    const auto names = disk_->list(directory_);
    if (!names.has_value()) return;
    std::vector<RotatedFile> files = rotated_files(name_, *names);
    to_compress_.clear();
    const std::size_t excess =
        rotation.keep != 0 && files.size() > rotation.keep ? files.size() - rotation.keep : 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const std::string path = directory_ + "/" + files[i].name;
        if (i < excess) {
            if (const auto removed = disk_->unlink(path); !removed.has_value())
                log::warn("targets", "an old file was not removed",
                          {{"target", target_}, {"reason", removed.error().what}});
        } else if (rotation.compress && !files[i].compressed) {
            to_compress_.push_back(path);
        }
    }
}

void LogWriter::close()
{
    compressor_.reset();
    file_.reset();
}

}  // namespace eventyard::targets
