#include "router/delivery/budget_meter.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace eventyard::router {
namespace {

constexpr Duration ask_again = std::chrono::seconds{1};
constexpr std::uint64_t worth_asking = 16;  // when so large a part of the budget came

}  // namespace

void BudgetMeter::configure(const Budget& budget)
{
    const bool same = budget.bytes == budget_.bytes && budget.overflow == budget_.overflow;
    budget_ = budget;
    if (!same) {
        through_ = rows_over_ = 0;
        not_before_ = {};
        stale_ = asked_;
        if (budget.bytes == 0) over_ = false;
    }
    if (budget_.gate) budget_.gate->closed.store(over_, std::memory_order_relaxed);
}

void BudgetMeter::emptied() noexcept
{
    known_ = true;
    stale_ = asked_;
    used_ = 0;
    came_ = came_when_asked_ = 0;
    through_ = rows_over_ = 0;
    if (over_) set_over(false);
}

bool BudgetMeter::want_measure(SteadyTime now) noexcept
{
    if (budget_.bytes == 0 || asked_ || now < not_before_) return false;
    if (!due()) return false;
    asked_ = true;
    came_when_asked_ = came_;
    return true;
}

bool BudgetMeter::due() const noexcept
{
    return !known_ || over_ || used_ + came_ > budget_.bytes || came_ > budget_.bytes / worth_asking;
}

void BudgetMeter::measured(SteadyTime now, const Excess& excess, std::uint64_t rows, std::uint64_t endable)
{
    asked_ = false;
    if (std::exchange(stale_, false)) return;
    not_before_ = now + ask_again;
    known_ = true;
    used_ = excess.bytes + excess.rows_bytes;
    came_ -= came_when_asked_ > came_ ? came_ : came_when_asked_;
    came_when_asked_ = 0;
    set_over(budget_.bytes > 0 && used_ > budget_.bytes);
    if (!over_ || budget_.overflow != Overflow::dead_letter_oldest) {
        through_ = rows_over_ = 0;
        return;
    }
    // Rows are older than what waits above the position: they end first, and of that only what is too much alone.
    through_ = excess.through;
    rows_over_ = 0;
    if (rows == 0 || excess.rows_bytes == 0) return;
    const double each = static_cast<double>(excess.rows_bytes) / static_cast<double>(rows);
    const double beyond = static_cast<double>(excess.bytes) + each * static_cast<double>(endable) - static_cast<double>(budget_.bytes);
    if (beyond > 0) rows_over_ = std::min(endable, static_cast<std::uint64_t>(std::ceil(beyond / each)));
}

void BudgetMeter::failed(SteadyTime now) noexcept
{
    asked_ = stale_ = false;
    not_before_ = now + ask_again;
}

std::optional<SteadyTime> BudgetMeter::wake_at() const noexcept
{
    if (budget_.bytes == 0 || asked_ || !due()) return std::nullopt;
    return not_before_;
}

std::optional<std::uint64_t> BudgetMeter::used() const noexcept
{
    return known_ ? std::optional{used_ + came_} : std::nullopt;
}

void BudgetMeter::set_over(bool over) noexcept
{
    over_ = over;
    if (budget_.gate) budget_.gate->closed.store(over, std::memory_order_relaxed);
}

}  // namespace eventyard::router
