#include "core/mounts.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace eventyard {
namespace {

std::vector<std::string_view> split(std::string_view text, char by)
{
    std::vector<std::string_view> parts;
    while (true) {
        const auto end = text.find(by);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

/// Blanks and backslashes stand as octal numbers of three digits.
std::string unescaped(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 3 >= text.size()) {
            out += text[i];
            continue;
        }
        out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
        i += 3;
    }
    return out;
}

bool below(std::string_view path, std::string_view point)
{
    if (point == "/") return true;
    return path.substr(0, point.size()) == point && (path.size() == point.size() || path[point.size()] == '/');
}

}  // namespace

std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view path)
{
    // id parent major:minor root point options optional... - type source super-options
    std::optional<Mount> best;
    for (const std::string_view line : split(mountinfo, '\n')) {
        const auto fields = split(line, ' ');
        const auto dash = std::find(fields.begin(), fields.end(), "-");
        if (fields.size() < 6 || fields.end() - dash < 4) continue;
        const std::string point = unescaped(fields[4]);
        if (!below(path, point)) continue;
        if (best && best->point.size() > point.size()) continue;  // of equal ones the later covers the earlier
        best = Mount{point, std::string(dash[1]), std::string(fields[5]) + "," + std::string(dash[3]),
                     std::string(fields[2])};
    }
    return best;
}

Keeping keeping_of(std::string_view type) noexcept
{
    const auto is = [type](const auto& names) { return std::find(names.begin(), names.end(), type) != names.end(); };
    constexpr std::array<std::string_view, 9> disks = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs"};
    constexpr std::array<std::string_view, 2> memory = {"tmpfs", "ramfs"};
    constexpr std::array<std::string_view, 3> layered = {"overlay", "aufs", "fuse-overlayfs"};
    constexpr std::array<std::string_view, 11> network = {"nfs",  "nfs4", "cifs",      "smb3",   "smbfs", "9p",
                                                          "ceph", "afs",  "glusterfs", "lustre", "virtiofs"};
    if (is(disks)) return Keeping::disk;
    if (is(memory)) return Keeping::memory;
    if (is(layered) || type == "fuse.fuse-overlayfs") return Keeping::layered;
    if (is(network) || type == "fuse.sshfs" || type == "fuse.glusterfs" || type == "fuse.s3fs") return Keeping::network;
    return Keeping::unknown;
}

bool has_option(const Mount& mount, std::string_view option) noexcept
{
    const auto options = split(mount.options, ',');
    return std::find(options.begin(), options.end(), option) != options.end();
}

}  // namespace eventyard
