// router/journal/versions.hpp — routing versions on disk: two copies each, written before first use.
//
// routing/<number>.a and .b. A version whose content is stored already keeps its number. Contents
// are loaded when needed; a few stay cached. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.hpp"
#include "core/ids.hpp"
#include "router/routing_version.hpp"

namespace eventyard::router {

/// The file's bytes.
[[nodiscard]] std::string encode_version(const Id& store, const RoutingVersion& version);
/// Errc::corrupt: the checksum fails; Errc::unsupported: a newer format.
Result<std::pair<Id, RoutingVersion>> decode_version(std::string_view bytes);

class Versions {
public:
    /// Reads what is there and mends single lost copies. `store` stays nil until set_store() when
    /// no file tells it.
    static Result<std::unique_ptr<Versions>> open(Disk& disk, std::string directory);

    [[nodiscard]] Id store() const noexcept { return store_; }
    void set_store(const Id& store) noexcept { store_ = store; }
    /// Files that could not be read at start.
    [[nodiscard]] const std::vector<std::string>& unreadable() const noexcept { return unreadable_; }

    /// The stored version with this content, stored now if there is none.
    Result<RoutingVersionPtr> store_version(const RoutingVersion& version);
    /// Null when both copies are lost.
    RoutingVersionPtr find(std::uint64_t number);
    /// As find; Errc::io where the disk does not give it now, which says nothing about what is stored.
    Result<RoutingVersionPtr> look_up(std::uint64_t number);
    /// Whether remove_unused() has anything to remove.
    [[nodiscard]] bool any_unused(const std::set<std::uint64_t>& used) const;
    /// Removes what neither `used` nor a living pointer refers to; the newest always stays, so its
    /// number is not given again.
    void remove_unused(const std::set<std::uint64_t>& used);

private:
    struct Entry {
        std::uint32_t hash = 0;      // of the content
        std::uint64_t size = 0;
        bool readable = false;
        std::weak_ptr<const RoutingVersion> living;
    };

    Versions(Disk& disk, std::string directory) : disk_(disk), directory_(std::move(directory)) {}
    [[nodiscard]] std::string path(std::uint64_t number, char copy) const;
    Result<std::string> read(std::uint64_t number, char copy);
    using Entries = std::map<std::uint64_t, Entry>;
    [[nodiscard]] bool unused(Entries::const_iterator at, const std::set<std::uint64_t>& used) const;
    Result<RoutingVersionPtr> look_up_locked(std::uint64_t number);
    void remember(const RoutingVersionPtr& version);

    Disk& disk_;
    std::string directory_;
    Id store_;
    std::vector<std::string> unreadable_;
    mutable std::mutex mutex_;
    Entries entries_;
    std::list<RoutingVersionPtr> recent_;  // newest use first, at most a few
    std::uint64_t next_ = 1;
};

/// Versions as one reader of many events looks them up. Not thread-safe; for one chunk of work, for it keeps a version.
class VersionMemo {
public:
    explicit VersionMemo(Versions& versions) : versions_(versions) {}

    /// As Versions::look_up(); counted apart, see counted_apart().
    Result<RoutingVersionPtr> look_up(std::uint64_t number)
    {
        if (last_ && last_->number == number) return last_;
        EVENTYARD_TRY(found, versions_.look_up(number));
        if (found) last_ = counted_apart(std::move(found));
        else last_.reset();
        return last_;
    }

private:
    Versions& versions_;
    RoutingVersionPtr last_;
};

}  // namespace eventyard::router
