#include "tests/sim/disk.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace eventyard::sim {
namespace {

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

constexpr bool changes_something(Call call) noexcept { return call != Call::read && call != Call::open; }

}  // namespace

class SimDisk::SimFile final : public File {
public:
    SimFile(SimDisk& disk, InodePtr inode, std::string path)
        : disk_(disk), inode_(std::move(inode)), path_(std::move(path))
    {
    }
    Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
    {
        std::uint64_t end = offset;
        for (const auto piece : pieces) end += piece.size();
        auto error = disk_.ask(Call::write, path_);
        if (!error && disk_.full && end > inode_->data.size()) {
            disk_.coverage_.count("disk: no space");
            error = fail(Errc::no_space, "write '" + path_ + "': no space left on device");
        }
        for (const auto piece : pieces) {
            if (!error) {
                disk_.write(*inode_, offset, piece);
            } else if (!disk_.frozen_) {
                // What was on its way when it failed may be there in part.
                for (std::size_t at = 0; at < piece.size();) {
                    const std::size_t size = std::min(piece.size() - at, sector - (offset + at) % sector);
                    if (offset + at + size <= inode_->data.size() && disk_.random_.next() % 2 == 0)
                        disk_.write(*inode_, offset + at, piece.substr(at, size));
                    at += size;
                }
            }
            offset += piece.size();
        }
        if (error) return *error;
        return {};
    }
    Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
    {
        if (auto error = disk_.ask(Call::read, path_)) return *error;
        out.clear();
        if (offset < inode_->data.size()) out.assign(inode_->data, static_cast<std::size_t>(offset), size);
        return {};
    }
    Result<void> sync_data() override { return disk_.sync(*inode_, path_); }
    Result<void> sync_all() override { return disk_.sync(*inode_, path_); }
    Result<void> truncate(std::uint64_t size) override
    {
        if (auto error = disk_.ask(Call::truncate, path_)) return *error;
        disk_.resize(*inode_, size);
        return {};
    }
    Result<std::uint64_t> size() override { return std::uint64_t{inode_->data.size()}; }
    Result<WallTime> modified() override { return disk_.clock ? disk_.clock->wall() : WallTime{}; }

private:
    SimDisk& disk_;
    InodePtr inode_;
    std::string path_;
};

std::optional<Error> SimDisk::ask(Call call, const std::string& path)
{
    if (!frozen_ && cut_after > 0 && changes_something(call) && --cut_after == 0) {
        coverage_.count("crash: in the middle of a disk call");
        frozen_ = true;
    }
    if (frozen_) return fail(Errc::io, "'" + path + "': the machine is off");
    return fault ? fault(call, path) : std::nullopt;
}

void SimDisk::write(Inode& inode, std::uint64_t offset, std::string_view bytes)
{
    const auto at = static_cast<std::size_t>(offset);
    if (inode.data.size() < at + bytes.size()) resize(inode, offset + bytes.size());
    // A page that was lost is written again: dirty now, with what is stored below it.
    if (!inode.doomed.empty()) {
        const std::uint64_t last = (offset + bytes.size() - 1) / sector;
        for (auto lost = inode.doomed.lower_bound(offset / sector); lost != inode.doomed.end() && lost->first <= last;
             lost = inode.doomed.erase(lost))
            inode.undo.push_back({lost->first * sector, std::move(lost->second), false});
    }
    inode.undo.push_back({offset, inode.data.substr(at, bytes.size()), false});
    inode.data.replace(at, bytes.size(), bytes);
}

void SimDisk::resize(Inode& inode, std::uint64_t size)
{
    const auto to = static_cast<std::size_t>(size);
    if (to < inode.data.size()) inode.undo.push_back({size, inode.data.substr(to), true});
    inode.data.resize(to, '\0');
}

Result<void> SimDisk::sync(Inode& inode, const std::string& path)
{
    if (syncing && !frozen_) syncing(path);
    auto error = ask(Call::sync, path);
    if (!skip_sync_below.empty() && path.starts_with(skip_sync_below) && !frozen_) return {};
    if (error && !frozen_) {
        fail_sync(inode);
        if (retry_failed_sync) error = ask(Call::sync, path);
    }
    if (error) return *error;
    inode.undo.clear();
    inode.stable_size = inode.data.size();
    return {};
}

/// Each dirty sector was written, or it is stored as before and clean.
void SimDisk::fail_sync(Inode& inode)
{
    coverage_.count("disk: sync failed");
    std::string stored = inode.data;
    std::set<std::uint64_t> touched;
    for (auto step = inode.undo.rbegin(); step != inode.undo.rend(); ++step) {
        if (step->before.empty()) continue;
        const auto end = static_cast<std::size_t>(step->offset) + step->before.size();
        if (stored.size() < end) stored.resize(end, '\0');
        stored.replace(static_cast<std::size_t>(step->offset), step->before.size(), step->before);
        for (std::uint64_t s = step->offset / sector; s * sector < end; ++s) touched.insert(s);
    }
    stored.resize(inode.data.size(), '\0');
    for (const std::uint64_t s : touched) {
        const auto at = static_cast<std::size_t>(s * sector);
        if (at >= stored.size() || random_.next() % 2 == 0) continue;
        inode.doomed.try_emplace(s, stored, at, sector);
    }
    inode.undo.clear();
    inode.stable_size = inode.data.size();
}

void SimDisk::lose(Inode& inode)
{
    if (inode.undo.empty() && inode.doomed.empty() && inode.stable_size == inode.data.size()) return;
    coverage_.count("crash: a file with un-synced writes");
    std::size_t size = inode.data.size();
    bool cut = false;  // a truncation is kept
    // A whole-file mood, so that all or nothing of a file is not too rare.
    const std::uint64_t mood = random_.next() % 4;
    enum class Kept : std::uint8_t { open, decided };
    std::map<std::uint64_t, Kept> sectors;
    for (auto step = inode.undo.rbegin(); step != inode.undo.rend(); ++step) {
        const std::uint64_t end = step->offset + step->before.size();
        if (inode.data.size() < end) inode.data.resize(static_cast<std::size_t>(end), '\0');
        if (step->truncated) {
            if (random_.next() % 2 == 0) {  // kept: what was there before is gone for good
                cut = true;
                for (std::uint64_t s = step->offset / sector; s * sector < end; ++s) sectors[s] = Kept::decided;
            } else {
                for (std::uint64_t s = (step->offset + sector - 1) / sector; s * sector < end; ++s) sectors[s] = Kept::open;
                inode.data.replace(static_cast<std::size_t>(step->offset), step->before.size(), step->before);
                size = static_cast<std::size_t>(end);
                cut = false;
            }
            continue;
        }
        for (std::uint64_t at = step->offset; at < end;) {
            const std::uint64_t s = at / sector;
            const std::uint64_t stop = std::min(end, (s + 1) * sector);
            const auto [state, first] = sectors.try_emplace(s, Kept::open);
            if (state->second == Kept::open) {
                const std::uint64_t odds = first ? 2 : 4;
                if (mood == 0 || (mood != 1 && random_.next() % odds == 0)) state->second = Kept::decided;
            }
            if (state->second == Kept::open)
                inode.data.replace(static_cast<std::size_t>(at), static_cast<std::size_t>(stop - at), step->before,
                                   static_cast<std::size_t>(at - step->offset), static_cast<std::size_t>(stop - at));
            at = stop;
        }
    }
    for (const auto& [s, stored] : inode.doomed) {
        const auto at = static_cast<std::size_t>(s * sector);
        if (at < inode.data.size()) inode.data.replace(at, std::min(stored.size(), inode.data.size() - at), stored);
    }
    if (!cut && random_.next() % 2 == 0) size = static_cast<std::size_t>(inode.stable_size);
    inode.data.resize(size, '\0');
    inode.undo.clear();
    inode.doomed.clear();
    inode.stable_size = size;
}

void SimDisk::power_on()
{
    for (auto& [directory, steps] : changes_) {
        for (auto step = steps.rbegin(); step != steps.rend(); ++step)
            for (auto entry = step->rbegin(); entry != step->rend(); ++entry) {
                if (entry->before) names_[entry->path] = entry->before;
                else names_.erase(entry->path);
            }
    }
    for (auto& [directory, steps] : changes_) {
        for (const Step& step : steps) {
            if (random_.next() % 2 == 0) {
                coverage_.count("crash: an un-synced name lost");
                continue;
            }
            for (const Entry& entry : step) {
                if (entry.after) names_[entry.path] = entry.after;
                else if (const auto at = names_.find(entry.path); at != names_.end() && at->second == entry.before)
                    names_.erase(at);
            }
        }
    }
    changes_.clear();
    std::set<Inode*> seen;
    for (auto& [path, inode] : names_)
        if (seen.insert(inode.get()).second) lose(*inode);
    locks_.clear();
    cut_after = 0;
    frozen_ = false;
}

void SimDisk::patch(const std::string& path, std::uint64_t at, std::string_view bytes)
{
    const auto found = names_.find(path);
    if (found == names_.end() || at >= found->second->data.size()) return;
    std::string& data = found->second->data;
    const std::size_t size = std::min(bytes.size(), data.size() - static_cast<std::size_t>(at));
    data.replace(static_cast<std::size_t>(at), size, bytes.substr(0, size));
}

std::vector<std::string> SimDisk::paths() const
{
    std::vector<std::string> paths;
    for (const auto& [path, inode] : names_) paths.push_back(path);
    return paths;
}

std::uint64_t SimDisk::size_of(const std::string& path) const
{
    const auto found = names_.find(path);
    return found == names_.end() ? 0 : found->second->data.size();
}

std::string SimDisk::content(const std::string& path) const
{
    const auto found = names_.find(path);
    return found == names_.end() ? std::string{} : found->second->data;
}

std::uint64_t SimDisk::bytes() const
{
    std::uint64_t sum = 0;
    for (const auto& [path, inode] : names_) sum += inode->data.size();
    return sum;
}

void SimDisk::log(Step step)
{
    changes_[directory_of(step.front().path)].push_back(std::move(step));
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode)
{
    if (auto error = ask(Call::open, path)) return *error;
    auto at = names_.find(path);
    if (mode == OpenMode::create_new) {
        if (full) {
            coverage_.count("disk: no space");
            return fail(Errc::no_space, "create '" + path + "': no space left on device");
        }
        if (at != names_.end()) return fail(Errc::io, "create '" + path + "': it exists");
        at = names_.emplace(path, std::make_shared<Inode>()).first;
        log({{path, nullptr, at->second}});
    }
    if (at == names_.end()) return fail(Errc::not_found, "no such file '" + path + "'");
    return std::unique_ptr<File>(std::make_unique<SimFile>(*this, at->second, path));
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to)
{
    if (auto error = ask(Call::rename, from)) return *error;
    const auto at = names_.find(from);
    if (at == names_.end()) return fail(Errc::not_found, "no such file '" + from + "'");
    const InodePtr inode = at->second;
    const InodePtr before = names_.contains(to) ? names_[to] : nullptr;
    names_.erase(from);
    names_[to] = inode;
    log({{to, before, inode}, {from, inode, nullptr}});
    if (renamed) renamed(from, to);
    return {};
}

Result<void> SimDisk::unlink(const std::string& path)
{
    if (auto error = ask(Call::unlink, path)) return *error;
    const auto at = names_.find(path);
    if (at == names_.end()) return fail(Errc::not_found, "no such file '" + path + "'");
    const InodePtr inode = at->second;
    names_.erase(at);
    log({{path, inode, nullptr}});
    return {};
}

Result<void> SimDisk::sync_directory(const std::string& path)
{
    if (auto error = ask(Call::sync_directory, path)) return *error;
    changes_.erase(path);
    return {};
}

Result<void> SimDisk::make_directory(const std::string& path)
{
    if (frozen_) return fail(Errc::io, "'" + path + "': the machine is off");
    directories_.insert(path);
    return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& path)
{
    if (frozen_) return fail(Errc::io, "'" + path + "': the machine is off");
    std::vector<std::string> names;
    for (auto at = names_.lower_bound(path + '/'); at != names_.end() && at->first.starts_with(path + '/'); ++at)
        if (at->first.find('/', path.size() + 1) == std::string::npos) names.push_back(at->first.substr(path.size() + 1));
    return names;
}

bool SimDisk::exists(const std::string& path) { return names_.contains(path) || directories_.contains(path); }

Result<Space> SimDisk::space(const std::string&)
{
    return Space{full ? 0 : free, 1ULL << 40};
}

Result<std::shared_ptr<void>> SimDisk::lock(const std::string& path)
{
    if (!locks_.insert(path).second) return fail(Errc::conflict, "locked: " + path);
    return std::shared_ptr<void>(new std::string{path}, [this](void* held) {
        auto* name = static_cast<std::string*>(held);
        locks_.erase(*name);
        delete name;
    });
}

}  // namespace eventyard::sim
