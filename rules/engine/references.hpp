// rules/engine/references.hpp — each rule as the reference evaluator needs it.
//
// Only it decides events in which one path is an object and an array at once. These are rare, so a
// plain pattern is kept as its text and compiled when such an event comes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rules/pattern.hpp"

namespace eventyard::rules {

class References {
public:
    /// Each rule once, ids ascending from 0.
    void add(Pattern pattern)
    {
        patterns_.emplace(static_cast<std::uint32_t>(size()), std::move(pattern));
        ends_.push_back(texts_.size());
    }
    /// `text` compiles without mistakes.
    void add(std::string_view text)
    {
        texts_ += text;
        ends_.push_back(texts_.size());
    }
    void finish()
    {
        texts_.shrink_to_fit();
        ends_.shrink_to_fit();
    }
    [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
    /// Empty for a Pattern.
    [[nodiscard]] std::string_view text(std::uint32_t rule) const noexcept
    {
        const std::uint64_t begin = rule == 0 ? 0 : ends_[rule - 1];
        return std::string_view(texts_).substr(begin, ends_[rule] - begin);
    }
    [[nodiscard]] bool match(std::uint32_t rule, const json::Document& event) const;
    /// Of the texts kept.
    [[nodiscard]] std::size_t bytes() const noexcept { return texts_.capacity() + ends_.capacity() * sizeof ends_[0]; }

private:
    std::string texts_;
    std::vector<std::uint64_t> ends_;  // of each rule's text; a Pattern's is empty
    std::unordered_map<std::uint32_t, Pattern> patterns_;
};

}  // namespace eventyard::rules
