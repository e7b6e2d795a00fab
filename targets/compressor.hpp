// targets/compressor.hpp — turns a rotated file into a .zst file, a piece at a time.
//
// On the worker's thread between batches, so that compressing a large file delays no delivery by
// more than one piece. A crash leaves the original and at most a ".zst.tmp", which is overwritten.
#pragma once

#include <memory>
#include <string>

#include "core/disk.hpp"

namespace eventyard::targets {

class Compressor {
public:
    /// @param path  becomes path + ".zst"
    Compressor(Disk& disk, std::string path);
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    /// Compresses up to 1 MiB; true when the file is done and the original gone. After an error the
    /// original is still there; throw this object away.
    Result<bool> step();

private:
    struct Stream;
    Result<void> begin();
    Result<void> end();

    Disk& disk_;
    std::string path_;
    std::unique_ptr<Stream> stream_;
    std::unique_ptr<File> from_;
    std::unique_ptr<File> to_;
    std::uint64_t read_ = 0;
    std::uint64_t written_ = 0;
};

}  // namespace eventyard::targets
