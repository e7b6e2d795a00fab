// rules/engine/interval_index.hpp — all intervals that hold a number.
//
// Intervals lie sorted by their low end; over them, blocks of sixteen know their greatest high end,
// over those again blocks of sixteen, and so on. A question visits only blocks that reach the number:
// it costs about the intervals found plus sixteen comparisons a level.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace eventyard::rules {

class IntervalIndex {
public:
    struct Interval {
        double low, high;  // both ends included; infinite where there is no end
        std::uint32_t ref;
        std::uint32_t only;  // the rule that asks for nothing but a number in here, or UINT32_MAX
    };

    void add(const Interval& interval) { all_.push_back(interval); }
    void finish()
    {
        std::sort(all_.begin(), all_.end(), [](const Interval& a, const Interval& b) { return a.low < b.low; });
        all_.shrink_to_fit();
        std::size_t size = all_.size();
        levels_.clear();
        while (size > fan) {
            const std::size_t blocks = (size + fan - 1) / fan;
            std::vector<double> highest(blocks);
            for (std::size_t b = 0; b < blocks; ++b) {
                double most = level_high(levels_.size(), b * fan);
                for (std::size_t i = b * fan + 1; i < std::min(size, (b + 1) * fan); ++i)
                    most = std::max(most, level_high(levels_.size(), i));
                highest[b] = most;
            }
            levels_.push_back(std::move(highest));
            size = blocks;
        }
    }
    /// Calls found(interval) for each that holds `number`.
    template <class Found>
    void find(double number, const Found& found) const
    {
        const auto end = std::upper_bound(all_.begin(), all_.end(), number,
                                          [](double n, const Interval& i) { return n < i.low; });
        visit(levels_.size(), 0, static_cast<std::size_t>(end - all_.begin()), number, found);
    }
    [[nodiscard]] std::size_t bytes() const noexcept
    {
        std::size_t sum = all_.capacity() * sizeof(Interval);
        for (const auto& level : levels_) sum += level.capacity() * sizeof(double);
        return sum;
    }

private:
    static constexpr std::size_t fan = 16;

    [[nodiscard]] double level_high(std::size_t level, std::size_t i) const noexcept
    {
        return level == 0 ? all_[i].high : levels_[level - 1][i];
    }
    /// The intervals before `end` below block `block` of `level`; level 0 holds the intervals themselves.
    template <class Found>
    void visit(std::size_t level, std::size_t block, std::size_t end, double number, const Found& found) const
    {
        std::size_t span = 1;  // intervals below one entry
        for (std::size_t i = 0; i < level; ++i) span *= fan;
        const std::size_t last = std::min((end + span - 1) / span, (block + 1) * fan);
        for (std::size_t i = block * fan; i < last; ++i) {
            if (level_high(level, i) < number) continue;
            if (level == 0) found(all_[i]);
            else visit(level - 1, i, end, number, found);
        }
    }

    std::vector<Interval> all_;
    std::vector<std::vector<double>> levels_;  // the greatest high end of each sixteen below
};

}  // namespace eventyard::rules
