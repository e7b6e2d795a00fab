#include "cli/progress.hpp"

#include <unistd.h>

#include <iostream>

#include "cli/table.hpp"

namespace eventyard::cli {

Progress::Progress(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), on_(::isatty(STDERR_FILENO) == 1)
{
}

Progress::~Progress()
{
    if (shown_ != SteadyTime{}) std::cerr << "\r\x1b[K" << std::flush;
}

void Progress::show(std::uint64_t done)
{
    const SteadyTime now = SystemClock{}.steady();
    if (!on_ || now - shown_ < std::chrono::milliseconds(200)) return;
    shown_ = now;
    std::cerr << "\r\x1b[K" << what_ << ": " << grouped(done);
    if (total_ > 0) std::cerr << " of " << grouped(total_);
    std::cerr << std::flush;
}

}  // namespace eventyard::cli
