#include "targets/compressor.hpp"

#include <zstd.h>

namespace eventyard::targets {
namespace {

constexpr std::size_t piece = 1U << 20;

std::string directory_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

struct Compressor::Stream {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ZSTD_freeCCtx(context); }
};

Compressor::Compressor(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
Compressor::~Compressor() = default;

Result<void> Compressor::begin()
{
    const std::string temp = path_ + ".zst.tmp";
    if (disk_.exists(temp)) EVENTYARD_CHECK(disk_.unlink(temp));
    EVENTYARD_TRY(from, disk_.open(path_, OpenMode::read));
    EVENTYARD_TRY(to, disk_.open(temp, OpenMode::create_new));
    from_ = std::move(from);
    to_ = std::move(to);
    stream_ = std::make_unique<Stream>();
    if (stream_->context == nullptr) return fail(Errc::io, "zstd: out of memory");
    ZSTD_CCtx_setParameter(stream_->context, ZSTD_c_checksumFlag, 1);
    return {};
}

Result<bool> Compressor::step()
{
    if (!stream_) EVENTYARD_CHECK(begin());
    std::string input;
    EVENTYARD_CHECK(from_->read_at(read_, piece, input));
    read_ += input.size();
    const bool last = input.size() < piece;
    std::string output(ZSTD_CStreamOutSize(), '\0');
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    while (true) {
        ZSTD_outBuffer out{output.data(), output.size(), 0};
        const std::size_t left = ZSTD_compressStream2(stream_->context, &out, &in,
                                                      last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left) != 0)
            return fail(Errc::io, "zstd '" + path_ + "': " + ZSTD_getErrorName(left));
        if (out.pos > 0)
            EVENTYARD_CHECK(to_->write_at(written_, {std::string_view{output.data(), out.pos}}));
        written_ += out.pos;
        if (last ? left == 0 : in.pos == in.size) break;
    }
    if (!last) return false;
    EVENTYARD_CHECK(end());
    return true;
}

Result<void> Compressor::end()
{
    EVENTYARD_CHECK(to_->sync_all());
    to_.reset();
    from_.reset();
    EVENTYARD_CHECK(disk_.rename(path_ + ".zst.tmp", path_ + ".zst"));
    EVENTYARD_CHECK(disk_.sync_directory(directory_of(path_)));
    EVENTYARD_CHECK(disk_.unlink(path_));
    return disk_.sync_directory(directory_of(path_));
}

}  // namespace eventyard::targets
