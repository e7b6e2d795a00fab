// cli/overlay_disk.hpp — another disk whose files stay as they are: what is written lies in memory.
//
// For looking at a directory in the way of a start, which repairs what it finds. A file that is opened
// for writing is copied into memory as a whole when it is written first. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/disk.hpp"

namespace eventyard {

class OverlayDisk final : public Disk {
public:
    /// @param below  must outlive this
    explicit OverlayDisk(Disk& below) : below_(below) {}

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<void> make_directory(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& path) override;
    bool exists(const std::string& path) override;
    Result<Space> space(const std::string& path) override;

private:
    /// What the path names now: a file below that was not written (`below`), or bytes of ours.
    struct Node {
        std::string below;
        std::optional<std::string> bytes;
        std::mutex mutex;
    };
    class Handle;
    [[nodiscard]] std::shared_ptr<Node> find(const std::string& path);

    Disk& below_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Node>> nodes_;  // null: gone
};

}  // namespace eventyard
