// tests/power/platter.hpp — what a disk holds when the power goes.
//
// Told of every change and every sync below one directory; pure, no disk. Of what was changed since the
// last sync a cut keeps, for every sector of 512 bytes on its own, the newest content, the synced one,
// or one in between; a file's length is one it had since; a truncation happens as a whole. Names made,
// moved and removed since the last sync of their directory survive in any combination (a move counts
// as one change). What was never written reads as zeros. That is what POSIX leaves open, and more than
// a journaling file system would do: syncing a file says nothing about its name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard::power {

/// By path, sorted, so that a directory stands before what is in it; no content: a directory.
using Tree = std::map<std::string, std::optional<std::string>>;
using Random = std::mt19937_64;

class Platter {
public:
    static constexpr std::uint64_t sector = 512;  // bytes
    using FileId = std::size_t;

    /// Everything in it is synced. Directories above its paths are always there.
    explicit Platter(const Tree& start);

    /// The file of that name now; nothing: no such name, or a directory.
    [[nodiscard]] std::optional<FileId> find(const std::string& path) const;

    FileId create(const std::string& path);
    void make_directory(const std::string& path);
    /// Both in one directory.
    void rename(const std::string& from, const std::string& to);
    void unlink(const std::string& path);
    void write(FileId file, std::uint64_t offset, std::string_view bytes);
    void truncate(FileId file, std::uint64_t size);

    /// Names all changes so far: a sync covers what was changed before it began.
    [[nodiscard]] std::uint64_t now() const noexcept { return changes_; }
    void sync_file(FileId file, std::uint64_t through);
    void sync_directory(const std::string& path, std::uint64_t through);

    /// As the process sees it.
    [[nodiscard]] Tree live() const;
    /// As the next start finds it, one of the possible ways.
    [[nodiscard]] Tree cut(Random& random) const;

private:
    struct Change {
        std::uint64_t number = 0;
        bool truncates = false;
        std::uint64_t at = 0;  // offset, or the new size
        std::string bytes;
    };
    struct File {
        std::string synced;
        std::vector<Change> changes;  // since then
    };
    using Entry = std::optional<FileId>;  // nothing: a directory
    using Names = std::map<std::string, Entry>;
    struct NameChange {
        std::uint64_t number = 0;
        std::string from, to;  // empty: made, removed
        Entry entry;
    };

    static void apply(const NameChange& change, Names& names);
    static void apply(const Change& change, std::string& content);
    [[nodiscard]] static std::string survivor(const File& file, Random& random);
    void change_name(NameChange change);

    std::vector<File> files_;
    Names names_, synced_names_;
    std::vector<NameChange> name_changes_;
    std::uint64_t changes_ = 0;
};

/// The directory a path lies in.
[[nodiscard]] std::string parent_of(const std::string& path);

}  // namespace eventyard::power
