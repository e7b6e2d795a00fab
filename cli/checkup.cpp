#include "cli/checkup.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "cli/sync_cost.hpp"
#include "core/mounts.hpp"
#include "core/units.hpp"
#include "router/journal/format.hpp"
#include "router/journal/journal.hpp"
#include "router/reserve.hpp"
#include "router/state/inspect.hpp"

namespace eventyard::cli {
namespace {

namespace fs = std::filesystem;
using Mark = CheckupItem::Mark;

constexpr std::uint64_t files_besides = 128;  // segments, state.db, listeners, logs
constexpr std::uint64_t files_least = 1024;

/// A file of /proc or /sys, which tell no size.
std::string content_of(const std::string& path)
{
    std::ifstream in(path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

class Examiner {
public:
    Examiner(Disk& disk, const Clock& clock, const CheckupPlace& place) : disk_(disk), clock_(clock), place_(place) {}

    Checkup run()
    {
        if (!find_directory()) return std::move(out_);
        space();
        file_system();
        syncs();
        open_files();
        if (exists_ && lock()) stored();
        return std::move(out_);
    }

private:
    void add(std::string name, Mark mark, std::string found, std::string advice = {})
    {
        out_.items.push_back({std::move(name), mark, std::move(found), std::move(advice)});
    }

    /// The directory, or the nearest one above in which a daemon would make it.
    bool find_directory();
    void space();
    void file_system();
    void syncs();
    void open_files();
    /// False: a daemon has the directory.
    bool lock();
    void stored();
    std::optional<Id> journal_store(std::size_t& segments);
    [[nodiscard]] Device device() const;

    Disk& disk_;
    const Clock& clock_;
    const CheckupPlace& place_;
    Checkup out_;
    bool exists_ = false;
    std::string at_;  // where files can be written
    std::optional<Mount> mount_;
    std::shared_ptr<void> lock_;
};

bool Examiner::find_directory()
{
    std::error_code ec;
    fs::path path = fs::absolute(place_.data_dir, ec);
    exists_ = fs::exists(path, ec);
    const std::string shown = path.string();
    while (!fs::exists(path, ec) && path.has_parent_path() && path != path.parent_path()) path = path.parent_path();
    path = fs::canonical(path, ec);
    if (ec || !fs::is_directory(path, ec)) {
        add("directory", Mark::bad, "'" + path.string() + "' is no directory", "give data_dir a directory");
        return false;
    }
    at_ = path.string();
    const std::string probe = at_ + "/.doctor-" + std::to_string(::getpid());
    const auto written = replace_file(disk_, probe, "doctor");
    if (disk_.exists(probe)) (void)disk_.unlink(probe);
    if (!written.has_value()) {
        if (disk_.exists(probe + ".tmp")) (void)disk_.unlink(probe + ".tmp");
        add("directory", Mark::bad, written.error().what, "the daemon's user must be able to write here");
        return false;
    }
    if (exists_)
        add("directory", Mark::good, "'" + shown + "' is writable");
    else
        add("directory", Mark::note, "'" + shown + "' does not exist yet; a daemon makes it below '" + at_ + "'");
    return true;
}

void Examiner::space()
{
    const auto space = disk_.space(at_);
    if (!space.has_value()) return add("space", Mark::bad, space.error().what);
    const std::uint64_t least = router::least_free(*space, place_.min_free);
    const std::string found = format_size(space->free) + " of " + format_size(space->total) + " free; ingest stops below " +
                              format_size(least) + " (journal.min_free)";
    if (space->free <= least)
        add("space", Mark::bad, found, "a daemon would answer 503 to every event: free space, or lower journal.min_free");
    else if (space->free < 2 * least)
        add("space", Mark::warning, found, "little is left before ingest stops");
    else if (least < 2 * router::reserve_size)
        add("space", Mark::warning, found,
            "less than " + format_size(2 * router::reserve_size) +
                ": what the daemon gives up for its state on a full disk would be taken by events");
    else
        add("space", Mark::good, found);
}

void Examiner::file_system()
{
    mount_ = mount_of(content_of("/proc/self/mountinfo"), at_);
    if (!mount_) return add("file_system", Mark::note, "unknown: /proc/self/mountinfo does not tell");
    const std::string found = mount_->type + " at " + mount_->point;
    for (const char* option : {"nobarrier", "barrier=0"})
        if (has_option(*mount_, option))
            return add("file_system", Mark::bad, found + ", mounted with " + option,
                       "without barriers a power cut may take back what was synced: mount it without that option");
    switch (keeping_of(mount_->type)) {
        case Keeping::disk: return add("file_system", Mark::good, found);
        case Keeping::memory:
            return add("file_system", Mark::warning, found, "it lies in memory: a restart of the machine loses every event");
        case Keeping::layered:
            return add("file_system", Mark::warning, found,
                       "a container's own layer goes with the container: mount a volume for data_dir");
        case Keeping::network:
            return add("file_system", Mark::warning, found,
                       "locks and syncs are what the other machine makes of them, and a lost connection stops ingest: "
                       "a local disk is what the journal is made for");
        case Keeping::unknown: break;
    }
    add("file_system", Mark::note, found + "; nothing is known of how it keeps what was synced");
}

Device Examiner::device() const
{
    Device device;
    if (!mount_) return device;
    device.memory = keeping_of(mount_->type) == Keeping::memory;
    // A partition tells in its disk's directory.
    for (const char* way : {"/queue/rotational", "/../queue/rotational"})
        if (content_of("/sys/dev/block/" + mount_->device + way).substr(0, 1) == "1") device.rotating = true;
    return device;
}

void Examiner::syncs()
{
    const auto cost = measure_syncs(disk_, clock_, at_ + "/.doctor-syncs-" + std::to_string(::getpid()));
    if (!cost.has_value()) return add("sync_cost", Mark::bad, cost.error().what, "a journal could not be written here");
    const std::string found =
        fmt::format("{} appends of 4 KiB, each with fdatasync: median {}, p99 {}, longest {}", cost->appends,
                    in_microseconds(cost->median), in_microseconds(cost->p99), in_microseconds(cost->max));
    if (slow(*cost))
        add("sync_cost", Mark::warning, found, "every event waits for one such sync; many connections share one");
    else
        add("sync_cost", Mark::good, found);
    const Device what = device();
    const std::string why = doubt(*cost, what);
    if (what.memory)
        add("sync_honesty", Mark::note, "nothing to sync: the file system lies in memory");
    else if (why.empty())
        add("sync_honesty", Mark::good, "syncs take as long as a device may need; more cannot be told without a power cut");
    else
        add("sync_honesty", Mark::warning, why, "ask whoever provides the disk what a flush does, or pull the plug of a trial machine");
}

void Examiner::open_files()
{
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const std::uint64_t wanted = place_.files_wanted == 0 ? files_least : place_.files_wanted + files_besides;
    std::string found = limit.rlim_cur == RLIM_INFINITY ? "no limit" : fmt::format("{} in this session", limit.rlim_cur);
    if (place_.files_wanted != 0) found += fmt::format("; the configuration may need {}", wanted);
    if (limit.rlim_cur < wanted)
        add("open_files", Mark::warning, found,
            "connections would be refused at the limit: raise it where the daemon is started (LimitNOFILE= of a unit)");
    else
        add("open_files", Mark::good, found);
}

bool Examiner::lock()
{
    // Made by the doctor, perhaps as root, it could keep the daemon's user out.
    if (!disk_.exists(at_ + "/lock")) {
        add("daemon", Mark::good, "none has used the directory");
        return true;
    }
    auto lock = disk_.lock(at_ + "/lock");
    if (!lock.has_value() && lock.error().code == Errc::conflict) {
        add("daemon", Mark::note, "a daemon uses the directory; `eventyard audit` asks it about journal and state");
        return false;
    }
    if (!lock.has_value()) {
        add("daemon", Mark::bad, lock.error().what);
        return false;
    }
    lock_ = std::move(*lock);
    add("daemon", Mark::good, "none uses the directory");
    return true;
}

/// The id that the segments carry; nothing when that cannot be told or is wrong, which is reported.
std::optional<Id> Examiner::journal_store(std::size_t& segments)
{
    const std::string directory = at_ + "/journal";
    if (!disk_.exists(directory)) {
        add("journal", Mark::note, "none yet");
        return std::nullopt;
    }
    const auto names = disk_.list(directory);
    if (!names.has_value()) {
        add("journal", Mark::bad, names.error().what);
        return std::nullopt;
    }
    std::set<Id> stores;
    std::size_t headless = 0;
    for (const std::string& name : *names) {
        const auto parsed = router::parse_segment_name(name);
        if (!parsed) continue;
        ++segments;
        std::string block;
        const auto file = disk_.open(directory + "/" + name, OpenMode::read);
        if (!file.has_value() || !(*file)->read_at(0, router::segment_data_start, block).has_value()) {
            add("journal", Mark::bad, "'" + name + "' cannot be read", "see the kernel's log for the disk");
            return std::nullopt;
        }
        const auto header = router::decode_segment_header(block, parsed->second);
        if (header.has_value()) {
            stores.insert(header->store);
        } else if (header.error().code == Errc::unsupported) {
            add("journal", Mark::bad, "'" + name + "': " + header.error().what, "use the eventyard that wrote it, or a newer one");
            return std::nullopt;
        } else if (std::any_of(block.begin(), block.end(), [](char c) { return c != 0; })) {
            ++headless;
        }
    }
    const std::string found = fmt::format("{} segment{} of a format this eventyard reads", segments, segments == 1 ? "" : "s");
    if (stores.size() > 1) {
        add("journal", Mark::bad, "segments of " + std::to_string(stores.size()) + " journals lie together",
            "a start would set aside those of all but one: restore the directory from one backup");
        return std::nullopt;
    }
    if (headless > 0)
        add("journal", Mark::note, fmt::format("{}; {} without a header", found, headless), "`eventyard journal check` looks closer");
    else
        add("journal", Mark::good, found, "");
    return stores.empty() ? Id{} : *stores.begin();
}

void Examiner::stored()
{
    std::size_t segments = 0;
    const auto store = journal_store(segments);
    const std::string path = at_ + "/state.db";
    if (!disk_.exists(path)) {
        if (segments > 0)
            add("state", Mark::warning, "no state.db beside a journal",
                "a start would deliver every kept event again: if there is a backup, restore it");
        else
            add("state", Mark::note, "none yet");
        return;
    }
    const auto state = router::inspect_state(disk_, path);
    if (!state.has_value()) {
        const bool newer = state.error().code == Errc::unsupported;
        return add("state", Mark::bad, state.error().what,
                   newer ? "use the eventyard that wrote it, or a newer one"
                         : "a start sets it aside and salvages what can be read");
    }
    add("state", Mark::good, fmt::format("format {}", state->format));
    if (!store || store->is_nil() || state->store.is_nil()) return;
    if (*store == state->store)
        add("pair", Mark::good, "journal and state belong together: " + store->text());
    else
        add("pair", Mark::bad, "the journal is of store " + store->text() + ", the state of " + state->store.text(),
            "a start would trust no position of this state and deliver every kept event again: restore both from one backup");
}

}  // namespace

const char* text_of(CheckupItem::Mark mark) noexcept
{
    switch (mark) {
        case Mark::good: return "good";
        case Mark::note: return "note";
        case Mark::warning: return "WARNING";
        case Mark::bad: break;
    }
    return "BAD";
}

bool Checkup::good() const noexcept
{
    return std::all_of(items.begin(), items.end(),
                       [](const CheckupItem& item) { return item.mark == Mark::good || item.mark == Mark::note; });
}

Checkup check_up(Disk& disk, const Clock& clock, const CheckupPlace& place) { return Examiner{disk, clock, place}.run(); }

}  // namespace eventyard::cli
