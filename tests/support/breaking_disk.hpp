// tests/support/breaking_disk.hpp — a real disk that can be told to fail or to stall.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/disk.hpp"

namespace eventyard::support {

/// Thread-safe, as a worker uses it while the test turns the knobs.
class BreakingDisk final : public Disk {
public:
    std::atomic<bool> stalled{false};      // writes and syncs wait until false
    std::atomic<int> fail_writes{0};       // so many writes fail half-way with ENOSPC
    std::atomic<int> fail_syncs{0};        // so many syncs fail with EIO
    std::atomic<bool> fail_renames{false};
    std::atomic<int> syncs{0};
    std::atomic<int> opened{0};            // open_output calls

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override
    {
        return real_.open(path, mode);
    }
    Result<std::unique_ptr<File>> open_output(const std::string& path) override
    {
        EVENTYARD_TRY(file, real_.open_output(path));
        ++opened;
        return std::unique_ptr<File>(std::make_unique<BreakingFile>(*this, std::move(file), path));
    }
    Result<void> rename(const std::string& from, const std::string& to) override
    {
        if (fail_renames) return fail_errno("rename to", to, EACCES);
        return real_.rename(from, to);
    }
    Result<void> unlink(const std::string& path) override { return real_.unlink(path); }
    Result<void> sync_directory(const std::string& path) override { return real_.sync_directory(path); }
    Result<void> make_directory(const std::string& path) override { return real_.make_directory(path); }
    Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
    bool exists(const std::string& path) override { return real_.exists(path); }
    Result<Space> space(const std::string& path) override { return real_.space(path); }

private:
    class BreakingFile final : public File {
    public:
        BreakingFile(BreakingDisk& disk, std::unique_ptr<File> file, std::string path)
            : disk_(disk), file_(std::move(file)), path_(std::move(path))
        {
        }
        Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
        {
            disk_.wait();
            if (disk_.fail_writes > 0) {
                --disk_.fail_writes;
                std::string all;
                for (const auto piece : pieces) all += piece;
                const std::string_view half = std::string_view{all}.substr(0, all.size() / 2);
                static_cast<void>(file_->write_at(offset, {half}).has_value());
                return fail_errno("write", path_, ENOSPC);
            }
            return file_->write_at(offset, pieces);
        }
        Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
        {
            return file_->read_at(offset, size, out);
        }
        Result<void> sync_data() override
        {
            disk_.wait();
            ++disk_.syncs;
            if (disk_.fail_syncs > 0) {
                --disk_.fail_syncs;
                synced_badly_ = true;
                return fail_errno("fdatasync", path_, EIO);
            }
            // A second sync after a failed one may succeed without the data: nobody may ask for it.
            if (synced_badly_) return fail(Errc::invalid, "a failed sync was tried again");
            return file_->sync_data();
        }
        Result<void> sync_all() override { return file_->sync_all(); }
        Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
        Result<std::uint64_t> size() override { return file_->size(); }
        Result<WallTime> modified() override { return file_->modified(); }

    private:
        BreakingDisk& disk_;
        std::unique_ptr<File> file_;
        std::string path_;
        bool synced_badly_ = false;
    };

    void wait() const
    {
        while (stalled) std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }

    PosixDisk real_;
};

}  // namespace eventyard::support
