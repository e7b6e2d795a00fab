#include "config/files.hpp"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/units.hpp"

namespace eventyard::config {

std::string resolve_path(const std::string& from_file, const std::string& path)
{
    const std::filesystem::path wanted(path);
    if (wanted.is_absolute()) return path;
    const std::filesystem::path folder = std::filesystem::path(from_file).parent_path();
    return folder.empty() ? path : (folder / wanted).string();
}

std::string absolute(const std::string& path)
{
    std::error_code ec;
    const auto full = std::filesystem::absolute(path, ec);
    return ec ? path : full.lexically_normal().string();
}

std::string canonical(const std::string& path)
{
    std::error_code ec;
    const auto full = std::filesystem::weakly_canonical(path, ec);
    return ec ? path : full.string();
}

std::vector<std::string> expand_glob(const std::string& pattern)
{
    std::vector<std::string> files;
    ::glob_t found{};
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        for (std::size_t i = 0; i < found.gl_pathc; ++i) {
            struct stat info{};
            if (::stat(found.gl_pathv[i], &info) == 0 && S_ISREG(info.st_mode))
                files.emplace_back(found.gl_pathv[i]);
        }
    }
    ::globfree(&found);
    return files;
}

Result<std::string> read_file(const std::string& path, std::size_t max)
{
    const auto failed = [&](const char* what, int error) {
        return fail(Errc::io, path + ": " + what + ": " + std::strerror(error));
    };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return failed("cannot open", errno);
    struct stat info{};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        ::close(fd);
        return fail(Errc::invalid, path + ": not a regular file");
    }
    std::string content;
    char buffer[64 << 10];
    for (;;) {
        const ssize_t got = ::read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            const int error = errno;
            ::close(fd);
            return failed("cannot read", error);
        }
        if (got == 0) break;
        content.append(buffer, static_cast<std::size_t>(got));
        if (content.size() > max) {
            ::close(fd);
            return fail(Errc::too_large, path + ": larger than " + format_size(max));
        }
    }
    ::close(fd);
    return content;
}

std::string extension(const std::string& path)
{
    std::string ext = std::filesystem::path(path).extension().string();
    std::transform(ext.begin(), ext.end(), ext.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return ext;
}

}  // namespace eventyard::config
