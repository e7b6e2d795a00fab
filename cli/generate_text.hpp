// cli/generate_text.hpp — draws and pieces of JSON text that the families of cli/generate.hpp share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/generate.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

/// The draws of one event or rule: a splitmix64 sequence that starts from its index.
class Draws {
public:
    Draws(std::uint64_t seed, std::uint64_t index) noexcept
        : random_(SeededRandom(seed * 0x9e3779b97f4a7c15ULL + index).next())
    {
    }
    /// Uniform in [0, count); the bias of the remainder is below count / 2^64.
    [[nodiscard]] std::uint64_t below(std::uint64_t count) noexcept { return random_.next() % count; }
    [[nodiscard]] std::uint64_t bits() noexcept { return random_.next(); }
    /// Rank r in [0, count) with a chance near 1 / (r + 1): a uniform power of two, then uniform
    /// between it and the next.
    [[nodiscard]] std::uint64_t zipf(std::uint64_t count) noexcept;

private:
    SeededRandom random_;
};

/// A permutation of 32-bit numbers: makes running numbers look like names without repeating one.
[[nodiscard]] std::uint32_t scrambled(std::uint64_t i) noexcept;

/// Appends each part: text as it is, numbers in decimal.
class Text {
public:
    explicit Text(std::string& out) noexcept : out_(out) {}
    Text& operator<<(std::string_view text) { out_ += text; return *this; }
    Text& operator<<(std::uint64_t number);
    /// `number` with leading zeros.
    Text& padded(std::uint64_t number, unsigned width);
    Text& hex(std::uint64_t number, unsigned width);
    /// Hundredths as a decimal: 1250 is 12.50.
    Text& cents(std::uint64_t hundredths);

private:
    std::string& out_;
};

/// Starts an event of some 400 bytes around `"detail":{`; close_event() ends it after the family
/// wrote its own members of detail, each followed by a comma.
void open_event(Draws& draws, std::string_view source, std::string_view detail_type,
                std::string_view region, Text& out);
void close_event(Draws& draws, Text& out);

/// One of five regions; four start with "eu-".
[[nodiscard]] std::string_view draw_region(Draws& draws) noexcept;

// The rows of families(), a file each.
void add_shape_families(std::vector<Family>& list);
void add_growth_families(std::vector<Family>& list);
void add_other_families(std::vector<Family>& list);

}  // namespace eventyard::cli
