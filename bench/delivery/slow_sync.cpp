// A library for LD_PRELOAD: fdatasync and fsync take EVENTYARD_BENCH_SYNC_US microseconds more, as on a real disk.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace {

void wait()
{
    static const long microseconds = [] {
        const char* asked = std::getenv("EVENTYARD_BENCH_SYNC_US");
        return asked != nullptr ? std::atol(asked) : 0L;
    }();
    const timespec time{microseconds / 1'000'000, microseconds % 1'000'000 * 1000};
    if (microseconds > 0) ::nanosleep(&time, nullptr);
}

}  // namespace

extern "C" {

int fdatasync(int file)
{
    wait();
    return static_cast<int>(::syscall(SYS_fdatasync, file));
}
int fsync(int file)
{
    wait();
    return static_cast<int>(::syscall(SYS_fsync, file));
}
}
