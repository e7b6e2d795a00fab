// tests/draws/random.hpp — where draws come from: a seed, or the bytes a fuzzer hands over.
//
// Bytes that have run out are zeros for ever, so whoever draws must not repeat until a draw is not
// zero.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace eventyard::draws {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    explicit Dice(std::string_view bytes) : bytes_(bytes), from_bytes_(true) {}

    /// Uniform in [0, n); n is at least 1.
    std::size_t below(std::size_t n)
    {
        if (from_bytes_) {
            std::size_t value = 0;
            for (std::size_t reach = 1; reach < n && !bytes_.empty(); reach <<= 8) {
                value = (value << 8) | static_cast<unsigned char>(bytes_.front());
                bytes_.remove_prefix(1);
            }
            return value % n;
        }
        return static_cast<std::size_t>(((next() >> 32) * n) >> 32);
    }
    bool chance(std::size_t percent) { return below(100) < percent; }
    /// From `low` to `high`, both included.
    std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
    template <class T>
    const T& pick(const std::vector<T>& all) { return all[below(all.size())]; }
    template <class T>
    void shuffle(std::vector<T>& all)
    {
        for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[below(i)]);
    }

private:
    std::uint64_t next()
    {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }

    std::uint64_t state_ = 0;
    std::string_view bytes_;
    bool from_bytes_ = false;
};

}  // namespace eventyard::draws
