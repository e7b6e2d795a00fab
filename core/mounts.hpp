// core/mounts.hpp — which file system a path lies on, from the kernel's list of mounts. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace eventyard {

struct Mount {
    std::string point;    // where it is mounted
    std::string type;     // "ext4", "nfs4", "fuse.sshfs", ...
    std::string options;  // of the mount and of the file system, with commas
    std::string device;   // "major:minor"
};

/// The mount that holds `path`, which is absolute and without symbolic links.
/// @param mountinfo  content of /proc/self/mountinfo
[[nodiscard]] std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view path);

/// What a file system of that type is to a journal.
enum class Keeping : unsigned char {
    disk,     // keeps what was synced, as far as is known
    memory,   // forgets all at a restart
    layered,  // over another one (overlay), gone with its container more often than not
    network,  // another machine's, where locks and syncs are what that machine makes of them
    unknown,
};
[[nodiscard]] Keeping keeping_of(std::string_view type) noexcept;

/// An option stands in the list.
[[nodiscard]] bool has_option(const Mount& mount, std::string_view option) noexcept;

}  // namespace eventyard
