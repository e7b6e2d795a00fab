// rules/engine/references.hpp — each rule as the reference evaluator needs it.
//
// Only it decides events in which one path is an object and an array at once. These are rare, so a
// plain pattern is kept as its text and compiled when such an event comes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rules/pattern.hpp"

namespace eventyard::rules {

/// Texts laid one after the other in blocks: a million grow without being copied.
class TextBlocks {
public:
    std::string_view add(std::string_view text)
    {
        constexpr std::size_t block_size = 1U << 20;
        if (left_ < text.size()) {
            left_ = std::max(block_size, text.size());
            blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
            next_ = blocks_.back().get();
            bytes_ += left_;
        }
        std::copy(text.begin(), text.end(), next_);
        const std::string_view kept{next_, text.size()};
        next_ += text.size();
        left_ -= text.size();
        return kept;
    }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::vector<std::unique_ptr<char[]>> blocks_;
    char* next_ = nullptr;
    std::size_t left_ = 0, bytes_ = 0;
};

class References {
public:
    /// Each rule once, ids ascending from 0.
    void add(Pattern pattern)
    {
        patterns_.emplace(static_cast<std::uint32_t>(size()), std::move(pattern));
        texts_.push_back({nullptr, 0});
    }
    /// `text` compiles without mistakes; up to 4 GiB.
    void add(std::string_view text)
    {
        const std::string_view kept = blocks_.add(text);
        texts_.push_back({kept.data(), static_cast<std::uint32_t>(kept.size())});
    }
    void finish() { texts_.shrink_to_fit(); }
    [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }
    /// Empty for a Pattern.
    [[nodiscard]] std::string_view text(std::uint32_t rule) const noexcept { return {texts_[rule].data(), texts_[rule].size}; }
    [[nodiscard]] bool match(std::uint32_t rule, const json::Document& event) const;
    /// Of the texts kept.
    [[nodiscard]] std::size_t bytes() const noexcept { return blocks_.bytes() + texts_.capacity() * sizeof texts_[0]; }

private:
    /// Twelve bytes.
    struct Text {
        Text(const char* at, std::uint32_t length) noexcept : size(length) { std::memcpy(address, &at, sizeof at); }
        [[nodiscard]] const char* data() const noexcept
        {
            const char* at;
            std::memcpy(&at, address, sizeof at);
            return at;
        }
        char address[sizeof(const char*)];
        std::uint32_t size;
    };
    static_assert(alignof(Text) == alignof(std::uint32_t));

    TextBlocks blocks_;
    std::vector<Text> texts_;  // of each rule; a Pattern has none
    std::unordered_map<std::uint32_t, Pattern> patterns_;
};

}  // namespace eventyard::rules
