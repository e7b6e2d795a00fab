// tests/support/memory_disk.hpp — a disk in memory that can lose, tear, fail and fill up.
//
// Every file remembers what was synced. crash() keeps of each un-synced 512-byte sector either the
// old or the new content, at random, and undoes a random tail of the directory changes that were
// not synced. `fault` is asked before every call. Thread-safe.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"

namespace eventyard::test {

class MemoryDisk final : public Disk {
public:
    struct Inode {
        std::string data;    // what the process sees
        std::string stable;  // what is surely on disk
        std::uint64_t links = 1;
    };
    using InodePtr = std::shared_ptr<Inode>;
    using Names = std::map<std::string, InodePtr>;  // by path

    /// Asked before each call: "open", "read", "write", "sync", "truncate", "rename", "unlink",
    /// "sync_directory"; a value makes the call fail. A failed write may have changed a part of
    /// the file; a failed sync leaves dirty what was dirty.
    std::function<std::optional<Error>(const std::string& call, const std::string& path)> fault;
    std::uint64_t free_bytes = 1ULL << 40;
    std::uint64_t total_bytes = 2ULL << 40;

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override
    {
        const std::lock_guard lock{mutex_};
        if (auto error = ask("open", path)) return *error;
        auto at = names_.find(path);
        if (mode == OpenMode::create_new) {
            if (at != names_.end()) return fail(Errc::io, "exists: " + path);
            at = names_.emplace(path, std::make_shared<Inode>()).first;
            log({path, nullptr, at->second});
        }
        if (at == names_.end()) return fail(Errc::not_found, "no such file '" + path + "'");
        return std::unique_ptr<File>(std::make_unique<OpenFile>(*this, at->second, path));
    }
    Result<void> rename(const std::string& from, const std::string& to) override
    {
        const std::lock_guard lock{mutex_};
        if (auto error = ask("rename", from)) return *error;
        const auto at = names_.find(from);
        if (at == names_.end()) return fail(Errc::not_found, "no such file '" + from + "'");
        const InodePtr inode = at->second;
        names_.erase(at);
        const InodePtr before = names_.contains(to) ? names_[to] : nullptr;
        names_[to] = inode;
        changes_.push_back({{to, before, inode}, {from, inode, nullptr}});
        return {};
    }
    Result<void> unlink(const std::string& path) override
    {
        const std::lock_guard lock{mutex_};
        if (auto error = ask("unlink", path)) return *error;
        const auto at = names_.find(path);
        if (at == names_.end()) return fail(Errc::not_found, "no such file '" + path + "'");
        log({path, at->second, nullptr});
        names_.erase(at);
        return {};
    }
    Result<void> sync_directory(const std::string& path) override
    {
        const std::lock_guard lock{mutex_};
        if (auto error = ask("sync_directory", path)) return *error;
        std::erase_if(changes_, [&](const Step& step) {
            const std::string& name = step.front().path;
            return name.substr(0, name.rfind('/')) == path;
        });
        return {};
    }
    Result<void> make_directory(const std::string& path) override
    {
        const std::lock_guard lock{mutex_};
        directories_.insert(path);
        return {};
    }
    Result<std::vector<std::string>> list(const std::string& path) override
    {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> names;
        for (const auto& [name, inode] : names_)
            if (name.size() > path.size() + 1 && name.starts_with(path + '/') &&
                name.find('/', path.size() + 1) == std::string::npos)
                names.push_back(name.substr(path.size() + 1));
        return names;
    }
    bool exists(const std::string& path) override
    {
        const std::lock_guard lock{mutex_};
        return names_.contains(path) || directories_.contains(path);
    }
    Result<Space> space(const std::string&) override
    {
        const std::lock_guard lock{mutex_};
        return Space{free_bytes, total_bytes};
    }
    Result<std::shared_ptr<void>> lock(const std::string& path) override
    {
        const std::lock_guard guard{mutex_};
        if (!locks_.insert(path).second) return fail(Errc::conflict, "locked: " + path);
        return std::shared_ptr<void>(new std::string{path}, [this](void* held) {
            const std::lock_guard inner{mutex_};
            auto* name = static_cast<std::string*>(held);
            locks_.erase(*name);
            delete name;
        });
    }

    /// The machine stops: open files die, un-synced data survives by sector or not at all.
    void crash(Random& random)
    {
        const std::lock_guard lock{mutex_};
        while (!changes_.empty() && random.next() % 2 == 0) {  // undo a tail of directory changes
            for (auto step = changes_.back().rbegin(); step != changes_.back().rend(); ++step) {
                if (step->before)
                    names_[step->path] = step->before;
                else
                    names_.erase(step->path);
            }
            changes_.pop_back();
        }
        changes_.clear();
        for (auto& [path, inode] : names_) {
            if (inode->data == inode->stable) continue;
            const bool new_size = random.next() % 2 == 0;
            std::string after = inode->stable;
            after.resize(new_size ? inode->data.size() : inode->stable.size(), '\0');
            for (std::size_t at = 0; at < after.size(); at += 512) {
                if (random.next() % 2 == 0 || at >= inode->data.size()) continue;
                const std::size_t size =
                    std::min({std::size_t{512}, after.size() - at, inode->data.size() - at});
                after.replace(at, size, inode->data, at, size);
            }
            inode->data = inode->stable = after;
        }
        locks_.clear();
    }

    // Direct access for tests.
    [[nodiscard]] std::vector<std::string> paths() const
    {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> list;
        for (const auto& [path, inode] : names_) list.push_back(path);
        return list;
    }
    [[nodiscard]] std::string content(const std::string& path) const
    {
        const std::lock_guard lock{mutex_};
        return names_.at(path)->data;
    }
    void set_content(const std::string& path, std::string bytes)
    {
        const std::lock_guard lock{mutex_};
        auto& inode = names_[path];
        if (!inode) inode = std::make_shared<Inode>();
        inode->data = inode->stable = std::move(bytes);
    }
    void remove(const std::string& path)
    {
        const std::lock_guard lock{mutex_};
        names_.erase(path);
    }
    void set_links(const std::string& path, std::uint64_t links)
    {
        const std::lock_guard lock{mutex_};
        names_.at(path)->links = links;
    }
    /// While threads use the disk.
    void set_fault(std::function<std::optional<Error>(const std::string& call, const std::string& path)> asked)
    {
        const std::lock_guard lock{mutex_};
        fault = std::move(asked);
    }
    void set_free(std::uint64_t bytes)
    {
        const std::lock_guard lock{mutex_};
        free_bytes = bytes;
    }
    /// A copy as after a clean power-off: everything synced, nothing open.
    [[nodiscard]] std::unique_ptr<MemoryDisk> clone() const
    {
        const std::lock_guard lock{mutex_};
        auto copy = std::make_unique<MemoryDisk>();
        copy->directories_ = directories_;
        for (const auto& [path, inode] : names_)
            copy->names_[path] = std::make_shared<Inode>(Inode{inode->data, inode->data, 1});
        return copy;
    }

private:
    struct Entry {
        std::string path;
        InodePtr before, after;
    };
    using Step = std::vector<Entry>;  // undone as one

    class OpenFile final : public File {
    public:
        OpenFile(MemoryDisk& disk, InodePtr inode, std::string path)
            : disk_(disk), inode_(std::move(inode)), path_(std::move(path))
        {
        }
        Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
        {
            const std::lock_guard lock{disk_.mutex_};
            const auto error = disk_.ask("write", path_);
            bool half = error.has_value();
            for (std::string_view piece : pieces) {
                if (half) piece = piece.substr(0, piece.size() / 2);
                const auto end = static_cast<std::size_t>(offset) + piece.size();
                if (inode_->data.size() < end) inode_->data.resize(end, '\0');
                inode_->data.replace(static_cast<std::size_t>(offset), piece.size(), piece);
                offset += piece.size();
                if (half) return *error;
            }
            return {};
        }
        Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
        {
            const std::lock_guard lock{disk_.mutex_};
            if (auto error = disk_.ask("read", path_)) return *error;
            out.clear();
            if (offset < inode_->data.size())
                out = inode_->data.substr(static_cast<std::size_t>(offset), size);
            return {};
        }
        Result<void> sync_data() override { return sync_all(); }
        Result<void> sync_all() override
        {
            const std::lock_guard lock{disk_.mutex_};
            if (auto error = disk_.ask("sync", path_)) return *error;
            inode_->stable = inode_->data;
            return {};
        }
        Result<void> truncate(std::uint64_t size) override
        {
            const std::lock_guard lock{disk_.mutex_};
            if (auto error = disk_.ask("truncate", path_)) return *error;
            inode_->data.resize(static_cast<std::size_t>(size), '\0');
            return {};
        }
        Result<std::uint64_t> size() override
        {
            const std::lock_guard lock{disk_.mutex_};
            return std::uint64_t{inode_->data.size()};
        }
        Result<std::uint64_t> links() override
        {
            const std::lock_guard lock{disk_.mutex_};
            return inode_->links;
        }

    private:
        MemoryDisk& disk_;
        InodePtr inode_;
        std::string path_;
    };

    std::optional<Error> ask(const std::string& call, const std::string& path) const
    {
        return fault ? fault(call, path) : std::nullopt;
    }
    void log(Entry entry) { changes_.push_back({std::move(entry)}); }

    mutable std::mutex mutex_;
    Names names_;
    std::set<std::string> directories_;
    std::set<std::string> locks_;
    std::vector<Step> changes_;  // of directories, not synced yet
};

}  // namespace eventyard::test
