// cli/bench_events.hpp — the events of a benchmark: a block at a time in one padded buffer.
//
// A block holds as many events as fit its size; sources are read again from the start for each
// round, so that files and generated events larger than memory can be measured.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/generate.hpp"
#include "core/result.hpp"

namespace eventyard::cli {

/// Events one after the other, each with json::Document::padding readable bytes after its end.
class EventBlock {
public:
    static constexpr std::size_t bytes_max = 256U << 20;

    void clear();
    void append(std::string_view event, std::uint64_t line);
    /// Makes the bytes after the last event readable. Call before the events are used.
    void seal();
    [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
    [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept
    {
        const std::size_t begin = i == 0 ? 0 : ends_[i - 1] + 1;
        return {text_.data() + begin, ends_[i] - begin};
    }
    /// Where event `i` stood in its file; counts from 1.
    [[nodiscard]] std::uint64_t line(std::size_t i) const noexcept { return lines_[i]; }
    /// Of all events, without what lies between them.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool full() const noexcept { return bytes_ >= bytes_max; }

private:
    std::string text_;
    std::vector<std::size_t> ends_;
    std::vector<std::uint64_t> lines_;
    std::size_t bytes_ = 0;
};

class EventSource {
public:
    virtual ~EventSource() = default;
    /// How reports call it.
    [[nodiscard]] virtual std::string name() const = 0;
    /// Fills `block` with the next events; false when there are none left.
    [[nodiscard]] virtual Result<bool> next(EventBlock& block) = 0;
    /// The next block is the first again.
    [[nodiscard]] virtual Result<void> rewind() = 0;
};

/// One event a line; blank lines are skipped. "-" is standard input, which must fit in one block.
[[nodiscard]] Result<std::unique_ptr<EventSource>> open_events(const std::string& path);
/// The first `count` events of a family, in their order.
[[nodiscard]] std::unique_ptr<EventSource> generated_events(const Family& family, const Scale& scale,
                                                            std::uint64_t count);

}  // namespace eventyard::cli
