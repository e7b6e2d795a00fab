// bench/delivery/wire.hpp — what the load and the sink agree on: times in events, and as little HTTP as they need.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard::bench {

/// Nanoseconds of the clock that both processes share.
inline std::uint64_t now()
{
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

/// An event says when it was due: this, and then so many digits.
constexpr std::string_view due_mark = "\"due\":\"";
constexpr std::size_t due_digits = 19;

inline void write_due(char* at, std::uint64_t time)
{
    for (std::size_t i = due_digits; i-- > 0; time /= 10) at[i] = static_cast<char>('0' + time % 10);
}

inline std::uint64_t read_due(const char* at)
{
    std::uint64_t time = 0;
    for (std::size_t i = 0; i < due_digits; ++i) time = time * 10 + static_cast<std::uint64_t>(at[i] - '0');
    return time;
}

/// One whole message at the start of `text`: the size of head and body; 0: not all there yet.
inline std::size_t message_size(std::string_view text, std::size_t& head)
{
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    head = end + 4;
    std::size_t length = 0;
    for (std::size_t at = text.find("\r\n"); at < end; at = text.find("\r\n", at + 2)) {
        constexpr std::string_view name = "content-length:";
        const std::string_view line = text.substr(at + 2, end - at);
        if (line.size() < name.size()) break;
        bool same = true;
        for (std::size_t i = 0; i < name.size() && same; ++i) same = (line[i] | (name[i] & 0x20)) == name[i];
        if (same) length = std::strtoul(line.data() + name.size(), nullptr, 10);
    }
    return text.size() >= head + length ? head + length : 0;
}

/// Times in nanoseconds, told in microseconds.
class Times {
public:
    void add(std::uint64_t nanoseconds) { all_.push_back(static_cast<float>(nanoseconds) * 1e-3F); }
    void clear() { all_.clear(); }
    [[nodiscard]] std::size_t count() const { return all_.size(); }
    [[nodiscard]] double at(double share)
    {
        if (all_.empty()) return 0;
        const auto place = std::min(all_.size() - 1, static_cast<std::size_t>(share * static_cast<double>(all_.size())));
        std::nth_element(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(place), all_.end());
        return static_cast<double>(all_[place]);
    }

private:
    std::vector<float> all_;
};

inline void allow_many_files()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace eventyard::bench
