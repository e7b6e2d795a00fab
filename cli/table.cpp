#include "cli/table.hpp"

#include <algorithm>

namespace eventyard::cli {
namespace {

/// Columns on a terminal: one a code point is near enough for names and figures.
std::size_t width(const std::string& cell)
{
    return static_cast<std::size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool numeric(const std::string& cell)
{
    return cell.find_first_not_of("0123456789,.-+%") == std::string::npos;
}

bool has_digit(const std::string& cell)
{
    return cell.find_first_of("0123456789") != std::string::npos;
}

}  // namespace

std::string Table::text(std::size_t indent) const
{
    const std::size_t columns = rows_.front().size();
    std::vector<std::size_t> widths(columns, 0);
    std::vector<bool> right(columns, true);
    std::vector<bool> figures(columns, false);
    for (std::size_t r = 0; r < rows_.size(); ++r)
        for (std::size_t c = 0; c < columns; ++c) {
            widths[c] = std::max(widths[c], width(rows_[r][c]));
            if (r == 0) continue;
            if (!numeric(rows_[r][c])) right[c] = false;
            if (has_digit(rows_[r][c])) figures[c] = true;
        }
    std::string out;
    for (const auto& row : rows_) {
        std::string line(indent, ' ');
        for (std::size_t c = 0; c < columns; ++c) {
            const std::string padding(widths[c] - width(row[c]), ' ');
            line += right[c] && figures[c] ? padding + row[c] : row[c] + padding;
            if (c + 1 < columns) line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

std::string grouped(std::uint64_t value)
{
    std::string digits = std::to_string(value);
    for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

std::string counted(std::uint64_t count, const std::string& word)
{
    if (count == 1) return grouped(count) + " " + word;
    if (word.ends_with("ry")) return grouped(count) + " " + word.substr(0, word.size() - 1) + "ies";
    return grouped(count) + " " + word + (word.back() == 's' ? "es" : "s");
}

}  // namespace eventyard::cli
