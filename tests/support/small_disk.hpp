// tests/support/small_disk.hpp — a file system of a few megabytes that a test may fill, without root.
//
// A process of its own holds a mount namespace in which a tmpfs covers one directory. Programs run on
// it by enter(); the test reaches its files by outside(). Gone when the object and what it runs end.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace eventyard::support {

class SmallDisk {
public:
    /// @param path  a directory that exists, to be covered
    SmallDisk(std::string path, std::uint64_t bytes) : path_(std::move(path))
    {
        holder_ = std::make_unique<Process>(std::vector<std::string>{
            "/bin/sh", "-c",
            "exec unshare --user --map-root-user --mount sh -c '"
            "mount -t tmpfs -o size=" + std::to_string(bytes) + " none \"$0\" && echo mounted && exec sleep infinity' \"$0\"",
            path_});
        if (!holder_->wait_for_line("mounted")) holder_.reset();
    }

    /// False: this machine gives nobody a mount namespace.
    [[nodiscard]] bool mounted() const noexcept { return holder_ != nullptr; }
    /// What runs a program where the file system is seen.
    [[nodiscard]] std::vector<std::string> enter() const
    {
        return {"/usr/bin/nsenter", "--user", "--mount", "--preserve-credentials", "--target",
                std::to_string(holder_->pid()), "--"};
    }
    /// The directory, as it is named outside.
    [[nodiscard]] std::string outside() const
    {
        return "/proc/" + std::to_string(holder_->pid()) + "/root" + path_;
    }
    [[nodiscard]] std::uint64_t free() const
    {
        struct statvfs info {};
        if (::statvfs(outside().c_str(), &info) != 0) throw std::runtime_error("statvfs " + outside());
        return std::uint64_t{info.f_bavail} * info.f_frsize;
    }
    /// Takes what is left, to the last byte, in a file of that name (which may exist).
    void fill(const std::string& name) const
    {
        const int fd = ::open((outside() + "/" + name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0) throw std::runtime_error("cannot open the file that fills the disk");
        const std::string block(1U << 20, 'x');
        std::size_t size = block.size();
        while (size > 0) {
            const auto wrote = ::write(fd, block.data(), size);
            if (wrote < 0) size = errno == ENOSPC ? size / 2 : size;
        }
        ::close(fd);
    }
    void remove(const std::string& name) const { std::filesystem::remove(outside() + "/" + name); }

private:
    std::string path_;
    std::unique_ptr<Process> holder_;
};

}  // namespace eventyard::support
