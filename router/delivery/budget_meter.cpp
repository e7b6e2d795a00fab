#include "router/delivery/budget_meter.hpp"

#include <cmath>

namespace eventyard::router {
namespace {

constexpr Duration ask_again = std::chrono::seconds{1};

}  // namespace

void BudgetMeter::configure(const Budget& budget)
{
    const bool same = budget.bytes == budget_.bytes && budget.overflow == budget_.overflow;
    budget_ = budget;
    if (!same) {
        through_ = rows_over_ = 0;
        not_before_ = {};
        if (budget.bytes == 0) over_ = false;
    }
    if (budget_.gate) budget_.gate->closed.store(over_, std::memory_order_relaxed);
}

void BudgetMeter::emptied() noexcept
{
    known_ = true;
    used_ = 0;
    came_ = came_when_asked_ = 0;
    through_ = rows_over_ = 0;
    if (over_) set_over(false);
}

bool BudgetMeter::want_measure(SteadyTime now) noexcept
{
    if (budget_.bytes == 0 || asked_ || now < not_before_) return false;
    if (known_ && !over_ && used_ + came_ <= budget_.bytes) return false;
    asked_ = true;
    came_when_asked_ = came_;
    return true;
}

void BudgetMeter::measured(SteadyTime now, const Excess& excess, std::uint64_t rows)
{
    asked_ = false;
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
    through_ = excess.through;
    // Rows are older than what waits above the position: when they alone are too much, some of them end, too.
    rows_over_ = 0;
    if (excess.rows_bytes <= budget_.bytes) return;
    const double share = static_cast<double>(excess.rows_bytes - budget_.bytes) / static_cast<double>(excess.rows_bytes);
    rows_over_ = static_cast<std::uint64_t>(std::ceil(static_cast<double>(rows) * share));
}

void BudgetMeter::failed(SteadyTime now) noexcept
{
    asked_ = false;
    not_before_ = now + ask_again;
}

std::optional<SteadyTime> BudgetMeter::wake_at() const noexcept
{
    if (budget_.bytes == 0 || asked_ || (known_ && !over_ && used_ + came_ <= budget_.bytes)) return std::nullopt;
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
