// rules/wildcard.hpp — "*" stands for any run of characters; the whole string must fit.
//
// "\*" is a star and "\\" a backslash. The text is cut at the stars and each piece is looked for at
// its leftmost place: no backtracking, at most pieces x length steps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace eventyard::rules {

class Wildcard {
public:
    /// Refuses "**" and a backslash before anything else; positions count from 1 in bytes.
    [[nodiscard]] static Result<Wildcard> read(std::string_view text);
    [[nodiscard]] bool matches(std::string_view text) const noexcept;
    [[nodiscard]] std::size_t stars() const noexcept { return pieces_.size() - 1; }
    /// What stands between the stars, escapes undone: one more than there are stars.
    [[nodiscard]] const std::vector<std::string>& pieces() const noexcept { return pieces_; }

private:
    std::vector<std::string> pieces_;
};

}  // namespace eventyard::rules
