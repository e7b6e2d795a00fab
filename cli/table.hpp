// cli/table.hpp — aligned columns for people.
#pragma once

#include <string>
#include <vector>

namespace eventyard::cli {

/// Collects rows and prints them with columns as wide as their widest cell. Columns of numbers are
/// aligned to the right; empty cells and "-" may stand among them.
class Table {
public:
    explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.size() == 1; }
    /// Every line ends with '\n'; `indent` blanks stand before each.
    [[nodiscard]] std::string text(std::size_t indent = 0) const;

private:
    std::vector<std::vector<std::string>> rows_;
};

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t value);
/// 1 "rule" -> "1 rule", 2 "bus" -> "2 buses", 2 "delivery" -> "2 deliveries".
[[nodiscard]] std::string counted(std::uint64_t count, const std::string& word);

}  // namespace eventyard::cli
