// rules/engine/interval_index.hpp — all intervals that hold a number.
//
// Intervals lie sorted by their low end; over them, blocks of sixteen know their least low and their
// greatest high end, over those again blocks of sixteen, and so on. A question goes down only into
// blocks that reach the number: it costs about the intervals found plus sixteen comparisons a level.
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
        levels_.clear();
        for (std::size_t size = all_.size(); size > fan; size = levels_.back().size()) {
            std::vector<Block> blocks((size + fan - 1) / fan);
            for (std::size_t i = 0; i < size; ++i) {
                const Block below = levels_.empty() ? Block{all_[i].low, all_[i].high} : levels_.back()[i];
                Block& block = blocks[i / fan];
                block = i % fan == 0 ? below : Block{block.low, std::max(block.high, below.high)};
            }
            levels_.push_back(std::move(blocks));
        }
    }
    /// Calls found(interval) for each that holds `number`.
    template <class Found>
    void find(double number, const Found& found) const
    {
        visit(levels_.size(), 0, number, found);
    }
    [[nodiscard]] std::size_t bytes() const noexcept
    {
        std::size_t sum = all_.capacity() * sizeof(Interval);
        for (const auto& level : levels_) sum += level.capacity() * sizeof(Block);
        return sum;
    }

private:
    static constexpr std::size_t fan = 16;
    struct Block {
        double low, high;
    };

    /// The entries of `level` that lie in block `block` of the level above; level 0 holds the intervals.
    template <class Found>
    void visit(std::size_t level, std::size_t block, double number, const Found& found) const
    {
        if (level == 0) {
            // All of them are compared before any is told of: which hold is a coin's toss to a branch.
            const Interval* const first = &all_[block * fan];
            const auto count = static_cast<unsigned>(std::min(all_.size() - block * fan, fan));
            unsigned held = 0;
            for (unsigned i = 0; i < count; ++i)
                held |= (static_cast<unsigned>(first[i].low <= number) & static_cast<unsigned>(first[i].high >= number)) << i;
            for (; held != 0; held &= held - 1) found(first[__builtin_ctz(held)]);
            return;
        }
        const std::vector<Block>& blocks = levels_[level - 1];
        const std::size_t last = std::min(blocks.size(), (block + 1) * fan);
        for (std::size_t i = block * fan; i < last && blocks[i].low <= number; ++i)
            if (blocks[i].high >= number) visit(level - 1, i, number, found);
    }

    std::vector<Interval> all_;
    std::vector<std::vector<Block>> levels_;  // of each sixteen below
};

}  // namespace eventyard::rules
