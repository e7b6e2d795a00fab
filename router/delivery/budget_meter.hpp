// router/delivery/budget_meter.hpp — how much waits for one target, beside its budget.
//
// What is behind the target's position is not added up delivery by delivery: the journal's footers tell it
// (Journal::excess). Until asked again, what came since is added to what it was, and what ended is not taken off: so
// the sum is never too low, and the journal is asked only when the sum is above the budget or has grown by much, at most once a
// second. Rows (retries, delayed, held by a key) count at the average size of the target's deliveries. Pure; one
// thread.
#pragma once

#include <cstdint>
#include <optional>

#include "core/time.hpp"
#include "router/budget.hpp"
#include "router/journal/journal.hpp"

namespace eventyard::router {

class BudgetMeter {
public:
    /// @param budget  without a limit: nothing is measured
    void configure(const Budget& budget);
    [[nodiscard]] const Budget& budget() const noexcept { return budget_; }

    /// A delivery of so many bytes came.
    void came(std::size_t bytes) noexcept
    {
        came_ += bytes;
        all_bytes_ += bytes;
        ++all_;
    }
    /// Bytes of one that came, on average; 0: none has.
    [[nodiscard]] double mean() const noexcept { return all_ > 0 ? static_cast<double>(all_bytes_) / static_cast<double>(all_) : 0; }
    /// Rows came whose sizes nobody knows: it is to be measured.
    void unsure() noexcept
    {
        known_ = false;
        stale_ = asked_;
    }
    /// Nothing is pending.
    void emptied() noexcept;
    /// The journal is to be asked now; then nothing until measured() or failed().
    [[nodiscard]] bool want_measure(SteadyTime now) noexcept;
    /// @param rows     that Excess::rows_bytes is of
    /// @param endable  of them those that can end before their turn: not those that wait behind a key
    void measured(SteadyTime now, const Excess& excess, std::uint64_t rows, std::uint64_t endable);
    void failed(SteadyTime now) noexcept;
    [[nodiscard]] std::optional<SteadyTime> wake_at() const noexcept;

    /// Bytes that wait, at most; none: not known yet.
    [[nodiscard]] std::optional<std::uint64_t> used() const noexcept;
    /// As last measured.
    [[nodiscard]] bool over() const noexcept { return over_; }

    /// Over, and what is too much ends.
    [[nodiscard]] bool ends_what_is_over() const noexcept { return over_ && budget_.overflow == Overflow::dead_letter_oldest; }
    /// What is to end: deliveries above the position up to here; 0: none.
    [[nodiscard]] Sequence over_through() const noexcept { return through_; }
    void ended_through() noexcept { through_ = 0; }
    /// So many rows.
    [[nodiscard]] std::uint64_t rows_over() const noexcept { return rows_over_; }
    void ended_row() noexcept { --rows_over_; }

private:
    [[nodiscard]] bool due() const noexcept;
    void set_over(bool over) noexcept;

    Budget budget_;
    bool known_ = false;
    bool stale_ = false;                   // the answer to come is of before something else
    std::uint64_t all_bytes_ = 0, all_ = 0;
    std::uint64_t used_ = 0;               // when it was measured
    std::uint64_t came_ = 0;               // since then
    std::uint64_t came_when_asked_ = 0;
    bool asked_ = false;
    bool over_ = false;
    SteadyTime not_before_{};
    Sequence through_ = 0;
    std::uint64_t rows_over_ = 0;
};

}  // namespace eventyard::router
