#include "router/journal/quarantine.hpp"

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::uint64_t bytes_max = 64ULL << 20;  // of one damaged segment

std::string folder_of(const std::string& directory) { return directory + "/quarantine"; }

/// `stem` and a number that no file there has.
std::string free_path(Disk& disk, const std::string& stem)
{
    std::string path;
    unsigned attempt = 0;
    do path = stem + '.' + std::to_string(++attempt);
    while (disk.exists(path));
    return path;
}

}  // namespace

std::optional<std::string> set_aside(Disk& disk, const std::string& directory, const std::string& segment)
{
    const std::string to = folder_of(directory) + '/' + segment;
    if (!disk.make_directory(folder_of(directory)).has_value()) return std::nullopt;
    if (!disk.rename(directory + '/' + segment, to).has_value()) return std::nullopt;
    return to;
}

std::optional<std::string> keep_bad_bytes(Disk& disk, const std::string& directory, const std::string& segment, File& file,
                                          const Scan& scan, const Verdict& verdict)
{
    std::vector<Extent> bad = scan.garbage;
    for (const Finding& finding : verdict.findings)
        if (finding.kind == Finding::Kind::damaged && finding.event != nullptr)
            bad.push_back({finding.event->offset, finding.event->size});
    FileWindow window{file, scan.file_size};
    std::string content;
    ByteWriter writer{content};
    for (const Extent& extent : bad) {
        const std::string_view bytes = window.at(extent.offset, extent.size);
        if (content.size() + bytes.size() > bytes_max) break;
        writer.fixed(extent.offset);
        writer.fixed<std::uint64_t>(bytes.size());
        writer.raw(bytes);
    }
    if (content.empty() || !disk.make_directory(folder_of(directory)).has_value()) return std::nullopt;
    const std::string path = free_path(disk, folder_of(directory) + '/' + segment);
    if (!replace_file(disk, path, content).has_value()) return std::nullopt;
    return path;
}

Result<std::string> keep_original(Disk& disk, const std::string& directory, const std::string& segment)
{
    EVENTYARD_CHECK(disk.make_directory(folder_of(directory)));
    const std::string path = free_path(disk, folder_of(directory) + '/' + segment + ".original");
    // Never a second name: a segment may be sealed in place, and the original would change with it.
    EVENTYARD_TRY(file, disk.open(directory + '/' + segment, OpenMode::read));
    EVENTYARD_TRY(size, file->size());
    EVENTYARD_CHECK(copy_file(disk, directory + '/' + segment, path, size));
    EVENTYARD_CHECK(disk.sync_directory(folder_of(directory)));
    return path;
}

}  // namespace eventyard::router
